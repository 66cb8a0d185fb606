// The character map of a SentencePiece model (`precompiled_charsmap`): strings by what they are replaced with, as a
// double array (Aoe 1989, in the layout of darts-clone) that leads to places in a text of strings ended by NUL.
// Applied as Hugging Face's `spm_precompiled` does: by grapheme clusters, and by characters where a cluster is longer
// than five bytes or not in the map; the shortest key that begins a cluster decides for all of it.

struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let strings: [UInt8]

  static let expected = "a SentencePiece character map: a size, a double array of that many bytes, and UTF-8 text"

  /// - Parameter bytes: the map as in the model file.
  /// - Throws: `TokenizerFault.field` with `name`.
  init(_ bytes: [UInt8], name: String) throws(TokenizerFault) {
    let fault = TokenizerFault.field(name, expected: Self.expected)
    func word(_ place: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32(8 * $1) }
    }
    guard bytes.count >= 4 else { throw fault }
    let size = Int(word(0))
    guard size % 4 == 0, size >= 4, size <= bytes.count - 4 else { throw fault }
    units = (0..<size / 4).map { word(4 + 4 * $0) }
    strings = Array(bytes[(4 + size)...])
    guard String(validating: strings, as: UTF8.self) != nil else { throw fault }
  }

  /// - Throws: `TokenizerFault.textTooLong`.
  func normalize(_ piece: inout TextPiece) throws(TokenizerFault) {
    var output: [UInt8] = []
    output.reserveCapacity(piece.bytes.count)
    let text = piece.bytes
    var tooLong: Int?
    text.withUnsafeBytes { text in
      var place = 0
      while place < text.count, tooLong == nil {
        let end = UTF8Text.endOfStretch(text, from: place)
        let stretch = UnsafeRawBufferPointer(rebasing: text[place..<end])
        if stretch.count == 1 {
          replaceCharacters(of: stretch, into: &output)
        } else {
          for cluster in String(decoding: stretch, as: UTF8.self) {
            var cluster = String(cluster)
            cluster.withUTF8 { replaceCluster(UnsafeRawBufferPointer($0), into: &output) }
          }
        }
        place = end
        if output.count > Normalizer.limit { tooLong = output.count }
      }
    }
    if let tooLong { try Normalizer.check(tooLong) }
    piece.bytes = output
  }

  private func replaceCluster(_ cluster: UnsafeRawBufferPointer, into output: inout [UInt8]) {
    if cluster.count < 6, let range = replacement(of: cluster) {
      output += strings[range]
    } else {
      replaceCharacters(of: cluster, into: &output)
    }
  }

  private func replaceCharacters(of text: UnsafeRawBufferPointer, into output: inout [UInt8]) {
    var place = 0
    while place < text.count {
      let width = UTF8Text.scalar(text, at: place).width
      let character = UnsafeRawBufferPointer(rebasing: text[place..<place + width])
      if let range = replacement(of: character) { output += strings[range] } else { output += character }
      place += width
    }
  }

  /// Where the replacement of the shortest key that `text` begins with stands in `strings`.
  private func replacement(of text: UnsafeRawBufferPointer) -> Range<Int>? {
    func offset(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & 1 << 9) >> 6)) }
    var node = offset(units[0])
    for byte in text {
      guard byte != 0 else { return nil }
      node ^= Int(byte)
      guard node < units.count else { return nil }
      let unit = units[node]
      guard unit & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
      node ^= offset(unit)
      guard node < units.count else { return nil }
      if unit >> 8 & 1 == 1 {
        let start = Int(units[node] & (1 << 31 - 1))
        guard start <= strings.count else { return nil }
        return start..<(strings[start...].firstIndex(of: 0) ?? strings.count)
      }
    }
    return nil
  }
}
