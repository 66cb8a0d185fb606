// Which JSON is which message, and what is answered to JSON that is none.

import JSON
import Testing

@testable import JSONRPC

struct MessageTests {
  struct Valid: Sendable, CustomTestStringConvertible {
    let text: String
    let message: Message
    var testDescription: String { text }
    init(_ text: String, _ message: Message) { (self.text, self.message) = (text, message) }
  }

  @Test(arguments: [
    Valid(#"{"jsonrpc":"2.0","id":1,"method":"m"}"#, .request(Request(id: .integer(1), method: "m"))),
    Valid(
      #"{"jsonrpc":"2.0","id":-9223372036854775808,"method":"m"}"#, .request(Request(id: .integer(.min), method: "m"))),
    Valid(
      #"{"jsonrpc":"2.0","id":"1","method":"m","params":[1]}"#,
      .request(Request(id: .string("1"), method: "m", params: [1]))),
    Valid(
      #"{"jsonrpc":"2.0","id":"","method":"","params":{"a":1}}"#,
      .request(Request(id: .string(""), method: "", params: ["a": 1]))),
    Valid(
      #"{"id":0,"method":"m","params":null,"jsonrpc":"2.0","more":1}"#, .request(Request(id: .integer(0), method: "m"))),
    Valid(#"{"jsonrpc":"2.0","method":"m"}"#, .notification(Notification(method: "m"))),
    Valid(#"{"jsonrpc":"2.0","method":"m","params":{}}"#, .notification(Notification(method: "m", params: [:]))),
    Valid(#"{"jsonrpc":"2.0","id":1,"result":null}"#, .response(Response(id: .integer(1), result: .success(nil)))),
    Valid(#"{"jsonrpc":"2.0","id":"a","result":[1]}"#, .response(Response(id: .string("a"), result: .success([1])))),
    Valid(
      #"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#,
      .response(Response(id: nil, result: .failure(ResponseError(.parseError, "x"))))),
    Valid(
      #"{"jsonrpc":"2.0","id":1,"error":{"code":7,"message":"x","data":{"kind":"k"}}}"#,
      .response(Response(id: .integer(1), result: .failure(ResponseError(ErrorCode(rawValue: 7), kind: "k", "x"))))),
  ])
  func decodes(_ sample: Valid) throws {
    #expect(Incoming(body: Array(sample.text.utf8)) == .single(.success(sample.message)))
    #expect(Incoming(sample.message.json) == .single(.success(sample.message)), "encoding and decoding again")
  }

  struct Invalid: Sendable, CustomTestStringConvertible {
    let text: String
    let id: RequestID?
    let message: String
    var testDescription: String { text }
    init(_ text: String, id: RequestID? = nil, _ message: String) {
      (self.text, self.id, self.message) = (text, id, message)
    }
  }

  @Test(arguments: [
    Invalid("1", "The message is an integer; expected an object with jsonrpc, method, and id or not."),
    Invalid(#""x""#, "The message is a string; expected an object with jsonrpc, method, and id or not."),
    Invalid("null", "The message is null; expected an object with jsonrpc, method, and id or not."),
    Invalid("{}", "jsonrpc is missing; expected \"2.0\"."),
    Invalid(#"{"id":5,"method":"m"}"#, id: .integer(5), "jsonrpc is missing; expected \"2.0\"."),
    Invalid(#"{"jsonrpc":"1.0","id":"a","method":"m"}"#, id: .string("a"), "jsonrpc is \"1.0\"; expected \"2.0\"."),
    Invalid(#"{"jsonrpc":2.0,"id":5,"method":"m"}"#, id: .integer(5), "jsonrpc is 2.0; expected \"2.0\"."),
    Invalid(#"{"jsonrpc":"2.0"}"#, "method is missing; expected the name of a method, as \"model/list\"."),
    Invalid(
      #"{"jsonrpc":"2.0","id":5}"#, id: .integer(5),
      "method is missing; expected the name of a method, as \"model/list\"."),
    Invalid(
      #"{"jsonrpc":"2.0","id":5,"method":1}"#, id: .integer(5),
      "method is 1; expected the name of a method, as \"model/list\"."),
    Invalid(#"{"jsonrpc":"2.0","method":null}"#, "method is null; expected the name of a method, as \"model/list\"."),
    Invalid(#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, "id is null; expected an integer of 64 bits or a string."),
    Invalid(#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, "id is 1.5; expected an integer of 64 bits or a string."),
    Invalid(#"{"jsonrpc":"2.0","id":1.0,"method":"m"}"#, "id is 1.0; expected an integer of 64 bits or a string."),
    Invalid(#"{"jsonrpc":"2.0","id":true,"method":"m"}"#, "id is true; expected an integer of 64 bits or a string."),
    Invalid(#"{"jsonrpc":"2.0","id":[1],"method":"m"}"#, "id is an array; expected an integer of 64 bits or a string."),
    Invalid(
      #"{"jsonrpc":"2.0","id":5,"method":"m","params":"bar"}"#, id: .integer(5),
      "params is a string; expected an object or an array, or no params at all."),
    Invalid(
      #"{"jsonrpc":"2.0","method":"m","params":7}"#,
      "params is an integer; expected an object or an array, or no params at all."),
    Invalid(
      #"{"jsonrpc":"2.0","id":5,"method":"m","result":1}"#, id: .integer(5),
      "The message has a method and a result or an error; expected a request or a response."),
    Invalid(
      #"{"jsonrpc":"2.0","id":5,"result":1,"error":{"code":1,"message":"x"}}"#,
      "A response has both a result and an error; expected exactly one of them."),
    Invalid(
      #"{"jsonrpc":"2.0","id":5,"error":"x"}"#,
      "The error of a response is a string without code and message; expected both."),
    Invalid(
      #"{"jsonrpc":"2.0","id":5,"error":{"code":"1","message":"x"}}"#,
      "The error of a response is an object without code and message; expected both."),
    Invalid(
      #"{"jsonrpc":"2.0","id":1.5,"result":1}"#, "The id of a response is 1.5; expected the id of a request, or null."),
    Invalid(
      #"{"jsonrpc":"2.0","result":1}"#, "The id of a response is missing; expected the id of a request, or null."),
    Invalid(#"{"id":5,"result":1}"#, "jsonrpc is missing; expected \"2.0\"."),
  ])
  func refuses(_ sample: Invalid) {
    let expected = InvalidMessage(
      id: sample.id, error: ResponseError(.invalidRequest, kind: "invalidRequest", sample.message))
    #expect(Incoming(body: Array(sample.text.utf8)) == .single(.failure(expected)))
  }

  @Test func longMembersAreShortenedInMessages() {
    let json: JSON = ["jsonrpc": .string(String(repeating: "x", count: 10_000)), "id": 1, "method": "m"]
    guard case .single(.failure(let invalid)) = Incoming(json) else {
      Issue.record("accepted")
      return
    }
    #expect(invalid.error.message.utf8.count < 100)
  }

  @Test func batches() {
    let call: JSON = ["jsonrpc": "2.0", "method": "m"]
    #expect(
      Incoming([call, 1, ["jsonrpc": "2.0", "id": 2, "method": "n"]])
        == .batch([
          .success(.notification(Notification(method: "m"))),
          .failure(
            InvalidMessage(
              error: ResponseError(
                .invalidRequest, kind: "invalidRequest",
                "The message is an integer; expected an object with jsonrpc, method, and id or not."))),
          .success(.request(Request(id: .integer(2), method: "n"))),
        ]))
    func kind(_ json: JSON) -> String? {
      if case .single(.failure(let invalid)) = Incoming(json) { invalid.error.kind } else { nil }
    }
    #expect(kind([]) == "emptyBatch")
    #expect(kind(.array(Array(repeating: call, count: 1025))) == "batchTooLarge")
    guard case .batch(let elements) = Incoming(.array(Array(repeating: call, count: 1024))) else {
      Issue.record("refused")
      return
    }
    #expect(elements.count == 1024)
  }

  @Test(
    arguments: [
      ("{", -32700, "parseError"), ("", -32700, "emptyDocument"), ("\u{feff}{}", -32700, "byteOrderMark"),
      (#"{"a":1,"a":2}"#, -32700, "duplicateKey"), ("{'a':1}", -32700, "parseError"),
      (String(repeating: "[", count: 100_000), -32700, "documentTooDeep"), ("[1e999]", -32700, "numberOutOfRange"),
      (#"{"jsonrpc":"2.0","id":99999999999999999999,"method":"m"}"#, -32700, "integerOutOfRange"),
    ] as [(String, Int, String)])
  func unreadable(_ text: String, code: Int, kind: String) {
    guard case .unreadable(let error) = Incoming(body: Array(text.utf8)) else {
      Issue.record("read")
      return
    }
    #expect(error.code.rawValue == code)
    #expect(error.kind == kind)
    #expect(error.message.hasPrefix("The message could not be read as JSON. "))
  }

  @Test func limitsAreFacts() {
    let deep = ResponseError(JSONError.tooDeep(limit: 128, offset: 7))
    #expect(deep.data == ["kind": "documentTooDeep", "offset": 7, "limit": 128])
    #expect(ResponseError(JSONError.outOfMemory).code == .internalError)
  }

  @Test(
    arguments: [
      (.missingContentLength, -32700, "missingContentLength", "Content-Length: N"),
      (.invalidContentLength("-5"), -32700, "invalidContentLength", "\"-5\""),
      (.conflictingContentLength("5", "6"), -32700, "conflictingContentLength", "as 5 and as 6"),
      (.bodyTooLarge(length: "99", limit: 64), -32600, "frameTooLarge", "has 99 bytes; at most 64"),
      (.invalidHeader("bad line"), -32700, "invalidHeader", "\"bad line\" is no header field"),
      (.headerTooLarge(limit: 8192), -32600, "headerTooLarge", "longer than 8192 bytes"),
      (.tooManyHeaderFields(limit: 32), -32600, "tooManyHeaderFields", "more than 32 fields"),
      (.unsupportedCharset("utf-16"), -32700, "unsupportedCharset", "\"utf-16\"; expected utf-8"),
      (.unexpectedEnd(missing: 5), -32700, "unexpectedEnd", "ended 5 bytes before"),
      (.unexpectedEnd(missing: nil), -32700, "unexpectedEnd", "within a header section"),
      (.readFailed(5), -32700, "readFailed", "errno 5"),
    ] as [(FrameProblem, Int, String, String)])
  func frameProblems(_ problem: FrameProblem, code: Int, kind: String, fragment: String) {
    #expect(problem.response.code.rawValue == code)
    #expect(problem.response.kind == kind)
    #expect(problem.response.message.contains(fragment))
  }

  @Test func frameProblemsCarryTheirFacts() {
    #expect(
      FrameProblem.bodyTooLarge(length: "99", limit: 64).response.data
        == ["kind": "frameTooLarge", "length": 99, "limit": 64])
    #expect(
      FrameProblem.bodyTooLarge(length: "100000000000000000000", limit: 64).response.data
        == ["kind": "frameTooLarge", "length": "100000000000000000000", "limit": 64])
    #expect(
      FrameProblem.unsupportedCharset("utf-16").response.data
        == ["kind": "unsupportedCharset", "charset": "utf-16", "supported": ["utf-8"]])
  }

  @Test func whatCannotBeWrittenBecomesAnInternalError() throws {
    let response = Response(id: .integer(4), result: .success(["loss": [.number(.nan)]]))
    let json = try JSON.parse(response.body())
    #expect(json["id"] == 4)
    #expect(json["error"]?["code"] == -32603)
    #expect(json["error"]?["data"]?["kind"] == "notFinite")
    #expect(json["error"]?["message"]?.string?.contains("result.loss[0] is nan") == true)
    let failure = Response(id: nil, result: .failure(ResponseError(.requestFailed, "x", data: .number(.infinity))))
    #expect(try JSON.parse(failure.body())["error"]?["code"] == -32603)
  }
}
