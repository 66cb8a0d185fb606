// The tokens of single symbols, that is of bytes or characters: what byte pair encoding starts from.

struct SymbolTable: Sendable {
  /// By byte, or by character of the basic multilingual plane; -1 for none.
  private var table: [Int32]
  /// Characters of the other planes.
  private var others: [UInt32: Int32] = [:]

  /// - Parameter foreign: tokens to leave out.
  init(_ alphabet: BytePairModel.Alphabet, _ vocabulary: Vocabulary, without foreign: Set<Int32>) {
    switch alphabet {
    case .bytes:
      table = (0...255).map { (byte: UInt8) in
        var character: [UInt8] = []
        withUnsafeBytes(of: byte) { ByteAlphabet.append($0, to: &character) }
        let id = character.withUnsafeBytes { vocabulary.id(of: $0) } ?? -1
        return foreign.contains(id) ? -1 : id
      }
    case .characters:
      table = Array(repeating: -1, count: 1 << 16)
      for id in 0..<vocabulary.limit where !foreign.contains(Int32(id)) {
        vocabulary.withToken(id) { token in
          guard let token, !token.isEmpty, token.count <= 4 else { return }
          let (scalar, width) = UTF8Text.scalar(token, at: 0)
          guard width == token.count else { return }
          if scalar < UInt32(table.count) { table[Int(scalar)] = Int32(id) } else { others[scalar] = Int32(id) }
        }
      }
    }
  }

  /// The token of a symbol, -1 for none.
  func id(of symbol: UInt32) -> Int32 {
    symbol < UInt32(table.count) ? table[Int(symbol)] : others[symbol] ?? -1
  }
}

/// Between which characters merges can happen at all: those of which a merge has the first at the end of its left token
/// and the second at the start of its right one. Everywhere else a text can be cut without changing its tokens.
struct MergeSeams: Sendable {
  private var pairs: Set<UInt64> = []

  init(_ merges: MergeTable, _ vocabulary: Vocabulary) {
    merges.forEachPair { left, right in
      let last = vocabulary.withToken(Int(left)) { $0.flatMap(UTF8Text.lastScalar) }
      let first = vocabulary.withToken(Int(right)) { $0.flatMap { $0.isEmpty ? nil : UTF8Text.scalar($0, at: 0).0 } }
      if let last, let first { pairs.insert(UInt64(last) << 32 | UInt64(first)) }
    }
  }

  func mayMerge(_ left: UInt32, _ right: UInt32) -> Bool { pairs.contains(UInt64(left) << 32 | UInt64(right)) }
}
