// How the sequences of a dataset are cut into batches that go through a model together.

import Transformers

/// Tokens of a batch: enough rows for matrix products at full speed, few enough for caches and quick cancellation.
private let batchTokens = 2048
/// What the activations of a batch may take, whatever the model's width.
private let batchBytes = 512 << 20

/// Ranges of sequences, in order, the same for the same sizes.
func sequenceBatches(sequences: Int, length: Int, model: Transformer) -> [Range<Int>] {
  let tokens = min(batchTokens, max(1, batchBytes / max(1, model.activationBytesPerToken)))
  let size = max(1, tokens / length)
  return stride(from: 0, to: sequences, by: size).map { $0..<min(sequences, $0 + size) }
}

/// The same for sequences of different lengths, each at least 1: as many as fit, in order.
func sequenceBatches(lengths: [Int], model: Transformer) -> [Range<Int>] {
  let room = min(batchTokens, max(1, batchBytes / max(1, model.activationBytesPerToken)))
  var batches: [Range<Int>] = [], first = 0, tokens = 0
  for (index, length) in lengths.enumerated() {
    if index > first, tokens + length > room {
      batches.append(first..<index)
      (first, tokens) = (index, 0)
    }
    tokens += length
  }
  return lengths.isEmpty ? [] : batches + [first..<lengths.count]
}
