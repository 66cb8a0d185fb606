// The one array that answers a batch (JSON-RPC 2.0, section 6), gathered from answers that come at any time.

import Synchronization

/// Collects a known number of responses and delivers them together, in the order of their requests.
final class BatchReply: Sendable {
  private let state: Mutex<(bodies: [[UInt8]], missing: Int)>
  private let deliver: @Sendable (_ body: [UInt8]) -> Void

  /// - Parameter count: responses to come, at least one.
  init(count: Int, deliver: @escaping @Sendable (_ body: [UInt8]) -> Void) {
    state = Mutex((bodies: Array(repeating: [], count: count), missing: count))
    self.deliver = deliver
  }

  /// Takes the response number `index`, each once; the last one to come sends the array.
  func add(_ body: [UInt8], at index: Int) {
    let complete: [[UInt8]]? = state.withLock { state in
      state.bodies[index] = body
      state.missing -= 1
      return state.missing == 0 ? state.bodies : nil
    }
    guard let complete else { return }
    deliver([0x5b] + Array(complete.joined(separator: [0x2c])) + [0x5d])
  }
}
