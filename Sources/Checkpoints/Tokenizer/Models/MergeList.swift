// Byte pair encoding of a long word in O(n log n): a linked list of symbols and a heap of the merges that are possible.
// Text without spaces makes words as long as itself; scanning them would take quadratic time.

struct MergeList {
  private var symbols: [Int32]
  /// The position of the symbol behind each, or -1. Positions are those of the word's bytes and never move.
  private var next: [Int32]
  private var previous: [Int32]
  /// How each symbol merges with the one behind it. `none` for the last symbol and for those that are gone.
  private var pairs: [MergeTable.Merge]
  private let table: MergeTable
  /// rank << 32 | position, a binary min-heap. May hold merges that are no longer possible.
  private var heap: [UInt64] = []

  /// - Parameter symbols: at most 2^31 - 1.
  init(_ symbols: [Int32], _ table: MergeTable) {
    self.symbols = symbols
    self.table = table
    next = symbols.indices.map { $0 + 1 < symbols.count ? Int32($0 + 1) : -1 }
    previous = symbols.indices.map { Int32($0 - 1) }
    pairs = Array(repeating: MergeTable.none, count: symbols.count)
    for position in symbols.indices { look(at: position) }
  }

  /// Merges what merges and appends the tokens to `ids`.
  /// - Throws: what `check` throws, which is called after every few thousand merges.
  mutating func mergeAll(into ids: inout [Int32], check: () throws -> Void) rethrows {
    var steps = 0
    while let top = popped() {
      steps += 1
      if steps % 4096 == 0 { try check() }
      let position = Int(UInt32(truncatingIfNeeded: top))
      let merge = pairs[position]
      guard merge != MergeTable.none, merge >> 32 == top >> 32 else { continue }  // the pair has changed since
      let gone = Int(next[position])
      symbols[position] = MergeTable.id(merge)
      next[position] = next[gone]
      pairs[gone] = MergeTable.none
      if next[position] >= 0 { previous[Int(next[position])] = Int32(position) }
      look(at: position)
      if previous[position] >= 0 { look(at: Int(previous[position])) }
    }
    var position = symbols.isEmpty ? -1 : 0
    while position >= 0 {
      ids.append(symbols[position])
      position = Int(next[position])
    }
  }

  /// Notes how the symbol at `position` merges with the one behind it.
  private mutating func look(at position: Int) {
    let behind = Int(next[position])
    pairs[position] = behind >= 0 ? table.merge(symbols[position], symbols[behind]) : MergeTable.none
    if pairs[position] != MergeTable.none { push((pairs[position] >> 32) << 32 | UInt64(position)) }
  }

  private mutating func push(_ value: UInt64) {
    heap.append(value)
    var index = heap.count - 1
    while index > 0, heap[(index - 1) / 2] > heap[index] {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  private mutating func popped() -> UInt64? {
    guard let top = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return top }
    heap[0] = last
    var index = 0
    while true {
      var least = index
      let (left, right) = (2 * index + 1, 2 * index + 2)
      if left < heap.count, heap[left] < heap[least] { least = left }
      if right < heap.count, heap[right] < heap[least] { least = right }
      if least == index { return top }
      heap.swapAt(index, least)
      index = least
    }
  }
}
