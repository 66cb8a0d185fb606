// How the sequences of a dataset are cut into batches that go through a model together.

import Transformers

/// Tokens of a batch: enough rows for matrix products at full speed, few enough for caches and quick cancellation.
private let batchTokens = 2048
/// What the activations of a batch may take, whatever the model's width.
private let batchBytes = 512 << 20

private func mostTokens(_ model: Transformer) -> Int {
  min(batchTokens, max(1, batchBytes / max(1, model.activationBytesPerToken)))
}

/// Ranges of sequences, in order, the same for the same sizes.
func sequenceBatches(sequences: Int, length: Int, model: Transformer) -> [Range<Int>] {
  let size = max(1, mostTokens(model) / length)
  return stride(from: 0, to: sequences, by: size).map { $0..<min(sequences, $0 + size) }
}

/// The same for sequences of `lengths` tokens.
func sequenceBatches(lengths: [Int], model: Transformer) -> [Range<Int>] {
  let most = mostTokens(model)
  var batches: [Range<Int>] = [], first = 0, tokens = 0
  for (number, length) in lengths.enumerated() {
    if number > first, tokens + length > most {
      batches.append(first..<number)
      (first, tokens) = (number, 0)
    }
    tokens += length
  }
  return first < lengths.count ? batches + [first..<lengths.count] : batches
}
