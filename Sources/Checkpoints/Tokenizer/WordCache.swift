// The tokens of words met before in the same text. Most words of a text are repetitions.

/// A bounded map from words to their tokens.
struct WordCache {
  private struct Entry {
    var word: Range<Int>
    var tokens: Range<Int>
  }

  /// Longer words rarely come again.
  private static let wordLimit = 64
  private static let entryLimit = 1 << 16

  private var words: [UInt8] = []
  private var tokens: [Int32] = []
  private var entries: [Entry] = []
  /// Index of an entry by the hash of its word, -1 is free; linear probing, at most half full.
  private var slots = [Int32](repeating: -1, count: 1 << 12)

  /// Appends the tokens of `word` to `ids`, from `encode` the first time.
  mutating func append(
    _ word: UnsafeRawBufferPointer, to ids: inout [Int32],
    encode: (UnsafeRawBufferPointer, inout [Int32]) throws -> Void
  ) rethrows {
    guard word.count <= Self.wordLimit else { return try encode(word, &ids) }
    let slot = slot(of: word)
    if slots[slot] >= 0 { return ids.append(contentsOf: tokens[entries[Int(slots[slot])].tokens]) }

    let start = ids.count
    try encode(word, &ids)
    guard entries.count < Self.entryLimit else { return }
    slots[slot] = Int32(entries.count)
    entries.append(
      Entry(word: words.count..<words.count + word.count, tokens: tokens.count..<tokens.count + ids.count - start))
    words.append(contentsOf: word)
    tokens.append(contentsOf: ids[start...])
    if 2 * entries.count > slots.count { grow() }
  }

  private func slot(of word: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: word)
    let mask = slots.count - 1
    return words.withUnsafeBytes { words -> Int in
      var slot = hasher.finalize() & mask
      while slots[slot] >= 0 {
        let known = UnsafeRawBufferPointer(rebasing: words[entries[Int(slots[slot])].word])
        if known.count == word.count, known.elementsEqual(word) { break }
        slot = (slot + 1) & mask
      }
      return slot
    }
  }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: slots.count * 2)
    for (index, entry) in entries.enumerated() {
      let slot = words.withUnsafeBytes { self.slot(of: UnsafeRawBufferPointer(rebasing: $0[entry.word])) }
      slots[slot] = Int32(index)
    }
  }
}
