// The scheduler by itself: order, conflicts, cancelling, stopping, and one answer for every request.

import JSON
import JSONRPC
import Tensors
import Testing

@testable import Server

@Suite struct SchedulerTests {
  @Test func workOnOneLaneIsDoneInOrder() throws {
    let bench = try JobBench()
    for number in 1...20 { try bench.add(number, on: .interactive) }
    for number in 1...20 { #expect(bench.answer(number) == "result") }
    #expect(bench.events.filter { $0.hasPrefix("work") } == (1...20).map { "work \($0)" })
  }

  @Test func lanesDoNotWaitForEachOther() throws {
    let bench = try JobBench()
    let door = Door()
    for (number, lane) in [Lane.compute, .interactive, .files].enumerated() {
      try bench.add(number, on: lane) { _ in door.pass() }
    }
    for number in 0...2 { #expect(bench.saw("work \(number)"), "all three at a time") }
    try bench.add(9) { .answer(1) }
    #expect(bench.answer(9) == "result", "and small answers meanwhile")
    #expect(bench.answers(0).isEmpty)
    door.open()
    for number in 0...2 { #expect(bench.answer(number) == "result") }
  }

  @Test func aWriterIsFinishedBeforeAnybodyElseSeesWhatItChanges() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(1, .writing(.model("a")), on: .compute) { _ in door.pass() }
    try bench.add(2, .reading(.model("a")), on: .interactive)
    try bench.add(3, .writing(.model("a")), on: .files)
    try bench.add(4, .reading(.model("b")), on: .interactive)
    #expect(bench.answer(4) == "result", "another model does not wait")
    #expect(!bench.events.contains("begin 2") && !bench.events.contains("begin 3"))
    door.open()
    #expect(bench.answer(2) == "result" && bench.answer(3) == "result")
    let events = bench.events
    let end = try #require(events.firstIndex(of: "end 1"))
    #expect(events.firstIndex(of: "begin 2").map { $0 > end } == true)
    #expect(events.firstIndex(of: "begin 3").map { $0 > end } == true)
  }

  @Test func aWriterDoesNotWaitForReadersThatHaveBegun() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(1, .reading(.model("a")), on: .compute) { _ in door.pass() }
    try bench.add(2, .writing(.model("a")), on: .interactive)
    #expect(bench.answer(2) == "result")
    #expect(bench.answers(1).isEmpty, "the reader is still at work")
    door.open()
    #expect(bench.answer(1) == "result")
  }

  /// What `prepare` throws becomes the answer, and nobody waits for it any longer.
  @Test func failedPreparation() throws {
    let bench = try JobBench()
    try bench.add(1, .writing(.model("a"))) { throw ServerError.modelNotFound(name: "a", models: []) }
    try bench.add(2, .writing(.model("a"))) { .answer(true) }
    #expect(bench.answer(1) == "modelNotFound" && bench.answer(2) == "result")
  }

  @Test func failedWork() throws {
    let bench = try JobBench()
    try bench.add(1, .writing(.model("a")), on: .compute) { _ in throw ServerError.jobNotFound(job: "x") }
    try bench.add(2, .reading(.model("a")), on: .compute)
    #expect(bench.answer(1) == "jobNotFound" && bench.answer(2) == "result")
  }

  // MARK: Cancelling

  @Test func cancelWhatWaitsForAnother() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(1, .writing(.model("a")), on: .compute) { _ in door.pass() }
    try bench.add(2, .writing(.model("a")), on: .compute)
    #expect(bench.saw("work 1"))
    bench.scheduler.cancel(request: .integer(2))
    #expect(bench.answer(2) == "cancelled", "at once, though the lane is busy")
    #expect(bench.answers(1).isEmpty)
    door.open()
    #expect(bench.answer(1) == "result")
    #expect(!bench.events.contains("begin 2"))
  }

  @Test func cancelWhatWaitsForItsLane() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(1, on: .compute) { _ in door.pass() }
    try bench.add(2, on: .compute)
    #expect(bench.saw("begin 2"))
    bench.scheduler.cancel(request: .integer(2))
    #expect(bench.answer(2) == "cancelled")
    door.open()
    #expect(bench.answer(1) == "result")
    #expect(!bench.events.contains("work 2"))
  }

  @Test func cancelWhatRuns() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(1, on: .compute) { monitor in try door.pass(monitor) }
    #expect(bench.saw("work 1"))
    bench.scheduler.cancel(request: .integer(1))
    #expect(bench.answer(1) == "cancelled")
    #expect(!bench.events.contains("end 1"))
  }

  /// A cancellation that comes while a request is prepared keeps its work from beginning.
  @Test func cancelWhatIsPrepared() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(1) {
      bench.note("preparing")
      door.pass()
      return .work(.compute) { _ in
        bench.note("worked")
        return .null
      }
    }
    #expect(bench.saw("preparing"))
    bench.scheduler.cancel(request: .integer(1))
    door.open()
    #expect(bench.answer(1) == "cancelled")
    #expect(!bench.events.contains("worked"))
  }

  @Test func cancelUnknownFinishedAndTwice() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(1) { .answer(1) }
    #expect(bench.answer(1) == "result")
    for id in [RequestID.integer(1), .integer(77), .string("1")] { bench.scheduler.cancel(request: id) }
    try bench.add(2, on: .compute) { monitor in try door.pass(monitor) }
    #expect(bench.saw("work 2"))
    bench.scheduler.cancel(request: .integer(2))
    bench.scheduler.cancel(request: .integer(2))
    #expect(bench.answer(2) == "cancelled")
    #expect(bench.answers(1) == ["result"] && bench.answers(2) == ["cancelled"])
  }

  @Test func cancelByJob() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(1, on: .compute) { monitor in try door.pass(monitor) }
    let job = try #require(bench.scheduler.jobs.first?.job.id)
    try bench.scheduler.cancel(job: job)
    #expect(bench.answer(1) == "cancelled")
    for id in [job, "j99", ""] {
      #expect(throws: ServerError.jobNotFound(job: id)) { try bench.scheduler.cancel(job: id) }
    }
  }

  @Test func jobsAreListedInOrder() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(1, .writing(.model("a")), on: .compute) { _ in door.pass() }
    try bench.add(2, .writing(.model("a")), on: .compute)
    #expect(bench.saw("work 1"))
    let jobs = bench.scheduler.jobs
    #expect(jobs.map(\.job.requestID) == [.integer(1), .integer(2)])
    #expect(jobs.map(\.isRunning) == [true, false])
    door.open()
    #expect(bench.answer(2) == "result")
  }

  /// Whoever has an answer no longer finds its job.
  @Test func answeredJobsAreNotListed() throws {
    let bench = try JobBench()
    for number in 0..<200 {
      try bench.add(number, on: .interactive)
      #expect(bench.answer(number) == "result")
      #expect(bench.scheduler.jobs.isEmpty)
    }
  }

  // MARK: Limits and the end

  @Test func tooManyRequests() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(0, .writing(.plugins), on: .compute) { monitor in try door.pass(monitor) }
    for number in 1..<Scheduler.limit { try bench.add(number, .writing(.plugins), on: .compute) }
    #expect(throws: ServerError.tooManyRequests(limit: Scheduler.limit)) { try bench.add(-1) { .answer(0) } }
    bench.scheduler.cancelAll()
    for number in 0..<Scheduler.limit { #expect(bench.answer(number) == "cancelled") }
    #expect((0..<Scheduler.limit).allSatisfy { bench.answers($0).count == 1 })
  }

  @Test func stopping() throws {
    let bench = try JobBench()
    try bench.add(1, on: .compute)
    #expect(bench.answer(1) == "result")
    bench.scheduler.stop(within: 20)
    #expect(throws: ServerError.shuttingDown) { try bench.add(2) { .answer(0) } }
  }

  /// Work that does not listen is answered for, once, though it goes on.
  @Test func stoppingDoesNotWaitForever() throws {
    let bench = try JobBench()
    let door = Door()
    try bench.add(1, .writing(.model("a")), on: .compute) { _ in door.pass() }
    try bench.add(2, .writing(.model("a")), on: .compute)
    #expect(bench.saw("work 1"))
    bench.scheduler.stop(within: 0.05)
    #expect(bench.answers(1) == ["shuttingDown"] && bench.answers(2) == ["shuttingDown"])
    door.open()
    #expect(bench.saw("end 1"))
    #expect(bench.answers(1) == ["shuttingDown"])
  }
}
