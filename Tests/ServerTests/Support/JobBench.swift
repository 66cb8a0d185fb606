// Jobs without a server: a scheduler, requests made of access and closures, and a record of what became of them.

import Foundation
import JSON
import JSONRPC
import Synchronization
import Tensors
import Testing
import Threads

@testable import Server

/// A scheduler and everything that its jobs did.
final class JobBench: Sendable {
  let scheduler = Scheduler()
  private let outbox: Outbox
  private let record = Gate<Record>(Record())

  struct Record {
    /// What happened, in order: `begin 1`, `work 1`, whatever else a job says.
    var events: [String] = []
    /// Answers in short, by request: `result`, or the kind of the error.
    var answers: [Int: [String]] = [:]
  }

  init() throws {
    outbox = try Outbox(descriptor: open("/dev/null", O_WRONLY))
  }

  deinit { scheduler.stop(within: 0) }

  func note(_ event: String) { record.withLock { $0.events.append(event) } }
  var events: [String] { record.withLock { $0.events } }
  /// All answers to a request.
  func answers(_ number: Int) -> [String] { record.withLock { $0.answers[number] ?? [] } }

  /// Adds a request whose id is `number`.
  func add(
    _ number: Int, _ access: Access = .none, prepare: @escaping @Sendable () throws -> Plan
  ) throws(ServerError) {
    try scheduler.add { id in
      Job(
        id: "j\(id)", request: Request(id: .integer(Int64(number)), method: "test/\(number)"), model: nil,
        access: access, progress: ProgressReporter(title: "test", token: nil, outbox: outbox),
        responder: Responder(id: .integer(Int64(number))) { [record] body in
          let kind = (try? JSON.parse(body))?["error"]?["data"]?["kind"]?.string ?? "result"
          record.withLock { $0.answers[number, default: []].append(kind) }
        }, prepare: prepare)
    }
  }

  /// Adds a request that is work for `lane`: notes `begin number` when it is prepared, `work number` when its work
  /// begins, then does `work` and notes `end number`.
  func add(
    _ number: Int, _ access: Access = .none, on lane: Lane, _ work: @escaping @Sendable (Monitor) throws -> Void = { _ in }
  ) throws(ServerError) {
    try add(number, access) { [self] in
      note("begin \(number)")
      return .work(lane) { [self] monitor in
        note("work \(number)")
        try work(monitor)
        note("end \(number)")
        return .null
      }
    }
  }

  /// The one answer to a request, once it has come; nil if it does not come in time.
  func answer(_ number: Int, within seconds: Double = 20) -> String? {
    record.wait(atMost: seconds) { $0.answers[number]?.first }
  }

  /// Waits until `event` has happened; false if it does not in time.
  func saw(_ event: String, within seconds: Double = 20) -> Bool {
    record.wait(atMost: seconds) { $0.events.contains(event) ? true : nil } ?? false
  }
}

/// A door that closures wait behind until it is opened.
final class Door: Sendable {
  private let gate = Gate(false)

  func open() { gate.withLock { $0 = true } }
  /// Waits until the door is open; not longer than a test should take.
  func pass() { gate.wait(atMost: 30) { $0 ? () : nil } }

  /// Waits until the door is open or the work is cancelled.
  func pass(_ monitor: Monitor) throws {
    while !gate.withLock({ $0 }) {
      try monitor.checkCancelled()
      usleep(500)
    }
  }
}
