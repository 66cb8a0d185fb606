// The windows of a dataset that a model is evaluated on, and statistics over them.

import Tensors
import Transformers
package import Workspace

/// A dataset's sequences cut into windows of one length, the rest of a sequence left out; or, of documents, those
/// windows that predict something.
package struct DatasetWindows: Sendable {
  package let dataset: Dataset
  /// Tokens of a window, at least 2: its first is not predicted. Of documents the most that a window may have.
  package let length: Int
  /// Documents only: the sequences that predict something, and how many targets each has.
  private let sequences: [(number: Int, targets: Int)]?

  /// - Parameter length: nil takes whole sequences.
  /// - Throws: `CompressionError.windowInvalid`; `windowOfDocuments` for a length where there are documents,
  ///   `nothingPredicted` for those of which nothing is.
  package init(_ dataset: Dataset, length: Int?) throws(CompressionError) {
    if !dataset.isUniform {
      guard length == nil else { throw .windowOfDocuments }
      let counts = (0..<dataset.sequences).map { (number: $0, targets: dataset.targetCount(ofSequence: $0)) }
      let sequences = counts.filter { $0.targets > 0 }
      guard !sequences.isEmpty else { throw .nothingPredicted }
      self.sequences = sequences
    } else {
      sequences = nil
    }
    let length = length ?? dataset.sequenceLength
    guard length >= 2, length <= dataset.sequenceLength else {
      throw .windowInvalid(window: length, sequenceLength: dataset.sequenceLength)
    }
    self.dataset = dataset
    self.length = length
  }

  private var perSequence: Int { dataset.sequenceLength / length }
  package var count: Int { sequences?.count ?? dataset.sequences * perSequence }
  /// Tokens that are predicted: of a text all but the first of each window.
  package var predictedTokens: Int { sequences == nil ? count * (length - 1) : dataset.validTokens }
  /// Predicted tokens of each window where they differ, which is what windows weigh in means.
  package var weights: [Int]? { sequences?.map(\.targets) }

  /// Windows that go through a model together, in order.
  func batches(_ model: Transformer) -> [Range<Int>] {
    guard let sequences else { return sequenceBatches(sequences: count, length: length, model: model) }
    return sequenceBatches(lengths: sequences.map { dataset.range(ofSequence: $0.number).count }, model: model)
  }

  /// The shape of some windows together: each segment is a sequence of the batch.
  func batch(_ windows: Range<Int>) -> Batch {
    guard let sequences else { return Batch(sequences: windows.count, length: length) }
    return Batch(lengths: sequences[windows].flatMap { dataset.segments(ofSequence: $0.number) })
  }

  /// The sequences of the dataset that some windows are, whole; nil if windows are parts of them.
  func wholeSequences(_ windows: Range<Int>) -> [DatasetSequence]? {
    if let sequences {
      return sequences[windows].map {
        DatasetSequence(number: $0.number, rows: dataset.range(ofSequence: $0.number).count)
      }
    }
    return length == dataset.sequenceLength ? windows.map { DatasetSequence(number: $0, rows: length) } : nil
  }

  /// A batch that has as many tokens as the largest of `batches`, and sequences as long as the longest.
  func largest(_ batches: [Range<Int>]) -> Batch {
    guard sequences != nil else { return Batch(sequences: batches.first?.count ?? 1, length: length) }
    let shapes = batches.map(batch)
    let tokens = shapes.map(\.tokens).max() ?? 1, longest = shapes.map(\.length).max() ?? 1
    let rest = tokens % longest
    return Batch(lengths: Array(repeating: longest, count: tokens / longest) + (rest > 0 ? [rest] : []))
  }

  /// The tokens of some windows, one after another.
  func tokens(_ windows: Range<Int>) -> [Int32] {
    if let sequences { return sequences[windows].flatMap { dataset.tokens(ofSequence: $0.number) } }
    return windows.flatMap { number in
      let start = number / perSequence * dataset.sequenceLength + number % perSequence * length
      return dataset.tokens[start..<start + length]
    }
  }

  /// What each of `tokens(windows)` predicts; -1 for nothing.
  func targets(_ windows: Range<Int>) -> [Int32] {
    if let sequences { return sequences[windows].flatMap { dataset.targets(ofSequence: $0.number) } }
    return CrossEntropy.nextTokens(tokens(windows), length: length)
  }

  /// The mean of each window's values, of which there is one for each of its targets.
  /// - Throws: `CompressionError.nonFiniteLoss` for the first mean that is not finite.
  func means(_ values: [Double], windows: Range<Int>) throws(CompressionError) -> [Double] {
    var means: [Double] = [], first = 0
    for number in windows {
      let predictions = sequences?[number].targets ?? length - 1
      let mean = values[first..<first + predictions].reduce(0, +) / Double(predictions)
      guard mean.isFinite else { throw .nonFiniteLoss(window: number) }
      means.append(mean)
      first += predictions
    }
    return means
  }

  /// - Throws: `TransformerError` for tokens or a length that the model does not take.
  func check(_ model: Transformer) throws {
    let longest = sequences?.compactMap { dataset.segments(ofSequence: $0.number).max() }.max() ?? length
    try model.checkTokens(dataset.tokens, length: longest)
  }
}

extension [Double] {
  /// Of at least one value.
  var mean: Double { reduce(0, +) / Double(count) }

  /// Standard error of the mean: sample deviation / sqrt(count); 0 for one value.
  var standardError: Double {
    let n = Double(count), mean = mean
    guard n > 1 else { return 0 }
    let squares = reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / (n - 1) / n).squareRoot()
  }

  /// The mean in which each value counts as often as `weights` says; each the same for nil.
  func mean(weights: [Int]?) -> Double {
    guard let weights else { return mean }
    return zip(self, weights).reduce(0) { $0 + $1.0 * Double($1.1) } / Double(weights.reduce(0, +))
  }

  /// Standard error of the weighted mean, as that of a ratio of sums: sqrt(n / (n - 1) * sum (w (x - mean))^2) / sum w.
  /// (Cochran 1977, Sampling Techniques, 6.13) Of equal weights it is `standardError`.
  func standardError(weights: [Int]?) -> Double {
    guard let weights else { return standardError }
    let n = Double(count), mean = mean(weights: weights)
    guard n > 1 else { return 0 }
    let squares = zip(self, weights).reduce(0) { sum, pair in
      let deviation = Double(pair.1) * (pair.0 - mean)
      return sum + deviation * deviation
    }
    return (n / (n - 1) * squares).squareRoot() / Double(weights.reduce(0, +))
  }

  /// The value below which `fraction` of them lie, between neighbours by linear interpolation (Hyndman & Fan 1996,
  /// definition 7; numpy's default). Of at least one value, sorted.
  func quantile(_ fraction: Double) -> Double {
    let place = fraction * Double(count - 1), below = Int(place)
    guard below + 1 < count else { return self[count - 1] }
    return self[below] + (place - Double(below)) * (self[below + 1] - self[below])
  }
}
