// A detached pthread that runs a closure: the one way in which Espalier starts threads.

import CSystem
import Glibc

private final class ThreadBody: Sendable {
  let name: String
  let run: @Sendable () -> Void
  init(name: String, run: @escaping @Sendable () -> Void) {
    self.name = name
    self.run = run
  }
}

/// Starts a detached thread. False if the system refuses one more.
/// - Parameter name: shown by debuggers and `top -H`; cut to 15 bytes.
@discardableResult
package func startThread(named name: String, _ run: @escaping @Sendable () -> Void) -> Bool {
  var thread = pthread_t()
  let body = Unmanaged.passRetained(ThreadBody(name: name, run: run))
  let status = pthread_create(
    &thread, nil,
    { argument in
      guard let argument else { return nil }
      let body = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
      cs_name_thread(body.name)
      body.run()
      return nil
    }, body.toOpaque())
  guard status == 0 else {
    body.release()
    return false
  }
  pthread_detach(thread)
  return true
}
