// What a long computation owes the one who asked for it: to stop when told, and to say how far it is.

import Synchronization

/// Thrown by a computation that stopped because its `Cancellation` was cancelled.
package struct Cancelled: Error {
  package init() {}
}

/// A flag that one thread raises and computations poll. Raising it twice is harmless; it never goes down.
package final class Cancellation: Sendable {
  private let flag = Atomic<Bool>(false)
  private let others: [Cancellation]

  /// - Parameter others: flags that raise this one, too.
  package init(following others: Cancellation...) { self.others = others }

  package func cancel() { flag.store(true, ordering: .relaxed) }
  package var isCancelled: Bool { flag.load(ordering: .relaxed) || others.contains(where: \.isCancelled) }

  /// - Throws: `Cancelled` if the flag is up.
  package func check() throws(Cancelled) {
    if isCancelled { throw Cancelled() }
  }
}

/// The caller's side of a long computation: its cancellation flag and its ear for progress.
package struct Monitor: Sendable {
  package let cancellation: Cancellation
  private let listener: @Sendable (_ fraction: Double, _ message: String) -> Void

  /// - Parameter listener: called on compute threads, as often as the computation likes; it must be cheap.
  package init(
    cancellation: Cancellation = Cancellation(),
    listener: @escaping @Sendable (_ fraction: Double, _ message: String) -> Void = { _, _ in }
  ) {
    self.cancellation = cancellation
    self.listener = listener
  }

  /// Says that `fraction` (0...1) of the work is done and what is going on.
  package func report(_ fraction: Double, _ message: String) { listener(fraction, message) }

  /// - Throws: `Cancelled` if the caller has asked to stop.
  package func checkCancelled() throws(Cancelled) { try cancellation.check() }

  /// The monitor of a part of the work, whose 0...1 is `range` of the whole.
  package func part(_ range: ClosedRange<Double>) -> Monitor {
    let listener = listener
    return Monitor(cancellation: cancellation) { fraction, message in
      listener(range.lowerBound + (range.upperBound - range.lowerBound) * fraction, message)
    }
  }
}
