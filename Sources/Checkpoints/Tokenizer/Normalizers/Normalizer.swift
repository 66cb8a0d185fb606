// What happens to a text before it is cut into words: `normalizer` of tokenizer.json.

/// One step of a normalizer.
enum NormalizerStep: Sendable {
  /// Puts text before a text that is not empty.
  case prepend([UInt8])
  case replace(Replacement)
  case form(UnicodeForm)
  /// Each character's own lower case, without regard to its neighbours.
  case lowercase
  /// Takes whitespace away at the ends.
  case strip(left: Bool, right: Bool)
  case characterMap(CharacterMap)
}

/// Where a piece of text begins.
enum PieceStart {
  /// Where the whole text begins: `prepend_scheme` "first" of Metaspace asks for it. A step that takes the first
  /// characters away ends it.
  case text
  /// Where a text goes on that was encoded before: nothing is put before it.
  case continuation
  case inside
}

/// A piece of text, and where it begins.
struct TextPiece {
  var bytes: [UInt8]
  var start: PieceStart
}

/// Runs the steps, on one thread.
struct Normalizer {
  private let steps: [NormalizerStep]
  /// One for each step that replaces.
  private let replacers: [Replacer?]

  /// No text grows beyond this.
  static let limit = Int(Int32.max)

  init(_ steps: [NormalizerStep]) throws(TokenizerFault) {
    self.steps = steps
    var replacers: [Replacer?] = []
    for step in steps {
      if case .replace(let replacement) = step {
        replacers.append(try Replacer(replacement))
      } else {
        replacers.append(nil)
      }
    }
    self.replacers = replacers
  }

  var isEmpty: Bool { steps.isEmpty }

  /// - Throws: `TokenizerFault.textTooLong`, `.patternGaveUp`.
  func normalize(_ piece: inout TextPiece) throws(TokenizerFault) {
    for (step, replacer) in zip(steps, replacers) {
      switch step {
      case .prepend(let text):
        if !piece.bytes.isEmpty, piece.start != .continuation { piece.bytes = text + piece.bytes }
      case .replace: if let replacer { try replacer.replace(&piece) }
      case .form(let form): piece.bytes = form.normalize(piece.bytes)
      case .lowercase: piece.bytes = Self.lowercase(piece.bytes)
      case .strip(let left, let right): Self.strip(&piece, left: left, right: right)
      case .characterMap(let map): try map.normalize(&piece)
      }
    }
  }

  /// - Throws: `TokenizerFault.textTooLong`.
  static func check(_ count: Int) throws(TokenizerFault) {
    guard count <= limit else { throw .textTooLong(bytes: count, limit: limit) }
  }

  private static func lowercase(_ text: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(text.count)
    text.withUnsafeBytes { text in
      var place = 0
      while place < text.count {
        let (value, width) = UTF8Text.scalar(text, at: place)
        place += width
        if value < 0x80 {
          output.append((0x41...0x5A).contains(value) ? UInt8(value + 0x20) : UInt8(value))
        } else if let scalar = Unicode.Scalar(value) {
          output.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
        }
      }
    }
    return output
  }

  private static func strip(_ piece: inout TextPiece, left: Bool, right: Bool) {
    let kept = piece.bytes.withUnsafeBytes { text -> Range<Int> in
      var (start, end) = (0, text.count)
      while left, start < end {
        let (scalar, width) = UTF8Text.scalar(text, at: start)
        guard CharacterKind.whitespace.contains(scalar) else { break }
        start += width
      }
      while right, start < end {
        var place = end - 1
        while place > start, text[place] & 0xC0 == 0x80 { place -= 1 }
        guard CharacterKind.whitespace.contains(UTF8Text.scalar(text, at: place).scalar) else { break }
        end = place
      }
      return start..<end
    }
    guard kept != 0..<piece.bytes.count else { return }
    if kept.lowerBound > 0, piece.start == .text { piece.start = .inside }
    piece.bytes = Array(piece.bytes[kept])
  }
}
