// Progress as clients see it (LSP 3.17, "Work Done Progress"): begin once, never backwards, not too often, end once.

import Foundation
import JSON
import JSONRPC
import Testing

@testable import Server

@Suite struct ProgressReporterTests {
  /// What a reporter sends while `body` uses it.
  private func sent(token: JSON?, _ body: (ProgressReporter) -> Void) throws -> [JSON] {
    let pipe = PipeEnds()
    let outbox = try Outbox(descriptor: pipe.writing)
    body(ProgressReporter(title: "mask/apply", token: token, outbox: outbox))
    #expect(outbox.finish(within: 20))
    let reader = FrameReader(descriptor: pipe.reading)
    var values: [JSON] = []
    while case .body(let message) = reader.next() {
      let message = try JSON.parse(message)
      #expect(message["method"] == "$/progress")
      #expect(message["params"]?["token"] == token)
      values.append(message["params"]?["value"] ?? .null)
    }
    close(pipe.reading)
    return values
  }

  @Test func beginReportEnd() throws {
    let values = try sent(token: "t") { progress in
      progress.begin()
      progress.report(0.257, "layer 3")
      progress.end("done")
    }
    #expect(
      values == [
        ["kind": "begin", "title": "mask/apply", "cancellable": true, "percentage": 0],
        ["kind": "report", "percentage": 25, "message": "layer 3"], ["kind": "end", "message": "done"],
      ])
  }

  @Test(arguments: [1, "1", -7, ""] as [JSON])
  func tokens(_ token: JSON) throws {
    #expect(try sent(token: token) { $0.begin() }.count == 1)
  }

  @Test func nothingWithoutAToken() throws {
    let values = try sent(token: nil) { progress in
      progress.begin()
      progress.report(0.5, "half")
      #expect(progress.snapshot.fraction == 0.5 && progress.snapshot.message == "half", "job/list knows all the same")
      progress.end("done")
    }
    #expect(values.isEmpty)
  }

  /// A request that is answered when it is prepared has no progress to report.
  @Test func nothingBeforeTheBeginning() throws {
    let values = try sent(token: 1) { progress in
      progress.report(0.5, "half")
      progress.end("done")
    }
    #expect(values.isEmpty)
  }

  @Test func nothingAfterTheEnd() throws {
    let values = try sent(token: 1) { progress in
      progress.begin()
      progress.end("cancelled")
      progress.report(1, "late")
      progress.end("done")
    }
    #expect(values.map { $0["kind"] } == ["begin", "end"])
    #expect(values.last?["message"] == "cancelled")
  }

  @Test(arguments: [
    (1.5, 1.0), (-1, 0), (.nan, 0), (.infinity, 0), (-.infinity, 0), (0.999, 0.999),
  ])
  func fractionsThatAreNone(given: Double, seen: Double) throws {
    let values = try sent(token: 1) { progress in
      progress.begin()
      progress.report(given, "")
      #expect(progress.snapshot.fraction == seen)
    }
    #expect(values.last?["percentage"]?.integer == Int(seen * 100))
  }

  @Test func neverBackwardsAndAtMostTenASecond() throws {
    let start = monotonicSeconds()
    let values = try sent(token: 1) { progress in
      progress.begin()
      var step = 0
      while monotonicSeconds() - start < 0.55 {
        progress.report(Double(step * 7919 % 1000) / 1000, "step \(step)")  // up and down
        step += 1
      }
      progress.end("done")
    }
    let seconds = monotonicSeconds() - start
    let reports = values.compactMap { $0["percentage"]?.integer }.dropFirst()
    #expect(reports.count >= 2 && Double(reports.count) <= seconds * 10 + 1)
    #expect(reports.elementsEqual(reports.sorted()))
    #expect(values.count { $0["kind"] == "begin" } == 1 && values.count { $0["kind"] == "end" } == 1)
    #expect(values.first?["kind"] == "begin" && values.last?["kind"] == "end")
    #expect(values.contains { $0["message"]?.string?.hasSuffix(" s left") == true }, "once the pace is known")
  }
}
