// The scheduler under random schedules: whatever is sent and cancelled when, every request gets one answer, and no
// request sees a resource while an earlier one changes it.

import Foundation
import JSON
import JSONRPC
import Synchronization
import Tensors
import TestSupport
import Testing
import Threads

@testable import Server

@Suite struct SchedulerStressTests {
  private struct Plan: Sendable {
    let access: Access
    /// nil for one that is answered when it is prepared.
    let lane: Lane?
    let pause: UInt32
    let fails: Bool
    let isCancelled: Bool
  }

  /// When a request was prepared and when it was done, counted in events.
  private struct Span: Sendable {
    var prepared: Int?
    var done: Int?
  }

  private static func plan(_ random: inout Seeded) -> Plan {
    let resources: [Resource] = [.model("a"), .model("b"), .dataset("d"), .scores("s"), .plugins]
    func some() -> Set<Resource> {
      Set(resources.filter { _ in random.uniform() < 0.25 })
    }
    let lanes: [Lane?] = [nil, .files, .interactive, .compute]
    return Plan(
      access: Access(reads: some(), writes: random.uniform() < 0.5 ? some() : []),
      lane: lanes[random.int(in: 0...3)], pause: UInt32(random.int(in: 0...300)), fails: random.uniform() < 0.1,
      isCancelled: random.uniform() < 0.2)
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func oneAnswerAndNoConflict(seed: UInt64) throws {
    var random = Seeded(seed)
    let plans = (0..<150).map { _ in Self.plan(&random) }
    let bench = try JobBench()
    let clock = Atomic<Int>(0)
    let spans = Mutex([Span](repeating: Span(), count: plans.count))
    @Sendable func note(_ number: Int, _ change: @Sendable (inout Span, _ now: Int) -> Void) {
      let now = clock.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
      spans.withLock { change(&$0[number], now) }
    }
    @Sendable func prepared(_ number: Int) { note(number) { $0.prepared = $1 } }
    @Sendable func done(_ number: Int) { note(number) { $0.done = $1 } }
    for (number, plan) in plans.enumerated() {
      try bench.add(number, plan.access) {
        prepared(number)
        if plan.fails, plan.lane == nil {
          done(number)
          throw ServerError.jobNotFound(job: "none")
        }
        guard let lane = plan.lane else {
          done(number)
          return .answer(.null)
        }
        return .work(lane) { monitor in
          defer { done(number) }
          usleep(plan.pause)
          try monitor.checkCancelled()
          if plan.fails { throw ServerError.jobNotFound(job: "none") }
          return .null
        }
      }
      if plan.isCancelled {
        let victim = Int64(random.int(in: max(0, number - 20)...number))
        startThread(named: "canceller") { bench.scheduler.cancel(request: .integer(victim)) }
      }
    }
    for number in plans.indices { #expect(bench.answer(number) != nil, "request \(number), \(random)") }
    bench.scheduler.stop(within: 20)

    let seen = spans.withLock { $0 }
    for (later, plan) in plans.enumerated() {
      #expect(bench.answers(later).count == 1, "request \(later), \(random)")
      guard let begun = seen[later].prepared else { continue }  // cancelled before
      for earlier in 0..<later {
        guard plan.access.mustWait(for: plans[earlier].access, prepared: false) else { continue }
        let mustBeDone = plan.access.mustWait(for: plans[earlier].access, prepared: true)
        // One that was cancelled never touched anything.
        guard let moment = mustBeDone ? seen[earlier].done : seen[earlier].prepared else { continue }
        #expect(moment < begun, "request \(later) began before \(earlier) was out of its way, \(random)")
      }
    }
  }
}
