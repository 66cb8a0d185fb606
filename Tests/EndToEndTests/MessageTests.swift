// What a body may say, and what is answered when it says something else (JSON-RPC 2.0; LSP 3.17). After each the
// daemon serves on.

import JSON
import PipeClient
import Testing

@Suite(.enabled(if: Program.isBuilt, "espalier is not built"))
struct MessageTests {
  private static let deep = String(repeating: "[", count: 100_000)

  @Test(
    arguments: [
      // Methods and notifications nobody knows.
      (#"{"jsonrpc":"2.0","id":1,"method":"no/such"}"#, ["1: -32601"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"$/no/such"}"#, ["1: -32601"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"exit"}"#, ["1: -32601"]),
      (#"{"jsonrpc":"2.0","method":"$/no/such"}"#, []),
      (#"{"jsonrpc":"2.0","method":"no/such"}"#, []),
      (#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":12345}}"#, []),
      // Params that are not those of the method.
      (#"{"jsonrpc":"2.0","id":1,"method":"model/load"}"#, ["1: -32602"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"model/load","params":{"source":5}}"#, ["1: -32602"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"model/load","params":["builtin:sapling"]}"#, ["1: -32602"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"model/list","params":{"modell":"x"}}"#, ["1: -32602"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"mask/apply","params":{"model":"m","scores":"s"}}"#, ["1: -32602"]),
      (
        #"{"jsonrpc":"2.0","id":1,"method":"mask/apply","params":{"model":"m","scores":"s","sparsity":1.5}}"#,
        ["1: -32602"]
      ),
      // Understood, but there is no such thing.
      (#"{"jsonrpc":"2.0","id":1,"method":"model/load","params":{"source":"/no/such/folder"}}"#, ["1: -32803"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"model/describe","params":{"model":"none"}}"#, ["1: -32803"]),
      // No JSON.
      ("{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]", ["null: -32700"]),
      ("", ["null: -32700"]), ("{}{}", ["null: -32700"]), ("\u{feff}{}", ["null: -32700"]),
      (#"{"jsonrpc":"2.0","id":01,"method":"server/status"}"#, ["null: -32700"]),
      (#"{'jsonrpc':'2.0','id':1,'method':'server/status'}"#, ["null: -32700"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"server/status","params":{"x":NaN}}"#, ["null: -32700"]),
      (#"{"jsonrpc":"2.0","id":1,"id":2,"method":"server/status"}"#, ["null: -32700"]),
      (deep, ["null: -32700"]),
      (deep + String(deep.map { _ in "]" }), ["null: -32700"]),
      // JSON, but no message.
      (#"{"id":1,"method":"server/status"}"#, ["1: -32600"]),
      (#"{"jsonrpc":"1.0","id":1,"method":"server/status"}"#, ["1: -32600"]),
      (#"{"jsonrpc":"2.0","id":1}"#, ["1: -32600"]), (#"{"jsonrpc":"2.0","id":1,"method":7}"#, ["1: -32600"]),
      (#"{"jsonrpc":"2.0","id":1,"method":"server/status","params":7}"#, ["1: -32600"]),
      (#"{"jsonrpc":"2.0","id":1.5,"method":"server/status"}"#, ["null: -32600"]),
      (#"{"jsonrpc":"2.0","id":null,"method":"server/status"}"#, ["null: -32600"]),
      ("7", ["null: -32600"]), ("null", ["null: -32600"]),
      // Answers to questions that were never asked.
      (#"{"jsonrpc":"2.0","id":1,"result":7}"#, []),
      // Batches.
      (
        #"[{"jsonrpc":"2.0","id":1,"method":"server/status"},{"jsonrpc":"2.0","method":"no/such"},"#
          + #"{"jsonrpc":"2.0","id":2,"method":"no/such"},{"id":3}]"#,
        ["[1: result, 2: -32601, 3: -32600]"]
      ),
      ("[]", ["null: -32600"]), ("[1,2]", ["[null: -32600, null: -32600]"]),
      (#"[{"jsonrpc":"2.0","method":"no/such"},{"jsonrpc":"2.0","method":"$/no/such"}]"#, []),
    ] as [(String, [String])])
  func oneBody(_ body: String, expected: [String]) throws {
    let daemon = try Daemon()
    try daemon.send(body)
    try daemon.expect(expected)
  }

  @Test func badUTF8() throws {
    let daemon = try Daemon()
    for bytes in [[0x22, 0xff, 0x22], [0x22, 0xc0, 0xaf, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22]] as [[UInt8]] {
      try daemon.client.send(Array("Content-Length: \(bytes.count)\r\n\r\n".utf8) + bytes)
    }
    try daemon.expect(["null: -32700", "null: -32700", "null: -32700"])
  }

  @Test func errorsSayWhatKind() throws {
    let client = try Client(starting: Program.command([]))
    try client.initialize()
    for (method, params, kind) in [
      ("no/such", nil, "methodNotFound"), ("model/load", ["source": 5], "wrongType"),
      ("model/load", nil, "missingField"), ("model/describe", ["model": "none"], "modelNotFound"),
    ] as [(String, JSON?, String)] {
      #expect(throws: PipeClientError.self, "\(method)") { _ = try client.call(method, params, within: 30) }
      do {
        _ = try client.call(method, params, within: 30)
      } catch {
        #expect(error.kind == kind)
      }
    }
    #expect(try client.end() == .exited(0))
  }
}
