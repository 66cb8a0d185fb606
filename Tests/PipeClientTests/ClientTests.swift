// What a client makes of what a daemon sends.

import Foundation
import JSON
import JSONRPC
import Synchronization
import Testing

@testable import PipeClient

struct ClientTests {
  @Test(arguments: [nil, [:], ["a": [1, 2.5, nil]], [1, "two"]] as [JSON?])
  func resultAndParams(_ params: JSON?) throws {
    let client = try FakeDaemon.client { message, daemon in
      daemon.reply(to: message, ["method": message["method"] ?? nil, "params": message["params"] ?? "none"])
    }
    #expect(try client.call("some/method", params) == ["method": "some/method", "params": params ?? "none"])
  }

  @Test func repliesOutOfOrder() throws {
    let client = try FakeDaemon.client { message, daemon in
      let kept = daemon.keep(message)
      guard kept.count == 3 else { return }
      for message in kept.reversed() { daemon.reply(to: message, message["method"] ?? nil) }
    }
    let calls = try ["a", "b", "c"].map { try client.start($0) }
    #expect(try calls.map { try $0.result(within: 60) } == ["a", "b", "c"])
  }

  @Test func repliesInABatch() throws {
    let client = try FakeDaemon.client { message, daemon in
      let kept = daemon.keep(message)
      guard kept.count == 2 else { return }
      daemon.send(.array(kept.map { ["jsonrpc": "2.0", "id": $0["id"] ?? nil, "result": $0["method"] ?? nil] }))
    }
    let calls = try ["a", "b"].map { try client.start($0) }
    #expect(try calls.map { try $0.result(within: 60) } == ["a", "b"])
  }

  @Test func callsFromSeveralThreads() throws {
    let client = try FakeDaemon.client { message, daemon in daemon.reply(to: message, message["params"] ?? nil) }
    let wrong = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: 8) { thread in
      for number in 0..<50 {
        let params: JSON = ["thread": JSON(thread), "number": JSON(number)]
        let result = try? client.call("echo", params, within: 60)
        if result != params { wrong.withLock { $0.append("\(thread).\(number)") } }
      }
    }
    #expect(wrong.withLock { $0 } == [])
  }

  @Test func errorReply() throws {
    let error = ResponseError(.requestFailed, kind: "modelNotFound", "There is no model \"x\".", facts: ["model": "x"])
    let client = try FakeDaemon.client { message, daemon in
      if message["method"] == "good" { daemon.reply(to: message, 1) } else { daemon.fail(message, error) }
    }
    let thrown = failure { _ = try client.call("model/describe", ["model": "x"]) }
    #expect(thrown == .refused(error, method: "model/describe"))
    #expect(thrown?.kind == "modelNotFound")
    #expect(try client.call("good") == 1)
  }

  @Test func progress() throws {
    let client = try FakeDaemon.client { message, daemon in
      let token = message["params"]?["workDoneToken"] ?? nil
      func report(_ token: JSON, _ value: JSON) { daemon.notify("$/progress", ["token": token, "value": value]) }
      report(token, ["kind": "begin", "title": "Evaluating", "percentage": 0])
      report("progress 99", ["kind": "report", "percentage": 1, "message": "of another"])
      report("foreign", ["kind": "report", "percentage": 2, "message": "of a stranger"])
      report(token, ["kind": "report", "percentage": 40, "message": "window 4 of 10"])
      report(token, ["kind": "report", "message": "window 5 of 10"])
      report(token, ["kind": "end", "message": "done"])
      daemon.reply(to: message, message["params"] ?? nil)
    }
    var seen: [CallProgress] = []
    let result = try client.call("evaluate/perplexity", ["model": "m"]) { seen.append($0) }
    #expect(
      seen == [
        CallProgress(title: "Evaluating", percentage: 0, message: nil),
        CallProgress(title: "Evaluating", percentage: 40, message: "window 4 of 10"),
        CallProgress(title: "Evaluating", percentage: 40, message: "window 5 of 10"),
      ])
    #expect(result == ["model": "m", "workDoneToken": "progress 1"])
    #expect(try client.call("evaluate/perplexity", ["model": "m"]) == ["model": "m"], "no token unless asked")
  }

  @Test func timeoutCancelsAndALateReplyIsIgnored() throws {
    let client = try FakeDaemon.client { message, daemon in
      if message["method"] == "slow" { _ = daemon.keep(message) }
      if message["method"] == "$/cancelRequest" {
        daemon.send(["jsonrpc": "2.0", "id": message["params"]?["id"] ?? nil, "result": "late"])
      }
      if message["method"] == "quick" { daemon.reply(to: message, "quick") }
    }
    let thrown = failure { _ = try client.call("slow", within: 0.05) }
    guard case .timedOut(waitingFor: "the answer to slow", _)? = thrown else {
      Issue.record("\(String(describing: thrown))")
      return
    }
    #expect(try client.call("quick", within: 60) == "quick")
  }

  @Test func cancelledByHand() throws {
    let client = try FakeDaemon.client { message, daemon in
      guard message["method"] == "$/cancelRequest" else { return }
      daemon.send(
        [
          "jsonrpc": "2.0", "id": message["params"]?["id"] ?? nil,
          "error": ResponseError(.requestCancelled, kind: "cancelled", "Cancelled.").json,
        ])
    }
    let call = try client.start("slow")
    call.cancel()
    #expect(failure { _ = try call.result(within: 60) }?.kind == "cancelled")
  }

  @Test func logMessages() throws {
    let lines = Mutex<[LogLine]>([])
    let keep: @Sendable (LogLine) -> Void = { line in lines.withLock { $0.append(line) } }
    let client = try FakeDaemon.client(onLog: keep) { message, daemon in
      daemon.notify("window/logMessage", ["type": 2, "message": "a plugin was rejected"])
      daemon.notify("window/logMessage", ["type": 3])
      daemon.notify("window/showMessage", ["type": 1, "message": "not a log line"])
      daemon.reply(to: message, nil)
    }
    #expect(try client.call("plugin/list") == nil)
    #expect(lines.withLock { $0 } == [LogLine(type: 2, text: "a plugin was rejected")])
  }

  @Test func requestsOfTheDaemonAreRefused() throws {
    let client = try FakeDaemon.client { message, daemon in
      if message["method"] == "start" {
        _ = daemon.keep(message)
        daemon.send(["jsonrpc": "2.0", "id": "w1", "method": "workspace/configuration"])
      } else {
        daemon.reply(to: daemon.keep(message)[0], message)
      }
    }
    let answer = try client.call("start", within: 60)
    #expect(answer["id"] == "w1")
    #expect(answer["error"]?["code"] == -32601)
  }

  @Test func largeFramesBothWays() throws {
    let client = try FakeDaemon.client { message, daemon in daemon.reply(to: message, message["params"] ?? nil) }
    let text = String(repeating: "espalier ", count: 300_000)
    #expect(try client.call("echo", ["text": .string(text)], within: 60)["text"]?.string == text)
  }

  @Test func anErrorWithoutIdFailsWhatWaits() throws {
    let error = ResponseError(.parseError, kind: "parseError", "No JSON.")
    let client = try FakeDaemon.client { message, daemon in daemon.fail([:], error) }
    #expect(failure { _ = try client.call("a", within: 60) } == .refused(error, method: "a"))
  }

  /// What no daemon may write: the call that waits fails, and so do later ones.
  @Test(
    arguments: [
      "printed by a library\nContent-Length: 2\r\n\r\n{}", "Content-Length: 3\r\n\r\n{]}",
      "Content-Length: 8\r\n\r\n{\"id\":1}", "Content-Length: -1\r\n\r\n", "X: 1\r\n\r\n{}",
    ])
  func garbageOnTheOutput(_ garbage: String) throws {
    let client = try FakeDaemon.client { message, daemon in daemon.send(Array(garbage.utf8)) }
    for method in ["first", "second"] {
      let thrown = failure { _ = try client.call(method, within: 60) }
      #expect(thrown?.kind == "notUnderstood", "\(String(describing: thrown))")
    }
  }

  @Test func outputEnds() throws {
    let client = try FakeDaemon.client { message, daemon in daemon.end() }
    #expect(failure { _ = try client.call("a", within: 60) } == .ended(nil))
    #expect(failure { _ = try client.call("b", within: 60) } == .ended(nil))
  }

  @Test func paramsThatJSONCannotExpress() throws {
    let client = try FakeDaemon.client { message, daemon in daemon.reply(to: message, 1) }
    #expect(failure { _ = try client.call("a", ["x": .number(.nan)]) }?.kind == "notFinite")
    #expect(try client.call("b", within: 60) == 1)
  }

  @Test func lifecycle() throws {
    let client = try FakeDaemon.client { message, daemon in
      let kept = daemon.keep(message)
      switch message["method"]?.string {
      case "initialize": daemon.reply(to: message, message["params"]?["processId"] ?? nil)
      case "shutdown": daemon.reply(to: message, .array(kept.map { $0["method"] ?? nil }))
      default: break
      }
    }
    #expect(try client.initialize() == JSON(Int(getpid())))
    #expect(try client.end() == nil, "not a child of this client")
  }
}
