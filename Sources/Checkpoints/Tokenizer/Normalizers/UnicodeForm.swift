// Unicode's normal forms (UAX 15): the only file that knows utf8proc. Hugging Face's `tokenizers` normalises by the
// tables of Unicode 9, for which later characters are unassigned: they neither decompose nor move. Normalisation of
// what Unicode 9 has is stable (UAX 15, section 3), so a newer table that leaves later characters alone gives the same.

import CUTF8Proc

enum UnicodeForm: String, Sendable {
  case nfc = "NFC"
  case nfd = "NFD"
  case nfkc = "NFKC"
  case nfkd = "NFKD"

  private var composes: Bool { self == .nfc || self == .nfkc }

  private var options: utf8proc_option_t {
    let options = UTF8PROC_STABLE.rawValue | UTF8PROC_DECOMPOSE.rawValue
    return utf8proc_option_t(self == .nfkc || self == .nfkd ? options | UTF8PROC_COMPAT.rawValue : options)
  }

  /// The normal form of valid UTF-8.
  func normalize(_ text: [UInt8]) -> [UInt8] {
    guard text.contains(where: { $0 >= 0x80 }) else { return text }
    var output: [UInt8] = []
    output.reserveCapacity(text.count)
    text.withUnsafeBytes { text in
      var place = 0
      while place < text.count {
        let end = UTF8Text.endOfStretch(text, from: place)
        if end == place + 1 {
          output.append(text[place])
        } else {
          normalize(UnsafeRawBufferPointer(rebasing: text[place..<end]), into: &output)
        }
        place = end
      }
    }
    return output
  }

  private func normalize(_ text: UnsafeRawBufferPointer, into output: inout [UInt8]) {
    var run: [Int32] = []  // decomposed characters
    // Four times the longest decomposition there is (18 characters).
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: 72) { buffer in
      var place = 0
      while place < text.count {
        let (value, width) = UTF8Text.scalar(text, at: place)
        place += width
        if Self.isLaterThanUnicode9(value) {
          finish(&run, into: &output)
          UTF8Text.append(value, to: &output)
          continue
        }
        var boundary: Int32 = 0
        let count = utf8proc_decompose_char(
          Int32(bitPattern: value), buffer.baseAddress, buffer.count, options, &boundary)
        if count > 0, count <= buffer.count {
          run += buffer[..<count]
        } else {
          run.append(Int32(bitPattern: value))
        }
      }
    }
    finish(&run, into: &output)
  }

  /// Orders and composes what is decomposed, and appends it.
  private func finish(_ run: inout [Int32], into output: inout [UInt8]) {
    guard !run.isEmpty else { return }
    Self.order(&run)
    if composes {
      let options = utf8proc_option_t(UTF8PROC_STABLE.rawValue | UTF8PROC_COMPOSE.rawValue)
      let count = run.withUnsafeMutableBufferPointer {
        utf8proc_normalize_utf32($0.baseAddress, $0.count, options)
      }
      if count >= 0, count <= run.count { run.removeLast(run.count - count) }
    }
    for character in run { UTF8Text.append(UInt32(bitPattern: character), to: &output) }
    run.removeAll(keepingCapacity: true)
  }

  /// Sorts marks in a row by their combining class and keeps the order of equal ones (UAX 15, section 1.3). utf8proc's
  /// own ordering takes quadratic time.
  private static func order(_ run: inout [Int32]) {
    func combiningClass(_ character: Int32) -> Int32 { Int32(utf8proc_get_property(character).pointee.combining_class) }
    var start = 0
    while start < run.count {
      guard run[start] >= 0x300, combiningClass(run[start]) != 0 else {
        start += 1
        continue
      }
      var marks: [(key: Int, character: Int32)] = []
      var isSorted = true
      var end = start
      while end < run.count {
        let value = combiningClass(run[end])
        if value == 0 { break }
        let key = Int(value) << 32 | (end - start)
        if let last = marks.last, last.key > key { isSorted = false }
        marks.append((key, run[end]))
        end += 1
      }
      if !isSorted {
        marks.sort { $0.key < $1.key }
        for (offset, mark) in marks.enumerated() { run[start + offset] = mark.character }
      }
      start = end
    }
  }

  private static func isLaterThanUnicode9(_ value: UInt32) -> Bool {
    if value < 0x500 { return false }
    guard let age = Unicode.Scalar(value)?.properties.age else { return true }
    return age.major > 9
  }
}
