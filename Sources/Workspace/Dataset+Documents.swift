// A dataset of documents: where its windows and segments begin, and which tokens are predicted.

/// The structure of a dataset whose sequences are not all alike.
struct DocumentLayout: Sendable {
  /// Where the tokens of each sequence begin, and where the last ends.
  var starts = [0]
  /// Tokens of every segment of every sequence.
  var lengths: [Int] = []
  /// Which of `lengths` is the first of each sequence, and how many there are.
  var firstSegments = [0]
  /// Whether each token is a target: no first one of a segment is, and none of a prompt.
  var predicted: [Bool] = []
}

extension Dataset {
  /// A dataset whose sequences are windows of documents.
  /// - Parameters:
  ///   - documents: what goes into the windows.
  ///   - sequences: how many of the windows, from the first; nil takes all.
  ///   - examples: prompts to sample from, all of them whatever `sequences` says.
  ///   - vocabularySize: ids at or above it, and negative ones, are refused.
  /// - Throws: `WorkspaceError` if there are no windows or not as many as asked for, the dataset is too large or a
  ///   token is outside the vocabulary.
  package convenience init(
    documents: PackedDocuments, sequences: Int? = nil, examples: [Example] = [], vocabularySize: Int
  ) throws(WorkspaceError) {
    let available = documents.windows.count, count = sequences ?? available
    guard available >= 1, count >= 1 else {
      throw .documentsNotUsable(tooLong: documents.tooLong, tooShort: documents.tooShort)
    }
    guard count <= available else {
      throw .sequencesNotAvailable(asked: count, available: available, sequenceLength: documents.sequenceLength)
    }
    let windows = documents.windows.prefix(count)
    let total = windows.reduce(0) { $0 + $1.reduce(0) { $0 + $1.tokens.count } }
    guard total <= Self.maximumTokens else {
      throw .documentsTooLarge(tokens: total, maximumTokens: Self.maximumTokens)
    }
    var layout = DocumentLayout(), tokens: [Int32] = []
    tokens.reserveCapacity(total)
    layout.predicted.reserveCapacity(total)
    for window in windows {
      for document in window {
        try Self.check(document.tokens, vocabularySize: vocabularySize)
        tokens += document.tokens
        layout.lengths.append(document.tokens.count)
        let given = max(1, document.promptTokens)
        layout.predicted += document.tokens.indices.map { $0 >= given }
      }
      layout.starts.append(tokens.count)
      layout.firstSegments.append(layout.lengths.count)
    }
    for example in examples { try Self.check(example.promptTokens, vocabularySize: vocabularySize) }
    self.init(
      sequenceLength: documents.sequenceLength, tokens: tokens, layout: layout, examples: examples,
      digest: Self.digest(documents.sequenceLength, layout, tokens, examples))
  }

  /// Over everything that the dataset is: -1 (no sequence length, so no text has this digest), the sequence length,
  /// the numbers of sequences, segments, tokens and examples, where windows and segments begin, tokens and whether each
  /// is predicted, all as little-endian 32-bit integers; then of each example the numbers of its prompt's tokens and
  /// bytes and of its answer's bytes (-1 without one), its tokens and texts.
  private static func digest(
    _ sequenceLength: Int, _ layout: DocumentLayout, _ tokens: [Int32], _ examples: [Example]
  ) -> String {
    var bytes: [UInt8] = []
    func add(_ values: some Sequence<Int32>) {
      values.map(\.littleEndian).withUnsafeBytes { bytes.append(contentsOf: $0) }
    }
    bytes.reserveCapacity(8 * tokens.count + 8 * layout.lengths.count)
    add(
      [-1, sequenceLength, layout.starts.count - 1, layout.lengths.count, tokens.count, examples.count].map(Int32.init))
    add(layout.firstSegments.map(Int32.init))
    add(layout.lengths.map(Int32.init))
    add(tokens)
    add(layout.predicted.map { $0 ? 1 : 0 })
    for example in examples {
      let prompt = Array(example.prompt.utf8), answer = example.answer.map { Array($0.utf8) }
      add([example.promptTokens.count, prompt.count, answer?.count ?? -1].map { Int32(truncatingIfNeeded: $0) })
      add(example.promptTokens)
      bytes += prompt + (answer ?? [])
    }
    return bytes.withUnsafeBytes(sha256)
  }
}
