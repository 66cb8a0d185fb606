// The whole way: frames in, answers out, over real pipes.

import Foundation
import JSON
import Synchronization
import Testing

@testable import JSONRPC

struct ConnectionTests {
  private func answers(
    _ bytes: [UInt8], limits: FrameLimits = FrameLimits(), handler: EchoHandler = EchoHandler()
  ) throws -> [JSON] {
    try Session(limits: limits, handler: handler).answers(to: bytes)
  }

  private let ping = frame(#"{"jsonrpc":"2.0","id":99,"method":"echo","params":["still here"]}"#)
  private let pong: JSON = ["jsonrpc": "2.0", "id": 99, "result": ["still here"]]

  /// What an answer says in short: its id, and its result or the code and kind of its error.
  private func short(_ answer: JSON) -> String {
    let id = (try? answer["id"]?.serialized()).map { String(decoding: $0, as: UTF8.self) } ?? "no id"
    if let error = answer["error"] {
      return "\(id): \(error["code"]?.integer ?? 0) \(error["data"]?["kind"]?.string ?? "-")"
    }
    return "\(id): "
      + ((try? answer["result"]?.serialized()).map { String(decoding: $0, as: UTF8.self) } ?? "no result")
  }

  /// Bodies of one frame each, and what is answered; after each the connection serves on.
  @Test(
    arguments: [
      (#"{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":[1,2.5,null]}}"#, [#"1: {"a":[1,2.5,null]}"#]),
      (#"{"jsonrpc":"2.0","id":"x","method":"echo"}"#, [#""x": null"#]),
      (#"{"jsonrpc":"2.0","id":1,"method":"later"}"#, [#"1: "late""#]),
      (#"{"jsonrpc":"2.0","id":1,"method":"never"}"#, ["1: -32603 noAnswer"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"twice"}"#, ["1: 1"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"bad"}"#, ["1: -32603 notFinite"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#, ["1: -32601 methodNotFound"]),
      (#"{"jsonrpc":"2.0","method":"note"}"#, []),
      (#"{"jsonrpc":"2.0","id":1,"result":7}"#, []),
      ("{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]", ["null: -32700 parseError"]),
      (#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#, ["null: -32600 invalidRequest"]),
      (#"{"id":7,"method":"echo"}"#, ["7: -32600 invalidRequest"]),
      (#"{"jsonrpc":"2.0","id":1,"id":2,"method":"echo"}"#, ["null: -32700 duplicateKey"]),
      ("\u{feff}{}", ["null: -32700 byteOrderMark"]), ("", ["null: -32700 emptyDocument"]),
      (String(repeating: "[", count: 100_000), ["null: -32700 documentTooDeep"]),
      ("[]", ["null: -32600 emptyBatch"]),
    ] as [(String, [String])])
  func oneMessage(_ body: String, expected: [String]) throws {
    let answers = try answers(frame(body) + ping)
    #expect(answers.map(short).filter { !$0.hasPrefix("99:") } == expected)
    #expect(answers.contains(pong))
    #expect(answers.count == expected.count + 1)
    #expect(answers.allSatisfy { $0["jsonrpc"] == "2.0" && ($0["result"] == nil) != ($0["error"] == nil) })
  }

  /// Headers that are wrong, and what is answered; after each the connection serves on.
  @Test(
    arguments: [
      ("Content-Length: 2\r\nContent-Type: a/b; charset=utf-16\r\n\r\n{}", "null: -32700 unsupportedCharset"),
      ("Content-Type: a/b\r\n\r\n{\"jsonrpc\":\"2.0\"}", "null: -32700 missingContentLength"),
      ("Content-Length: -5\r\n\r\n", "null: -32700 invalidContentLength"),
      ("Content-Length: 100000000000000000000\r\n\r\n", "null: -32600 frameTooLarge"),
      ("Content-Length: 101\r\n\r\n" + String(repeating: "x", count: 101), "null: -32600 frameTooLarge"),
      ("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "null: -32700 conflictingContentLength"),
      ("hello\r\n", "null: -32700 invalidHeader"),
      ("X: " + String(repeating: "x", count: 9000) + "\r\nContent-Length: 2\r\n\r\n{}", "null: -32600 headerTooLarge"),
    ] as [(String, String)])
  func wrongHeaders(_ input: String, expected: String) throws {
    let handler = EchoHandler()
    let answers = try answers(Array(input.utf8) + ping, limits: FrameLimits(bodyBytes: 100), handler: handler)
    #expect(answers.first.map(short) == expected)
    #expect(answers.dropFirst() == [pong])
    #expect(handler.log.withLock { $0 }.first?.hasPrefix("noticed ") == true)
  }

  @Test func batchesAreAnsweredWithOneArrayInTheirOrder() throws {
    let answers = try answers(
      frame(
        """
        [{"jsonrpc":"2.0","id":1,"method":"later"},{"jsonrpc":"2.0","method":"note"},1,
         {"jsonrpc":"2.0","id":2,"method":"echo","params":[2]},{"jsonrpc":"2.0","id":3,"method":"never"},
         {"foo":"boo"},{"jsonrpc":"2.0","id":"5","method":"nope"},{"jsonrpc":"2.0","id":9,"result":1}]
        """))
    #expect(answers.count == 1)
    #expect(
      answers.first?.array?.map(short) == [
        #"1: "late""#, "null: -32600 invalidRequest", "2: [2]", "3: -32603 noAnswer", "null: -32600 invalidRequest",
        #""5": -32601 methodNotFound"#,
      ])
  }

  @Test func aBatchOfNotificationsIsNotAnswered() throws {
    let note = #"{"jsonrpc":"2.0","method":"note"}"#
    let handler = EchoHandler()
    #expect(try answers(frame("[\(note),\(note)]") + ping, handler: handler) == [pong])
    #expect(handler.log.withLock { $0 } == ["notification note", "notification note", "request echo"])
  }

  @Test func aBatchOfNonsenseIsAnsweredElementByElement() throws {
    let answers = try answers(frame("[1,2,3]"))
    #expect(answers.map { $0.array?.map(short) } == [Array(repeating: "null: -32600 invalidRequest", count: 3)])
  }

  @Test func messagesReachTheHandlerInOrder() throws {
    let handler = EchoHandler()
    var bytes: [UInt8] = []
    for number in 0..<200 { bytes += frame(#"{"jsonrpc":"2.0","method":"n\#(number)"}"#) }
    #expect(try answers(bytes + ping, handler: handler) == [pong])
    #expect(handler.log.withLock { $0 } == (0..<200).map { "notification n\($0)" } + ["request echo"])
  }

  @Test func theHandlerCanStopTheConnection() throws {
    let session = try Session(handler: EchoHandler())
    let answers = try session.answers(to: ping + frame(#"[{"jsonrpc":"2.0","method":"stop"},1]"#) + ping)
    #expect(answers.count == 2, "the batch is answered, what comes after is not")
    #expect(session.connectionEnd == .stopped)
  }

  @Test func theEndOfTheInputEndsTheConnection() throws {
    let session = try Session(handler: EchoHandler())
    #expect(try session.answers(to: []) == [])
    #expect(session.connectionEnd == .inputEnded)
    let cut = try Session(handler: EchoHandler())
    #expect(try cut.answers(to: Array("Content-Length: 5\r\n\r\n".utf8)).map(short) == ["null: -32700 unexpectedEnd"])
  }

  /// Every request is answered exactly once, whichever thread answers, drops or answers it again.
  @Test func everyRequestIsAnsweredExactlyOnce() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("exactly-once seed \(seed)")
    var random = SplitMix(state: seed)
    let methods = ["echo", "later", "never", "twice", "bad", "unknown"]
    var bytes: [UInt8] = []
    var id = 0
    func call() -> String {
      id += 1
      return #"{"jsonrpc":"2.0","id":\#(id),"method":"\#(methods.randomElement(using: &random)!)"}"#
    }
    for _ in 0..<300 {
      if Bool.random(using: &random) {
        bytes += frame(call())
      } else {
        bytes += frame(
          "[" + (0..<Int.random(in: 1...5, using: &random)).map { _ in call() }.joined(separator: ",") + "]")
      }
    }
    let session = try Session(handler: EchoHandler())
    let received = try session.answers(to: bytes).flatMap { $0.array ?? [$0] }
    #expect(received.compactMap { $0["id"]?.integer }.sorted() == Array(1...id), "seed \(seed)")
  }

  @Test func aResponderAnswersOnceAmongManyThreads() {
    let bodies = Mutex(0)
    for _ in 0..<200 {
      let responder = Responder(id: .integer(1)) { _ in bodies.withLock { $0 += 1 } }
      DispatchQueue.concurrentPerform(iterations: 4) { responder.reply(JSON($0)) }
      #expect(responder.hasAnswered)
    }
    #expect(bodies.withLock { $0 } == 200)
  }
}
