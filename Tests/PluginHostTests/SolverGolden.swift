// solvers.golden.safetensors as the tests use it: matrices with Gram matrices, and calls of the bundled solvers,
// compensators and refiners on them.

import Compression
import Foundation
import PluginHost
import TestSupport
import Tensors
import Testing

/// The golden that solver_goldens.py wrote; that script says what the names mean.
enum SolverGolden {
  private static let loaded = Result {
    try Golden(Repository.goldens(of: "PluginHostTests") + "/solvers.golden.safetensors")
  }
  static func load() throws -> Golden { try loaded.get() }

  private static let bundled = Result { try BundledPluginTests.registry() }
  /// The bundled plugins, loaded once.
  static func registry() throws -> PluginRegistry { try bundled.get() }

  /// The script's BUDGETS.
  static let budgets: [String: Budget] = [
    "matrix": Budget(target: .ratio(0.5), group: .matrix),
    "row": Budget(target: .ratio(0.55), group: .row),
    "column": Budget(target: .ratio(0.4), group: .column),
    "pattern": Budget(target: .pattern(prune: 2, of: 4), group: .matrix),
  ]
  static let groups = budgets.keys.sorted()
  static let matrices = ["small", "wide"]
}

/// A mask and the weights under it.
struct Pruned: Equatable {
  var kept: [UInt8]
  var weights: [Float]
  var bias: [Float] = []
}

/// A matrix with statistics of its inputs, owned, and calls of bundled plugins on it.
struct Layer {
  var sample: Sample
  var gram: [Float]

  init(_ name: String) throws {
    let golden = try SolverGolden.load()
    let weights = try golden.numbers(name + "/weights")
    let counts = try golden.numbers(name + "/counts").values.map { Int($0) }
    let n = weights.shape[1]
    let sums = try golden.numbers(name + "/moments").values
    var moments = Moments(inputs: n)
    (moments.sequences, moments.tokens) = (counts[0], counts[1])
    moments.sum = Array(sums[0..<n])
    moments.sumOfSquares = Array(sums[n..<2 * n])
    moments.sumOfMagnitudes = Array(sums[2 * n..<3 * n])
    self.init(
      weights: weights.values.map(Float.init), columns: n, moments: moments,
      gram: try golden.numbers(name + "/gram").values.map(Float.init),
      cross: try golden.numbers(name + "/cross").values.map(Float.init))
  }

  init(weights: [Float], columns: Int, moments: Moments, gram: [Float], cross: [Float]? = nil) {
    sample = Sample(rows: weights.count / columns, columns: columns)
    sample.tensor = "it"
    sample.weights = weights
    sample.moments = moments
    sample.statistics.input.gram = Gram(
      sequences: moments.sequences, tokens: moments.tokens, inputs: columns, products: FloatBuffer(gram),
      cross: cross.map { FloatBuffer($0) })
    self.gram = gram
  }

  var shape: [Int] { [sample.rows, sample.columns] }

  /// ||W X - W' X||^2 from the Gram matrix, plus `damping` times the mean of its diagonal times ||W - W'||^2.
  func error(_ weights: [Float], damping: Double = 0) -> Double {
    let n = sample.columns
    let mean = (0..<n).reduce(0.0) { $0 + Double(gram[$1 * n + $1]) } / Double(n)
    var sum = 0.0
    for row in 0..<sample.rows {
      let d = (0..<n).map { Double(sample.weights[row * n + $0]) - Double(weights[row * n + $0]) }
      for j in 0..<n where d[j] != 0 {
        var product = damping * mean * d[j]
        for k in 0..<n { product += Double(gram[j * n + k]) * d[k] }
        sum += d[j] * product
      }
    }
    return sum
  }

  /// Nothing but the mask.
  func masked(_ kept: [UInt8]) -> [Float] { zip(sample.weights, kept).map { $1 == 0 ? 0 : $0 } }

  /// |w| times the norm of its input.
  func wanda() throws -> ScoreMatrix {
    let scores = ScoreMatrix(rows: sample.rows, columns: sample.columns)
    _ = scores.values.values.update(
      from: try sample.score(with: SolverGolden.registry().selector(id: "wanda"), [.number(1)]))
    return scores
  }

  static func values(_ method: MethodDescription, _ settings: [String: ParameterValue]) -> [ParameterValue] {
    for name in settings.keys { #expect(method.parameters.contains { $0.name == name }, "\(name) is no parameter") }
    return method.parameters.map { settings[$0.name] ?? $0.defaultValue }
  }

  /// Layers that share the first one's input, solved together.
  static func solve(
    _ layers: [Layer], _ id: String, _ budget: Budget, _ settings: [String: ParameterValue] = [:],
    registry: PluginRegistry? = nil, monitor: Monitor = Monitor(), diagnostics: Diagnostics = Diagnostics()
  ) throws -> [Pruned] {
    let solver = try (registry ?? SolverGolden.registry()).solver(id: id)
    let buffers = layers.map { layer in
      (
        kept: UnsafeMutableBufferPointer<UInt8>.allocate(capacity: layer.sample.weights.count),
        weights: FloatBuffer(count: layer.sample.weights.count), dense: FloatBuffer(layer.sample.weights)
      )
    }
    defer { buffers.forEach { $0.kept.deallocate() } }
    var statistics = layers[0].sample.statistics
    statistics.input.moments = layers[0].sample.moments
    let problems = zip(layers, buffers).map { layer, buffer in
      Problem(
        matrix: MatrixInput(
          tensor: layer.sample.tensor, layer: 0, rows: layer.sample.rows, columns: layer.sample.columns,
          weights: buffer.dense.readOnly, statistics: statistics),
        budget: budget, kept: buffer.kept, weights: buffer.weights.values)
    }
    try withExtendedLifetime(buffers) {
      try solver.solve(
        problems, parameters: values(solver.description.method, settings), monitor: monitor, diagnostics: diagnostics)
    }
    return buffers.map { Pruned(kept: Array($0.kept), weights: Array($0.weights.readOnly)) }
  }

  func solve(
    _ id: String, _ budget: Budget, _ settings: [String: ParameterValue] = [:],
    diagnostics: Diagnostics = Diagnostics()
  ) throws -> Pruned { try Self.solve([self], id, budget, settings, diagnostics: diagnostics)[0] }

  func compensate(
    _ id: String, _ kept: [UInt8], _ budget: Budget? = nil, _ settings: [String: ParameterValue] = [:],
    registry: PluginRegistry? = nil, monitor: Monitor = Monitor(), diagnostics: Diagnostics = Diagnostics()
  ) throws -> Pruned {
    let method = try (registry ?? SolverGolden.registry()).compensator(id: id)
    var result = Pruned(
      kept: kept, weights: masked(kept),
      bias: [Float](repeating: 0, count: method.description.changesBias ? sample.rows : 0))
    try sample.withInput { input in
      try kept.withUnsafeBufferPointer { kept in
        try result.weights.withUnsafeMutableBufferPointer { weights in
          try result.bias.withUnsafeMutableBufferPointer { bias in
            try method.compensate(
              input, kept: kept, budget: budget, parameters: Self.values(method.description.method, settings),
              weights: weights, bias: bias, monitor: monitor, diagnostics: diagnostics)
          }
        }
      }
    }
    // What is left at pruned places is for the next round.
    let isLast = budget?.roundsLeft ?? 0 == 0
    for index in kept.indices where kept[index] == 0 && isLast { result.weights[index] = 0 }
    return result
  }

  func refine(
    _ id: String, _ kept: [UInt8], _ budget: Budget, scores: ScoreMatrix? = nil,
    _ settings: [String: ParameterValue] = [:], registry: PluginRegistry? = nil, monitor: Monitor = Monitor()
  ) throws -> [UInt8] {
    let method = try (registry ?? SolverGolden.registry()).refiner(id: id)
    var kept = kept
    try sample.withInput { input in
      try kept.withUnsafeMutableBufferPointer { kept in
        try method.refine(
          input, budget: budget, scores: scores, parameters: Self.values(method.description, settings), kept: kept,
          monitor: monitor, diagnostics: Diagnostics())
      }
    }
    return kept
  }
}

extension Layer {
  /// A golden mask, of `METHOD/GROUP`.
  static func kept(_ name: String) throws -> [UInt8] {
    try SolverGolden.load().numbers(name + "/kept").values.map { UInt8($0) }
  }

  /// What is wrong with values of the layer's shape, or of its rows, or nil; and that a wrong value is found.
  static func check(_ actual: [Float], _ name: String, _ tolerance: Tolerance, shape: [Int]) throws {
    let golden = try SolverGolden.load()
    var numbers = Numbers(actual, shape: shape)
    let wrong = try golden.difference(numbers, from: name, tolerance)
    #expect(wrong == nil, "\(wrong ?? "")")
    let largest = actual.indices.max { abs(actual[$0]) < abs(actual[$1]) } ?? 0
    var values = actual
    values[largest] *= 1.001
    numbers = Numbers(values, shape: shape)
    #expect(try golden.difference(numbers, from: name, tolerance) != nil)
  }
}
