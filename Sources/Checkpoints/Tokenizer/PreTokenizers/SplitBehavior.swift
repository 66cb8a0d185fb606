// What becomes of the matches when a text is cut at them: the five behaviours of `tokenizers`.

import JSON

enum SplitBehavior: String, Sendable {
  /// Matches are pieces of their own.
  case isolated = "Isolated"
  case removed = "Removed"
  /// A match goes to the end of the piece before it.
  case mergedWithPrevious = "MergedWithPrevious"
  /// A match goes to the start of the piece behind it.
  case mergedWithNext = "MergedWithNext"
  /// Matches in a row are one piece.
  case contiguous = "Contiguous"
}

/// Puts pieces together from matches and what lies between them, which are told in order and without gaps.
struct Splitter {
  let behavior: SplitBehavior
  /// What is a match counts as none, and the other way round.
  let isInverted: Bool
  /// The piece that may still grow.
  private var held: Range<Int>?
  private var heldIsMatch = false

  init(_ behavior: SplitBehavior, inverted: Bool = false) {
    self.behavior = behavior
    isInverted = inverted
  }

  /// Takes the next part of the text, and calls `emit` with pieces that are complete.
  mutating func add(_ range: Range<Int>, isMatch: Bool, _ emit: (Range<Int>) throws -> Void) rethrows {
    let isMatch = isMatch != isInverted
    switch behavior {
    case .isolated: try send(range, emit)
    case .removed: if !isMatch { try send(range, emit) }
    case .contiguous: try hold(range, growing: isMatch == heldIsMatch, emit)
    case .mergedWithPrevious: try hold(range, growing: isMatch && !heldIsMatch, emit)
    case .mergedWithNext: try hold(range, growing: !isMatch && heldIsMatch, emit)
    }
    heldIsMatch = isMatch
  }

  /// Emits what is left.
  mutating func finish(_ emit: (Range<Int>) throws -> Void) rethrows {
    if let held { try send(held, emit) }
    held = nil
  }

  private mutating func hold(
    _ range: Range<Int>, growing: Bool, _ emit: (Range<Int>) throws -> Void
  ) rethrows {
    if growing, let start = held?.lowerBound {
      held = start..<range.upperBound
    } else {
      if let held { try send(held, emit) }
      held = range
    }
  }

  private func send(_ range: Range<Int>, _ emit: (Range<Int>) throws -> Void) rethrows {
    if !range.isEmpty { try emit(range) }
  }
}
