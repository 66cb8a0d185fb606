// One call of `Tokenizer.encode`: added tokens are cut out, the rest is normalised, cut into words and encoded.

import Tensors

/// Matchers and a cache of words, for one thread.
struct EncodingPass {
  private let definition: TokenizerDefinition
  private let normalizer: Normalizer
  private let preTokenizer: PreTokenizer
  private let monitor: Monitor
  private var cache = WordCache()
  private var words = 0

  init(_ definition: TokenizerDefinition, _ monitor: Monitor) throws(TokenizerFault) {
    self.definition = definition
    self.monitor = monitor
    normalizer = try Normalizer(definition.normalizer)
    preTokenizer = try PreTokenizer(definition.preTokenizer)
  }

  /// Appends the tokens of `text`.
  /// - Parameter start: where its first character stands.
  /// - Throws: `TokenizerFault`, `Cancelled`.
  mutating func encode(_ text: UnsafeRawBufferPointer, start: PieceStart, into ids: inout [Int32]) throws {
    for part in definition.added.parts(of: text) {
      switch part {
      case .token(let id): ids.append(id)
      case .text(let range):
        let piece = UnsafeRawBufferPointer(rebasing: text[range])
        try normalizeAndEncode(piece, start: range.lowerBound == 0 ? start : .inside, into: &ids)
      }
    }
  }

  private mutating func normalizeAndEncode(
    _ text: UnsafeRawBufferPointer, start: PieceStart, into ids: inout [Int32]
  ) throws {
    if normalizer.isEmpty { return try encodeNormalized(text, start: start, into: &ids) }
    var piece = TextPiece(bytes: Array(text), start: start)
    try normalizer.normalize(&piece)
    try piece.bytes.withUnsafeBytes { try encodeNormalized($0, start: piece.start, into: &ids) }
  }

  /// Cuts those added tokens out that are looked for in normalised text.
  private mutating func encodeNormalized(
    _ text: UnsafeRawBufferPointer, start: PieceStart, into ids: inout [Int32]
  ) throws {
    for part in definition.addedNormalized.parts(of: text) {
      switch part {
      case .token(let id): ids.append(id)
      case .text(let range):
        let piece = UnsafeRawBufferPointer(rebasing: text[range])
        try encodeWords(of: piece, start: range.lowerBound == 0 ? start : .inside, into: &ids)
      }
    }
  }

  private mutating func encodeWords(
    of text: UnsafeRawBufferPointer, start: PieceStart, into ids: inout [Int32]
  ) throws {
    let model = definition.model
    try preTokenizer.forEachWord(of: text, start: start) { word in
      try model.forEachPart(of: word) { part in
        words += 1
        if words % 4096 == 0 { try monitor.checkCancelled() }
        try cache.append(part, to: &ids) { part, ids in
          try model.encode(part, into: &ids, check: monitor.checkCancelled)
        }
      }
    }
  }
}
