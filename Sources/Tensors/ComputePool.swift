// The compute threads: a fixed set of pthreads that share the iterations of one loop at a time.
// The only place that makes threads for arithmetic. Swift's cooperative pool never runs a kernel.

import CSystem
import Glibc
import Synchronization
import Threads

/// Threads that run the iterations of loops. The thread that asks takes part, so a pool of `threads` has
/// `threads - 1` of its own. Loops from several threads take turns, first come first served.
package final class ComputePool: Sendable {
  package let threads: Int
  private let turns = Turns()
  private let gate = Gate(LoopState())
  private let signals = Signals()

  /// - Parameter threads: at least 1; by default as many as the processors that this process may use.
  package init(threads: Int = ComputePool.availableProcessors) {
    self.threads = max(1, threads)
    for worker in stride(from: 1, to: self.threads, by: 1) {
      // A thread that the system refuses is missed in speed only: the others take its iterations.
      let started = startThread(named: "compute-\(worker)") { [gate, signals] in
        serveLoops(of: gate, signals, as: worker)
      }
      if started { gate.withLock { $0.workers += 1 } }
    }
  }

  deinit {
    gate.withLock { $0.stopped = true }
    signals.generation.wrappingAdd(1, ordering: .releasing)
  }

  /// How many processors the scheduler lets this process use.
  package static var availableProcessors: Int { Int(cs_available_processors()) }

  /// Calls `body(iteration, worker)` once for every iteration in `0..<count` and returns when all are done.
  ///
  /// Iterations are taken in order by whichever thread is free; `worker` (0..<threads) tells them apart, for
  /// scratch memory. Iterations must not write what others read or write. Once `cancellation` is raised, those
  /// not yet begun are left out. A loop inside a loop runs on the calling worker alone, as worker 0 of its own.
  /// - Parameter most: 1 to leave all to the calling thread, for loops that are over before others could join.
  package func parallelFor(
    _ count: Int, atMost most: Int = .max, cancellation: Cancellation? = nil,
    _ body: (_ iteration: Int, _ worker: Int) -> Void
  ) {
    guard count > 0 else { return }
    if count == 1 || threads == 1 || most == 1 || LoopThread.isCurrent {
      for iteration in 0..<count where cancellation?.isCancelled != true { body(iteration, 0) }
      return
    }
    turns.take()
    withoutActuallyEscaping(body) { body in
      run(Loop(count: count, cancellation: cancellation, body: body))
    }
    turns.give()
  }

  /// Calls `body` on ranges that cut `0..<count` into pieces of at least `grain`, about four to a thread.
  package func parallelRanges(
    _ count: Int, grain: Int, cancellation: Cancellation? = nil, _ body: (_ range: Range<Int>, _ worker: Int) -> Void
  ) {
    guard count > 0 else { return }
    let size = max(1, grain, (count + 4 * threads - 1) / (4 * threads))
    parallelFor((count + size - 1) / size, cancellation: cancellation) { piece, worker in
      body(piece * size..<min(count, (piece + 1) * size), worker)
    }
  }

  /// Runs a loop with the workers and returns when the last of them has left it.
  private func run(_ loop: Loop) {
    gate.withLock { state in
      state.loop = loop
      state.generation += 1
      state.busy = state.workers
      signals.busy.store(state.workers, ordering: .relaxed)
    }
    signals.generation.wrappingAdd(1, ordering: .releasing)
    LoopThread.isCurrent = true
    loop.work(as: 0)
    LoopThread.isCurrent = false
    signals.spin { $0.busy.load(ordering: .acquiring) == 0 }
    gate.wait { state -> Void? in
      guard state.busy == 0 else { return nil }
      state.loop = nil
      return ()
    }
    loop.forgetBody()
  }
}

/// What the workers wait for.
private struct LoopState {
  var loop: Loop?
  var generation = 0
  var workers = 0
  /// Workers that have not left the loop of this generation.
  var busy = 0
  var stopped = false
}

/// What threads look at before they go to sleep: loops often follow one another within microseconds, in which waking a
/// thread up would take longer than its work.
private final class Signals: Sendable {
  /// Counts the loops; ahead of `LoopState.generation` never by more than the one being given out.
  let generation = Atomic<Int>(0)
  /// Workers still in the loop, as `LoopState.busy`.
  let busy = Atomic<Int>(0)

  /// Looks again and again for some ten microseconds, or until `isReached`.
  func spin(until isReached: (Signals) -> Bool) {
    for _ in 0..<400 where !isReached(self) { cs_relax() }
  }
}

/// The life of one worker.
private func serveLoops(of gate: Gate<LoopState>, _ signals: Signals, as worker: Int) {
  LoopThread.isCurrent = true
  var seen = 0
  while true {
    signals.spin { $0.generation.load(ordering: .acquiring) != seen }
    let next: Loop?? = gate.wait { state in
      if state.stopped { return .some(nil) }
      guard state.generation != seen else { return nil }
      seen = state.generation
      return .some(state.loop)
    }
    guard case .some(.some(let loop)) = next else { return }
    loop.work(as: worker)
    signals.busy.wrappingSubtract(1, ordering: .releasing)
    gate.withLock { $0.busy -= 1 }
  }
}

/// One loop under way: its body and the counter from which threads take iterations.
private final class Loop: @unchecked Sendable {  // the body is shared on purpose: see `parallelFor`'s contract
  private let count: Int
  private let cancellation: Cancellation?
  private var body: ((Int, Int) -> Void)?
  private let next = Atomic<Int>(0)

  init(count: Int, cancellation: Cancellation?, body: @escaping (Int, Int) -> Void) {
    self.count = count
    self.cancellation = cancellation
    self.body = body
  }

  func work(as worker: Int) {
    while true {
      let iteration = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard iteration < count, cancellation?.isCancelled != true else { return }
      body?(iteration, worker)
    }
  }

  /// Lets go of the body, which must not outlive the call that it came with. No thread is at work any more, though a
  /// worker may still hold the loop.
  func forgetBody() { body = nil }
}

/// Lets callers in one after another, in the order in which they came.
private final class Turns: Sendable {
  private let gate = Gate((next: 0, serving: 0))

  func take() {
    let ticket = gate.withLock { state in
      state.next += 1
      return state.next - 1
    }
    gate.wait { $0.serving == ticket ? () : nil }
  }

  func give() { gate.withLock { $0.serving += 1 } }
}

/// Marks the threads that are inside a loop, so that a loop inside a loop is recognised.
private enum LoopThread {
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key, nil)
    return key
  }()

  static var isCurrent: Bool {
    get { pthread_getspecific(key) != nil }
    set { pthread_setspecific(key, newValue ? UnsafeRawPointer(bitPattern: 1) : nil) }
  }
}
