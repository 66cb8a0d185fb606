// A prefix tree over byte strings: which tokens begin at a place of a text. Edges are in one flat hash table.

struct ByteTrie: Sendable {
  /// node << 8 | byte; `.max` is free. Open addressing, linear probing, a power of two, at most half full.
  private var keys: [UInt64] = Array(repeating: .max, count: 1 << 10)
  private var children: [UInt32] = Array(repeating: 0, count: 1 << 10)
  /// What ends at each node, -1 for nothing. Node 0 is the root.
  private var values: [Int32] = [-1]
  /// Multiplicative hashing with an odd factor that differs from process to process.
  private let factor = UInt64.random(in: .min ... .max) | 1

  /// Adds `key`, which takes the new value if it is there already.
  mutating func insert(_ key: UnsafeRawBufferPointer, _ value: Int32) {
    var node: UInt32 = 0
    for byte in key {
      if 2 * (values.count + 1) > keys.count { grow() }
      let edge = UInt64(node) << 8 | UInt64(byte)
      let slot = slot(of: edge)
      if keys[slot] == .max {
        keys[slot] = edge
        children[slot] = UInt32(values.count)
        values.append(-1)
      }
      node = children[slot]
    }
    values[Int(node)] = value
  }

  /// Calls `body` with the end and the value of each key that `text` has at `start`, the shortest first; not of an
  /// empty one.
  func forEachPrefix(of text: UnsafeRawBufferPointer, from start: Int, _ body: (_ end: Int, _ value: Int32) -> Void) {
    var node: UInt32 = 0
    var place = start
    while place < text.count {
      let slot = slot(of: UInt64(node) << 8 | UInt64(text[place]))
      guard keys[slot] != .max else { return }
      node = children[slot]
      place += 1
      if values[Int(node)] >= 0 { body(place, values[Int(node)]) }
    }
  }

  /// The value of the whole of `key`.
  func value(of key: UnsafeRawBufferPointer) -> Int32? {
    var found: Int32?
    forEachPrefix(of: key, from: 0) { end, value in if end == key.count { found = value } }
    return found
  }

  private func slot(of key: UInt64) -> Int {
    let mask = keys.count - 1
    var slot = Int(truncatingIfNeeded: (key &* factor) >> UInt64(64 - keys.count.trailingZeroBitCount))
    while keys[slot] != key, keys[slot] != .max { slot = (slot + 1) & mask }
    return slot
  }

  private mutating func grow() {
    let (oldKeys, oldChildren) = (keys, children)
    keys = Array(repeating: .max, count: oldKeys.count * 2)
    children = Array(repeating: 0, count: oldKeys.count * 2)
    for (key, child) in zip(oldKeys, oldChildren) where key != .max {
      let slot = slot(of: key)
      keys[slot] = key
      children[slot] = child
    }
  }
}
