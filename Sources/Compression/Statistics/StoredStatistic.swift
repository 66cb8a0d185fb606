// What is remembered of statistics, and how it goes to disk and back as bytes.

import Tensors
import Workspace

/// What the statistics of one layer at one revision depend on: the data, and every tensor up to that layer.
package struct CalibrationKey: Hashable, Sendable {
  let dataset: String
  let tensors: [TensorKey]
}

/// What a remembered statistic is of.
package enum StatisticsKey: Hashable, Sendable {
  /// Of all inputs of the last layer of the chain.
  case moments(CalibrationKey)
  /// Of one of its inputs.
  case gram(CalibrationKey, input: Int)
  /// Of one matrix; the key has all tensors of the model.
  case gradients(CalibrationKey, tensor: String, training: GradientTraining?)
  /// Of one matrix of the last layer of the chain.
  case regionalGradients(CalibrationKey, tensor: String)
  /// Of one sequence: what leaves the last layer. The key has all tensors of the model.
  case lastStates(CalibrationKey, sequence: Int, form: StatesForm)
}

/// How hidden states were computed and are kept.
package struct StatesForm: Hashable, Sendable {
  let computed: Precision
  let kept: Precision
}

package enum StoredStatistic: Sendable {
  case moments([Moments])
  case gram(Gram)
  case gradients(GradientSums)
  case states(KeptStates)

  package var bytes: Int {
    switch self {
    case .states(let states): states.values.bytes
    case .moments(let moments): moments.reduce(0) { $0 + $1.bytes }
    case .gram(let gram): gram.bytes
    case .gradients(let gradients): gradients.bytes
    }
  }

  package var moments: [Moments]? {
    if case .moments(let moments) = self { moments } else { nil }
  }

  package var gram: Gram? {
    if case .gram(let gram) = self { gram } else { nil }
  }

  package var gradients: GradientSums? {
    if case .gradients(let gradients) = self { gradients } else { nil }
  }

  package var states: KeptStates? {
    if case .states(let states) = self { states } else { nil }
  }
}

extension Moments {
  /// Four doubles for each input.
  package var bytes: Int { 4 * MemoryLayout<Double>.stride * sum.count }
}

/// A statistic on disk: all that is not in the bytes, and where these are.
enum SpilledStatistic {
  case moments([Moments], SpillFile.Extent)  // the moments without their arrays
  case gram(sequences: Int, tokens: Int, inputs: Int, hasCross: Bool, SpillFile.Extent)
  case gradients(samples: Int, steps: Int, count: Int, hasMovement: Bool, SpillFile.Extent)
  case states(count: Int, precision: Precision, stored: Int, SpillFile.Extent)

  var extent: SpillFile.Extent {
    switch self {
    case .states(_, _, _, let extent): extent
    case .moments(_, let extent), .gram(_, _, _, _, let extent), .gradients(_, _, _, _, let extent): extent
    }
  }

  /// Writes `statistic`; nil if there is no room.
  init?(_ statistic: StoredStatistic, to file: SpillFile) {
    switch statistic {
    case .moments(let moments):
      let values = moments.flatMap { $0.sum + $0.sumOfSquares + $0.sumOfMagnitudes + $0.sumOfSquaredMeans }
      guard let extent = values.withUnsafeBytes({ file.write([$0]) }) else { return nil }
      let bare = moments.map { moments in
        var bare = Moments(inputs: 0)
        (bare.sequences, bare.tokens) = (moments.sequences, moments.tokens)
        bare.sum = Array(repeating: 0, count: moments.sum.count)
        return bare
      }
      self = .moments(bare, extent)
    case .gram(let gram):
      let cross = gram.cross === gram.products ? nil : gram.cross
      guard let extent = Self.write([gram.products, cross], to: file) else { return nil }
      self = .gram(
        sequences: gram.sequences, tokens: gram.tokens, inputs: gram.inputs, hasCross: cross != nil, extent)
    case .gradients(let sums):
      guard let extent = Self.write([sums.sum, sums.sumOfSquares, sums.movement], to: file) else { return nil }
      self = .gradients(
        samples: sums.samples, steps: sums.steps, count: sums.sum.count, hasMovement: sums.movement != nil, extent)
    case .states(let states):
      guard let extent = Self.write([states.values], to: file) else { return nil }
      self = .states(count: states.count, precision: states.precision, stored: states.values.count, extent)
    }
  }

  /// What was written, or nil if it is damaged.
  func read(from file: SpillFile) -> StoredStatistic? {
    switch self {
    case .moments(let bare, let extent):
      var values = [Double](repeating: 0, count: extent.bytes / MemoryLayout<Double>.stride)
      guard values.withUnsafeMutableBytes({ file.read(extent, into: [$0]) }) else { return nil }
      var rest = values[...]
      func take(_ count: Int) -> [Double] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
      }
      return .moments(
        bare.map { bare in
          var moments = bare
          let count = bare.sum.count
          (moments.sum, moments.sumOfSquares) = (take(count), take(count))
          (moments.sumOfMagnitudes, moments.sumOfSquaredMeans) = (take(count), take(count))
          return moments
        })
    case .gram(let sequences, let tokens, let inputs, let hasCross, let extent):
      let products = FloatBuffer(count: inputs * inputs)
      let cross = hasCross ? FloatBuffer(count: inputs * inputs) : nil
      guard Self.read([products, cross], extent, from: file) else { return nil }
      return .gram(Gram(sequences: sequences, tokens: tokens, inputs: inputs, products: products, cross: cross))
    case .gradients(let samples, let steps, let count, let hasMovement, let extent):
      let sum = FloatBuffer(count: count), squares = FloatBuffer(count: count)
      let movement = hasMovement ? FloatBuffer(count: count) : nil
      guard Self.read([sum, squares, movement], extent, from: file) else { return nil }
      return .gradients(
        GradientSums(samples: samples, steps: steps, sum: sum, sumOfSquares: squares, movement: movement))
    case .states(let count, let precision, let stored, let extent):
      let values = FloatBuffer(count: stored)
      guard Self.read([values], extent, from: file) else { return nil }
      return .states(KeptStates(values: values, count: count, precision: precision))
    }
  }

  private static func write(_ buffers: [FloatBuffer?], to file: SpillFile) -> SpillFile.Extent? {
    file.write(buffers.compactMap { $0.map { UnsafeRawBufferPointer($0.readOnly) } })
  }

  private static func read(_ buffers: [FloatBuffer?], _ extent: SpillFile.Extent, from file: SpillFile) -> Bool {
    file.read(extent, into: buffers.compactMap { $0.map { UnsafeMutableRawBufferPointer($0.values) } })
  }
}
