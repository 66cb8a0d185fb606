// Progress of one request: remembered for job/list, and told to the client that gave a token (LSP 3.17, progress).

import Glibc
import JSON
import JSONRPC
import Synchronization
import WireTypes

/// Collects progress from compute threads and passes it on: begin once, reports at most ten a second and never
/// backwards, end once.
final class ProgressReporter: Sendable {
  struct Snapshot: Sendable {
    var fraction = 0.0
    var message = ""
  }

  private struct State {
    var snapshot = Snapshot()
    var begun = false
    var ended = false
    var lastReport = 0.0
    var firstFraction: (time: Double, fraction: Double)?
  }

  private let title: String
  private let token: JSON?
  private let outbox: Outbox
  let started = monotonicSeconds()
  private let state = Mutex(State())

  init(title: String, token: JSON?, outbox: Outbox) {
    self.title = title
    self.token = token
    self.outbox = outbox
  }

  var snapshot: Snapshot { state.withLock { $0.snapshot } }

  func begin() {
    guard let token else { return }
    state.withLock { $0.begun = true }
    send(Progress.begin(token: token, title: title))
  }

  func report(_ fraction: Double, _ message: String) {
    let now = monotonicSeconds()
    let due: (percentage: Int, message: String)? = state.withLock { state in
      state.snapshot.fraction = max(state.snapshot.fraction, min(1, fraction.isFinite ? fraction : 0))
      state.snapshot.message = message
      guard token != nil, state.begun, !state.ended, now - state.lastReport >= 0.1 else { return nil }
      state.lastReport = now
      let remaining = Self.remaining(&state, now: now)
      return (Int(state.snapshot.fraction * 100), message + remaining)
    }
    guard let token, let due, case .string(let key) = Self.key(token) else { return }
    let value = Progress.report(token: token, percentage: due.percentage, message: due.message)
    // Nothing in it can be unwritable; a report that is lost is followed by the next.
    try? outbox.send(latest: Notification(method: Progress.name, params: value).json, key: key)
  }

  func end(_ message: String) {
    let due = state.withLock { state in
      defer { state.ended = true }
      return state.begun && !state.ended
    }
    if let token, due { send(Progress.end(token: token, message: message)) }
  }

  /// `, 12 s left` once enough is known to say so.
  private static func remaining(_ state: inout State, now: Double) -> String {
    guard let first = state.firstFraction else {
      state.firstFraction = (now, state.snapshot.fraction)
      return ""
    }
    let progress = state.snapshot.fraction - first.fraction
    guard progress > 0.02 else { return "" }
    let left = (now - first.time) / progress * (1 - state.snapshot.fraction)
    return ", \(Int(left.rounded(.up))) s left"
  }

  private func send(_ value: JSON) {
    outbox.send(body: (try? Notification(method: Progress.name, params: value).json.serialized()) ?? [])
  }

  /// Tokens 1 and "1" are different.
  private static func key(_ token: JSON) -> JSON {
    switch token {
    case .integer(let number): .string("integer \(number)")
    case .string(let text): .string("string \(text)")
    default: .null
    }
  }
}

/// Seconds on a clock that never goes back.
func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
