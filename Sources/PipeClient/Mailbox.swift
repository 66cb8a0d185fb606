// How one thread waits for what another has: a queue without a bound.

import Threads

/// A queue between threads, first in, first out.
final class Mailbox<Element: Sendable>: Sendable {
  /// The newest comes first.
  private let elements = Gate<[Element]>([])

  func put(_ element: Element) { elements.withLock { $0.insert(element, at: 0) } }

  /// Waits for the oldest element; nil once `deadline` has passed.
  func take(by deadline: Deadline) -> Element? { elements.wait(atMost: deadline.secondsLeft) { $0.popLast() } }
}
