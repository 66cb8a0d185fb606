// The compute threads: every iteration once, loops in loops, cancellation, callers that take turns.

import Dispatch
import Synchronization
import Tensors
import TestSupport
import Testing

/// Counters that several threads may raise.
private final class Tally: Sendable {
  private let counts: Mutex<[Int]>
  init(_ count: Int) { counts = Mutex([Int](repeating: 0, count: count)) }
  func add(_ index: Int) { counts.withLock { $0[index] += 1 } }
  var values: [Int] { counts.withLock { $0 } }
  var total: Int { values.reduce(0, +) }
}

@Suite struct ComputePoolTests {
  @Test(arguments: [0, 1, 2, 7, 33, 1000], [1, 2, 3, 8])
  func everyIterationOnce(count: Int, threads: Int) {
    let pool = ComputePool(threads: threads)
    let done = Tally(count), workers = Tally(threads)
    for _ in 0..<3 {
      pool.parallelFor(count) { iteration, worker in
        done.add(iteration)
        workers.add(worker)  // out of bounds if it is no worker of the pool
      }
    }
    #expect(done.values == [Int](repeating: 3, count: count))
    #expect(workers.total == 3 * count)
  }

  /// Two iterations at once on one worker would share its scratch memory.
  @Test func workersDoOneThingAtATime() {
    let pool = ComputePool(threads: 4)
    let inside = (0..<4).map { _ in Flag() }
    let clashes = Tally(1)
    pool.parallelFor(4000) { _, worker in
      if inside[worker].raise() { clashes.add(0) }
      inside[worker].lower()
    }
    #expect(clashes.total == 0)
  }

  private final class Flag: Sendable {
    private let up = Atomic<Bool>(false)
    func raise() -> Bool { up.exchange(true, ordering: .relaxed) }
    func lower() { up.store(false, ordering: .relaxed) }
  }

  @Test(arguments: [(0, 1), (1, 1), (7, 3), (100, 1), (100, 33), (101, 100), (5000, 64)], [1, 2, 8])
  func rangesCoverAll(size: (count: Int, grain: Int), threads: Int) {
    let pool = ComputePool(threads: threads)
    let done = Tally(size.count)
    let short = Tally(1)
    pool.parallelRanges(size.count, grain: size.grain) { range, _ in
      if range.count < size.grain, range.upperBound != size.count { short.add(0) }
      for index in range { done.add(index) }
    }
    #expect(done.values == [Int](repeating: 1, count: size.count))
    #expect(short.total == 0, "only the last piece may be smaller than the grain")
  }

  @Test(arguments: [1, 2, 4])
  func loopsInLoops(threads: Int) {
    let pool = ComputePool(threads: threads)
    let done = Tally(20 * 30)
    pool.parallelFor(20) { outer, _ in
      pool.parallelFor(30) { inner, worker in
        done.add(outer * 30 + inner)
        if threads > 1, worker != 0 { done.add(0) }  // inside a loop there is one worker
      }
    }
    #expect(done.values == [Int](repeating: 1, count: 600))
  }

  @Test(arguments: [1, 2, 4])
  func cancellationLeavesTheRestOut(threads: Int) {
    let pool = ComputePool(threads: threads)
    let cancellation = Cancellation()
    let done = Tally(10_000)
    pool.parallelFor(10_000, cancellation: cancellation) { iteration, _ in
      done.add(iteration)
      if iteration == 50 { cancellation.cancel() }
    }
    #expect((51...50 + threads).contains(done.total), "what had begun was finished, nothing else was begun")
    #expect(done.values[..<51].allSatisfy { $0 == 1 })
    #expect(throws: Cancelled.self) { try cancellation.check() }
    pool.parallelFor(100, cancellation: cancellation) { iteration, _ in done.add(iteration) }
    pool.parallelRanges(100, grain: 10, cancellation: cancellation) { range, _ in done.add(range.lowerBound) }
    #expect(done.total <= 50 + threads, "a loop that is cancelled before it starts does nothing")
  }

  /// Callers on many threads: each loop runs whole, none waits for ever, no two share a worker.
  @Test(.timeLimit(.minutes(1)))
  func callersTakeTurns() {
    let pool = ComputePool(threads: 3)
    let callers = 8, loops = 40, iterations = 25
    let done = Tally(callers)
    let inside = (0..<3).map { _ in Flag() }
    let clashes = Tally(1)
    DispatchQueue.concurrentPerform(iterations: callers) { caller in
      for _ in 0..<loops {
        pool.parallelFor(iterations) { _, worker in
          if inside[worker].raise() { clashes.add(0) }
          done.add(caller)
          inside[worker].lower()
        }
      }
    }
    #expect(done.values == [Int](repeating: loops * iterations, count: callers))
    #expect(clashes.total == 0)
  }

  @Test func poolsComeAndGo() {
    let done = Tally(1)
    for _ in 0..<200 { ComputePool(threads: 4).parallelFor(9) { _, _ in done.add(0) } }
    #expect(done.total == 1800)
  }

  @Test func sizes() {
    #expect(ComputePool(threads: 0).threads == 1)
    #expect(ComputePool(threads: -3).threads == 1)
    #expect(ComputePool.availableProcessors >= 1)
    #expect(ComputePool().threads == ComputePool.availableProcessors)
  }
}

@Suite struct MonitorTests {
  @Test func partsReportIntoTheWhole() {
    let heard = Mutex<[Double]>([])
    let monitor = Monitor { fraction, _ in heard.withLock { $0.append(fraction) } }
    let half = monitor.part(0.5...1)
    half.report(0, "")
    half.part(0...0.5).report(1, "")
    half.report(1, "")
    #expect(heard.withLock { $0 } == [0.5, 0.75, 1])
  }

  @Test func cancellationReachesParts() throws {
    let cancellation = Cancellation()
    let part = Monitor(cancellation: cancellation).part(0...1).part(0...1)
    try part.checkCancelled()
    cancellation.cancel()
    cancellation.cancel()
    #expect(throws: Cancelled.self) { try part.checkCancelled() }
  }
}
