// Until when to wait.

/// A moment on a clock that never jumps, or never.
struct Deadline: Sendable {
  /// nil for never.
  private let moment: ContinuousClock.Instant?

  /// - Parameter seconds: from now; infinity for never.
  init(in seconds: Double) { moment = seconds < 1e9 ? .now + .seconds(max(0, seconds)) : nil }

  /// Infinity for never, else at least 0.
  var secondsLeft: Double { moment.map { max(0, ($0 - .now) / .seconds(1)) } ?? .infinity }

  /// What poll(2) wants: milliseconds, rounded up; -1 for never.
  var millisecondsLeft: Int32 {
    let left = secondsLeft
    return left < 1e6 ? Int32((left * 1000).rounded(.up)) : -1
  }
}
