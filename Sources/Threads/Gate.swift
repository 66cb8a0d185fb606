// A state that threads share and wait on: a mutex and a condition variable, which the Synchronization module lacks.

import Glibc

/// Guards `State`; whoever waits is woken after every change.
package final class Gate<State>: @unchecked Sendable {
  // On the heap, since neither may move.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var state: State

  package init(_ state: State) {
    self.state = state
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(changed, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  /// Looks at the state or changes it.
  package func withLock<R>(_ body: (inout State) -> R) -> R {
    pthread_mutex_lock(mutex)
    defer {
      pthread_cond_broadcast(changed)
      pthread_mutex_unlock(mutex)
    }
    return body(&state)
  }

  /// Waits until `body` answers; it is asked again after every change. nil once `seconds` have passed.
  @discardableResult
  package func wait<R>(atMost seconds: Double = .infinity, _ body: (inout State) -> R?) -> R? {
    var deadline = timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    let isLimited = seconds < 1e9
    if isLimited {
      let nanoseconds = deadline.tv_nsec + Int(max(0, seconds) * 1e9)
      deadline.tv_sec += nanoseconds / 1_000_000_000
      deadline.tv_nsec = nanoseconds % 1_000_000_000
    }
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let answer = body(&state) {
        pthread_cond_broadcast(changed)
        return answer
      }
      let status = isLimited ? pthread_cond_timedwait(changed, mutex, &deadline) : pthread_cond_wait(changed, mutex)
      if status == ETIMEDOUT { return body(&state) }
    }
  }
}
