// Header sections as clients write them and as they must not (LSP 3.17, "Base Protocol"). After each the daemon
// serves on.

import JSONRPC
import PipeClient
import Testing

@Suite(.enabled(if: Program.isBuilt, "espalier is not built"))
struct FramingTests {
  private static let body = #"{"jsonrpc":"2.0","id":1,"method":"server/status"}"#
  private static let length = body.utf8.count

  @Test(
    arguments: [
      // Read.
      ("Content-Length: \(length)\r\n\r\n\(body)", ["1: result"]),
      ("content-length: \(length)\r\n\r\n\(body)", ["1: result"]),
      ("CONTENT-LENGTH:\(length)\r\n\r\n\(body)", ["1: result"]),
      (
        "Content-Length: \(length)\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n\(body)",
        ["1: result"]
      ),
      ("X-Other: x\r\nContent-Type: a/b; charset=utf8\r\nContent-Length: \(length)\r\n\r\n\(body)", ["1: result"]),
      // Refused.
      ("Content-Type: a/b; charset=utf-16\r\nContent-Length: \(length)\r\n\r\n\(body)", ["null: -32700"]),
      ("X-Other: 1\r\n\r\n\(body)", ["null: -32700"]),
      ("Content-Length: -5\r\n\r\n", ["null: -32700"]),
      ("Content-Length: 100000000000000000000\r\n\r\n", ["null: -32600"]),
      ("Content-Length: 9223372036854775807\r\n\r\n", ["null: -32600"]),
      ("Content-Length: 2\r\nContent-Length: 3\r\n\r\n", ["null: -32700"]),
      ("Content-Length: 1e3\r\n\r\n", ["null: -32700"]), ("Content-Length: \r\n\r\n", ["null: -32700"]),
      ("GET / HTTP/1.1\r\n\r\n", ["null: -32700"]), ("garbage without any header\n", ["null: -32700"]),
    ] as [(String, [String])])
  func oneHeader(_ bytes: String, expected: [String]) throws {
    let daemon = try Daemon()
    try daemon.send(bytes: bytes)
    try daemon.expect(expected)
  }

  @Test func endlessHeader() throws {
    let daemon = try Daemon()
    try daemon.send(bytes: "X-Long: \(String(repeating: "x", count: 100_000))\r\nContent-Length: 2\r\n\r\n{}")
    try daemon.expect(["null: -32600"])
  }

  @Test func bodyBeyondTheLimit() throws {
    let daemon = try Daemon(["--max-body-bytes", "4096"])
    let padding = String(repeating: " ", count: 4096 - Self.length)
    try daemon.send(Self.body + padding)
    try daemon.send(Self.body + padding + " ")
    try daemon.expect(["1: result", "null: -32600"])
  }

  @Test func byteByByte() throws {
    let daemon = try Daemon()
    for byte in Frame.encode(Self.body.utf8) { try daemon.client.send([byte]) }
    try daemon.expect(["1: result"])
  }
}
