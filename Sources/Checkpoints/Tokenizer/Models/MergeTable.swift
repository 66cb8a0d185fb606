// Which pairs of tokens merge, at which rank, into what: one flat hash table keyed by the pair of ids.

struct MergeTable: Sendable {
  /// A merge as one number that sorts by rank: rank in the upper half, the merged token's id in the lower.
  typealias Merge = UInt64

  /// What the table answers for a pair that does not merge; sorts after every merge.
  static let none: Merge = .max

  /// left id << 32 | right id; `.max` is free. Open addressing, linear probing, a power of two, at most half full.
  private var keys: [UInt64]
  private var merges: [Merge]
  /// Multiplicative hashing with an odd factor that differs from process to process.
  private let factor = UInt64.random(in: .min ... .max) | 1
  private let shift: UInt64

  init(capacity: Int) {
    var bits = 4
    while 1 << bits < 2 * (capacity + 1) { bits += 1 }
    keys = Array(repeating: .max, count: 1 << bits)
    merges = Array(repeating: Self.none, count: 1 << bits)
    shift = UInt64(64 - bits)
  }

  /// Adds a merge; a pair that is there already takes the new rank. At most `capacity` pairs may be added.
  mutating func insert(_ left: Int32, _ right: Int32, rank: Int, into merged: Int32) {
    let key = Self.key(left, right)
    let slot = keys.withUnsafeBufferPointer { self.slot(of: key, $0) }
    keys[slot] = key
    merges[slot] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: merged))
  }

  /// The merge of a pair, or `none`.
  func merge(_ left: Int32, _ right: Int32) -> Merge {
    keys.withUnsafeBufferPointer { keys in
      merges.withUnsafeBufferPointer { merges in merges[slot(of: Self.key(left, right), keys)] }
    }
  }

  /// Calls `body` with every pair that merges, in no order.
  func forEachPair(_ body: (Int32, Int32) -> Void) {
    for key in keys where key != .max {
      body(Int32(truncatingIfNeeded: key >> 32), Int32(truncatingIfNeeded: key))
    }
  }

  /// The id that a merge gives.
  static func id(_ merge: Merge) -> Int32 { Int32(truncatingIfNeeded: merge) }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  private func slot(of key: UInt64, _ keys: UnsafeBufferPointer<UInt64>) -> Int {
    let mask = keys.count - 1
    var slot = Int(truncatingIfNeeded: (key &* factor) >> shift)
    while keys[slot] != key, keys[slot] != .max { slot = (slot + 1) & mask }
    return slot
  }
}
