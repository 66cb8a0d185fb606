// Decoding token by token: each step passes on what later tokens cannot change any more. A whole sequence is decoded
// the same way, so that the text of a stream is always the text of the whole.

/// The steps of a decoder with what they hold back.
struct DecoderChain {
  private var stages: [DecoderStage]

  /// - Parameter isRaw: give the bytes that tokens stand for, UTF-8 or not, as soon as they are there.
  init(_ steps: [DecoderStep], isRaw: Bool = false) {
    let joining = steps.firstIndex(where: \.isJoining) ?? steps.count
    // What comes behind the first step that joins sees one token; if it cannot take that in pieces it gets it whole.
    let streams = steps.dropFirst(joining + 1).allSatisfy(\.isStreaming)
    stages = steps.enumerated().map { index, step in
      DecoderStage(step, isRaw: isRaw, gathers: index == joining && !streams, inPieces: index > joining && streams)
    }
  }

  /// Takes the next token and appends what is final to `output`.
  mutating func append(_ token: UnsafeRawBufferPointer, to output: inout [UInt8]) {
    push(Array(token), 0, &output)
  }

  /// Appends what was held back.
  mutating func finish(into output: inout [UInt8]) {
    for index in stages.indices { forward(stages[index].finish(), index, &output) }
  }

  private mutating func push(_ token: [UInt8], _ index: Int, _ output: inout [UInt8]) {
    guard index < stages.count else { return output.append(contentsOf: token) }
    forward(stages[index].push(token), index, &output)
  }

  private mutating func forward(_ tokens: DecoderStage.Output, _ index: Int, _ output: inout [UInt8]) {
    switch tokens {
    case .none: break
    case .one(let token): push(token, index + 1, &output)
    case .many(let tokens): for token in tokens { push(token, index + 1, &output) }
    }
  }
}

/// One step at work.
struct DecoderStage {
  enum Output {
    case none
    case one([UInt8])
    case many([[UInt8]])
  }

  private let step: DecoderStep
  private let isRaw: Bool
  /// Holds everything back until the end.
  private let gathers: Bool
  /// All it gets are pieces of one token.
  private let inPieces: Bool
  private var held: [UInt8] = []
  /// Tokens seen, or pieces.
  private var count = 0
  /// Characters that `strip` may still take away at the front; only `inPieces`.
  private var left = 0

  init(_ step: DecoderStep, isRaw: Bool, gathers: Bool, inPieces: Bool) {
    self.step = step
    self.isRaw = isRaw
    self.gathers = gathers
    self.inPieces = inPieces
    if case .strip(_, let start, _) = step { left = start }
  }

  mutating func push(_ token: [UInt8]) -> Output {
    defer { count += 1 }
    switch step {
    case .byteLevel:
      token.withUnsafeBytes { ByteAlphabet.appendDecoded($0, to: &held) }
      return gathers ? .none : release(keeping: isRaw ? 0 : UTF8Text.incompleteSuffix(held))
    case .byteFallback: return pushFallback(token)
    case .fuse:
      guard gathers else { return .one(token) }
      held += token
      return .none
    case .replace(let target, let content): return .one(Self.replaced(token, target, content))
    case .metaspace(let replacement, let dropsFirst):
      let drops = dropsFirst && (inPieces || count == 0)
      return .one(Self.replaced(token, replacement, drops ? [] : [UInt8(ascii: " ")]))
    case .spaced: return .one(count == 0 ? token : [UInt8(ascii: " ")] + token)
    case .strip(let character, let start, let stop):
      if inPieces { return pushPiece(token, character, stop) }
      return .one(Self.stripped(token, character, start, stop))
    }
  }

  /// What is left at the end of the sequence.
  mutating func finish() -> Output {
    defer { (held, count) = ([], 0) }
    switch step {
    case .byteFallback: return releaseBytes().map { .one($0) } ?? .none
    case .byteLevel:
      return held.isEmpty ? .none : .one(isRaw ? held : Array(String(decoding: held, as: UTF8.self).utf8))
    case .fuse: return gathers ? .one(held) : .none
    case .strip(let character, _, let stop):
      return inPieces && !held.isEmpty ? .one(Self.stripped(held, character, 0, stop)) : .none
    default: return .none
    }
  }

  /// Gives what is held but for the last `count` bytes.
  private mutating func release(keeping count: Int) -> Output {
    let end = held.count - count
    guard end > 0 else { return .none }
    let released = Array(held[..<end])
    held.removeFirst(end)
    return .one(isRaw ? released : Array(String(decoding: released, as: UTF8.self).utf8))
  }

  private mutating func pushFallback(_ token: [UInt8]) -> Output {
    if let byte = ByteTokens.byte(of: token) {
      if isRaw { return .one([byte]) }
      held.append(byte)  // one wrong byte later spoils all, so nothing is final yet
      return .none
    }
    guard let characters = releaseBytes() else { return .one(token) }
    return .many([characters, token])
  }

  private mutating func releaseBytes() -> [UInt8]? {
    guard !held.isEmpty else { return nil }
    defer { held = [] }
    if String(validating: held, as: UTF8.self) != nil { return held }
    return held.flatMap { _ in UTF8.encodedReplacementCharacter }
  }

  /// Strips one token that comes in pieces: `held` are the characters at its end that may have to go.
  private mutating func pushPiece(_ piece: [UInt8], _ character: [UInt8], _ stop: Int) -> Output {
    var piece = held + piece
    held = []
    while left > 0, piece.count >= character.count {
      guard piece.starts(with: character) else {
        left = 0
        break
      }
      piece.removeFirst(character.count)
      left -= 1
    }
    var end = piece.count
    for _ in 0..<stop {
      guard end >= character.count, piece[(end - character.count)..<end].elementsEqual(character) else { break }
      end -= character.count
    }
    held = Array(piece[end...])
    piece.removeSubrange(end...)
    return piece.isEmpty ? .none : .one(piece)
  }

  private static func stripped(_ token: [UInt8], _ character: [UInt8], _ start: Int, _ stop: Int) -> [UInt8] {
    var token = token[...]
    for _ in 0..<start {
      guard token.starts(with: character) else { break }
      token.removeFirst(character.count)
    }
    for _ in 0..<stop {
      guard token.count >= character.count, token.suffix(character.count).elementsEqual(character) else { break }
      token.removeLast(character.count)
    }
    return Array(token)
  }

  private static func replaced(_ token: [UInt8], _ target: [UInt8], _ content: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    var taken = 0
    token.withUnsafeBytes { bytes in
      while let match = Replacer.match(of: target, in: bytes, from: taken) {
        output += bytes[taken..<match.lowerBound]
        output += content
        taken = match.upperBound
      }
    }
    return taken == 0 ? token : output + token[taken...]
  }
}
