// What is trained on at once: sequences, and which token each of their positions is to expect.

package import Transformers
package import Workspace

/// Sequences that go through a student together. N tokens in all.
package struct TrainingBatch: Sendable {
  package let batch: Batch
  /// `[N]`, sequence after sequence.
  package let tokens: [Int32]
  /// `[N]`: the token that follows, or -1 at positions that do not count: the last of a sequence, prompts.
  package let targets: [Int32]
  /// Positions that count.
  package let counted: Int
  /// Where the tokens come from; nil and none for those that were just sampled.
  package let dataset: Dataset?
  package let sequences: [DatasetSequence]

  /// - Parameters:
  ///   - lengths: of the sequences; their sum is the count of `tokens` and of `targets`.
  package init(
    lengths: [Int], tokens: [Int32], targets: [Int32], dataset: Dataset? = nil, sequences: [DatasetSequence] = []
  ) {
    self.dataset = dataset
    self.sequences = sequences
    batch = Batch(lengths: lengths)
    precondition(tokens.count == batch.tokens && targets.count == batch.tokens, "a target for every token")
    self.tokens = tokens
    self.targets = targets
    counted = targets.count { $0 >= 0 }
  }

  /// Whole sequences of one length, all of whose tokens but the first count.
  package init(_ tokens: [Int32], length: Int) {
    self.init(
      lengths: Array(repeating: length, count: tokens.count / length), tokens: tokens,
      targets: CrossEntropy.nextTokens(tokens, length: length))
  }

  /// That a model can read it.
  /// - Throws: `TransformerError`.
  package func check(_ model: Transformer) throws {
    var first = 0
    for length in batch.lengths {
      try model.checkTokens(Array(tokens[first..<first + length]), length: length)
      first += length
    }
  }
}
