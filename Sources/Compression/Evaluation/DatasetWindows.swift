// The windows of a dataset that a model is evaluated on, and statistics over them.

import Tensors
import Transformers
package import Workspace

/// A dataset's sequences cut into windows of one length; the rest of a sequence is left out.
package struct DatasetWindows: Sendable {
  package let dataset: Dataset
  /// Tokens of a window, at least 2: its first is not predicted.
  package let length: Int

  /// - Parameter length: nil takes whole sequences.
  /// - Throws: `CompressionError.windowInvalid`.
  package init(_ dataset: Dataset, length: Int?) throws(CompressionError) {
    let length = length ?? dataset.sequenceLength
    guard length >= 2, length <= dataset.sequenceLength else {
      throw .windowInvalid(window: length, sequenceLength: dataset.sequenceLength)
    }
    self.dataset = dataset
    self.length = length
  }

  private var perSequence: Int { dataset.sequenceLength / length }
  package var count: Int { dataset.sequences * perSequence }
  /// Tokens that are predicted: all but the first of each window.
  package var predictedTokens: Int { count * (length - 1) }

  /// The tokens of some windows, one after another.
  func tokens(_ windows: Range<Int>) -> [Int32] {
    windows.flatMap { number in
      let start = number / perSequence * dataset.sequenceLength + number % perSequence * length
      return dataset.tokens[start..<start + length]
    }
  }

  /// The mean of each window's values, of which there are `length - 1` for each of `windows`.
  /// - Throws: `CompressionError.nonFiniteLoss` for the first mean that is not finite.
  func means(_ values: [Double], windows: Range<Int>) throws(CompressionError) -> [Double] {
    let predictions = length - 1
    var means: [Double] = []
    for number in 0..<windows.count {
      let mean = values[number * predictions..<(number + 1) * predictions].reduce(0, +) / Double(predictions)
      guard mean.isFinite else { throw .nonFiniteLoss(window: windows.lowerBound + number) }
      means.append(mean)
    }
    return means
  }

  /// - Throws: `TransformerError` for tokens or a length that the model does not take.
  func check(_ model: Transformer) throws { try model.checkTokens(dataset.tokens, length: length) }
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

  /// The value below which `fraction` of them lie, between neighbours by linear interpolation (Hyndman & Fan 1996,
  /// definition 7; numpy's default). Of at least one value, sorted.
  func quantile(_ fraction: Double) -> Double {
    let place = fraction * Double(count - 1), below = Int(place)
    guard below + 1 < count else { return self[count - 1] }
    return self[below] + (place - Double(below)) * (self[below + 1] - self[below])
  }
}
