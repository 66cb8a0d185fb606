// In which order a run goes through the sequences of its dataset: epoch after epoch, each shuffled anew from the seed.

import Workspace

/// A dataset's sequences without end. What comes at a position depends on nothing but the seed.
package struct DataOrder: Sendable {
  private let count: Int
  private let seed: UInt64
  private let isShuffled: Bool
  private var epoch: (number: Int, order: [Int])?

  /// - Parameter count: of sequences, at least 1.
  package init(count: Int, seed: UInt64, isShuffled: Bool) {
    precondition(count >= 1)
    self.count = count
    self.seed = seed
    self.isShuffled = isShuffled
  }

  /// The number of the sequence at `position`, counted from 0 over all epochs.
  package mutating func sequence(at position: Int) -> Int {
    guard isShuffled else { return position % count }
    let number = position / count
    if epoch?.number != number {
      var generator = SplitMix64(seed: seed &+ UInt64(number) &* 0x9e37_79b9_7f4a_7c15)
      epoch = (number, (0..<count).shuffled(using: &generator))
    }
    return epoch?.order[position % count] ?? 0
  }
}
