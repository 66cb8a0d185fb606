// The alphabet of byte-level BPE: one printable character for each byte, so that vocabularies are readable text.
// From GPT-2 (Radford et al. 2019, `bytes_to_unicode` of its encoder): printable Latin-1 bytes stand for themselves,
// the other 68 for U+0100 and up, in the order of their values.

enum ByteAlphabet {
  /// The character of each byte; all are below U+0144.
  static let scalars: [UInt16] = {
    var next: UInt16 = 0x100
    return (0...255).map { (byte: UInt16) in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
      default:
        defer { next += 1 }
        return next
      }
    }
  }()

  /// The byte of each character of the alphabet, -1 for other characters below U+0144.
  static let bytes: [Int16] = {
    var bytes = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar)] = Int16(byte) }
    return bytes
  }()

  /// Appends the characters of `bytes` as UTF-8.
  static func append(_ bytes: UnsafeRawBufferPointer, to text: inout [UInt8]) {
    for byte in bytes {
      let scalar = scalars[Int(byte)]
      if scalar < 0x80 {
        text.append(UInt8(scalar))
      } else {
        text.append(UInt8(0xC0 | scalar >> 6))
        text.append(UInt8(0x80 | scalar & 0x3F))
      }
    }
  }

  /// Appends the bytes that `token` stands for: those of its characters if all are in the alphabet, or else the
  /// token's own. Added tokens are decoded by the same rule, as Hugging Face does.
  static func appendDecoded(_ token: UnsafeRawBufferPointer, to output: inout [UInt8]) {
    let start = output.count
    var index = 0
    while index < token.count {
      var scalar = Int(token[index])
      index += 1
      if scalar >= 0x80 {
        // The alphabet needs two bytes at most: 110xxxxx 10xxxxxx.
        guard scalar & 0xE0 == 0xC0, index < token.count else { return restart() }
        scalar = (scalar & 0x1F) << 6 | Int(token[index]) & 0x3F
        index += 1
      }
      guard scalar < bytes.count, bytes[scalar] >= 0 else { return restart() }
      output.append(UInt8(bytes[scalar]))
    }

    func restart() {
      output.removeSubrange(start...)
      output.append(contentsOf: token)
    }
  }
}
