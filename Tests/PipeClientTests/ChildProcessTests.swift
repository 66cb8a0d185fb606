// Processes as daemons, and how they end. /bin/sh plays all parts.

import Foundation
import JSON
import JSONRPC
import Testing

@testable import PipeClient

struct ChildProcessTests {
  @Test(
    arguments: [
      ("exit 0", .exited(0)), ("exit 3", .exited(3)), ("kill -9 $$", .killed(signal: 9)),
      ("kill -13 $$; exit 5", .killed(signal: 13)),
    ] as [(String, ProcessEnd)])
  func endings(_ script: String, expected: ProcessEnd) throws {
    let process = try ChildProcess(shell(script))
    #expect(process.wait(within: 60) == expected)
    #expect(process.wait(within: 0) == expected, "the answer lasts")
    process.signal(SIGKILL)  // to nobody
    close(process.standardInput)
    close(process.standardOutput)
  }

  @Test func waitingIsLimited() throws {
    let client = try RawClient(shell("read line"))
    #expect(client.process.wait(within: 0.05) == nil)
    client.process.signal(SIGTERM)
    #expect(client.process.wait(within: 60) == .killed(signal: SIGTERM))
  }

  @Test func whatCannotBeStarted() {
    let path = "/nonexistent/espalier"
    #expect(
      failure { _ = try Client(starting: ProcessCommand(executable: path)) }
        == .cannotStart(path: path, errno: ENOENT))
    #expect(failure { _ = try RawClient(ProcessCommand(executable: "/")) } == .cannotStart(path: "/", errno: EACCES))
  }

  @Test func diesInTheMiddleOfACall() throws {
    for (script, status) in [("read line; exit 7", .exited(7)), ("read line; kill -6 $$", .killed(signal: 6))]
      as [(String, ProcessEnd)]
    {
      let client = try Client(starting: shell(script))
      #expect(failure { _ = try client.call("a", within: 60) } == .ended(status))
      #expect(failure { _ = try client.call("b", within: 60) } == .ended(status))
    }
  }

  @Test func isGoneBeforeTheCall() throws {
    let client = try Client(starting: shell("exit 4"))
    #expect(client.process?.wait(within: 60) == .exited(4))
    #expect(failure { _ = try client.call("a", within: 60) } == .ended(.exited(4)))
  }

  @Test func diesInTheMiddleOfAFrame() throws {
    let client = try Client(starting: shell(#"read line; printf 'Content-Length: 100\r\n\r\n{"json'; exit 1"#))
    #expect(failure { _ = try client.call("a", within: 60) }?.kind == "notUnderstood")
  }

  @Test func stopsReading() throws {
    let client = try Client(starting: shell("exec sleep 60"))
    let params: JSON = ["text": .string(String(repeating: "x", count: 1 << 20))]
    #expect(failure { _ = try client.call("a", params, within: 0.1) }?.kind == "timedOut")
    client.process?.signal(SIGKILL)
    #expect(client.process?.wait(within: 60) == .killed(signal: SIGKILL))
  }

  @Test func closesItsInputButLives() throws {
    let line = #"{"jsonrpc":"2.0","method":"window/logMessage","params":{"message":"closed"}}"#
    let isClosed = DispatchSemaphore(value: 0)
    let client = try Client(
      starting: shell("exec 0<&-; printf 'Content-Length: \(line.utf8.count)\\r\\n\\r\\n%s' '\(line)'; exec sleep 60"),
      onLog: { _ in isClosed.signal() })
    #expect(isClosed.wait(timeout: .now() + 10) == .success)
    #expect(failure { _ = try client.call("a") } == .inputClosed)
    client.process?.signal(SIGKILL)
  }

  @Test func endsOrderly() throws {
    let script = #"printf 'Content-Length: 38\r\n\r\n{"jsonrpc":"2.0","id":1,"result":null}'; cat > /dev/null; exit 0"#
    let client = try Client(starting: shell(script))
    #expect(try client.end() == .exited(0))
  }

  @Test func endsWithItsClient() throws {
    let process = try #require(try Client(starting: shell("cat > /dev/null; exit 2")).process)
    #expect(process.wait(within: 60) == .exited(2))
  }

  @Test func environmentAndBytes() throws {
    let client = try RawClient(
      shell(#"printf 'Content-Length: 7\r\n\r\n"%s"' "$ESPALIER_X"; cat"#, environment: ["ESPALIER_X": "hello"]))
    #expect(client.nextJSON() == "hello")
    try client.send(body: #"{"a":1}"#)
    #expect(client.nextJSON() == ["a": 1])
    try client.send(Array("junk\n".utf8))
    client.closeInput()
    guard case .problem(.invalidHeader("junk"))? = client.next() else {
      Issue.record("expected the junk to be reported")
      return
    }
    #expect(client.next() == .end)
    #expect(client.process.wait(within: 60) == .exited(0))
    #expect(client.next(within: 0) == nil)
  }

  /// A child that held the pipe of another open would keep it from seeing the end of its input.
  @Test func pipesAreNotInherited() throws {
    let first = try RawClient(shell("cat"))
    let second = try RawClient(shell("cat"))
    first.closeInput()
    #expect(first.process.wait(within: 60) == .exited(0))
    second.closeInput()
    #expect(second.process.wait(within: 60) == .exited(0))
  }
}
