// From start to end: what may be said when, what ends the daemon, and with which exit code (LSP 3.17).

import Foundation
import JSON
import PipeClient
import Testing

@Suite(.enabled(if: Program.isBuilt, "espalier is not built"))
struct LifecycleTests {
  private let exit = #"{"jsonrpc":"2.0","method":"exit"}"#
  private let shutdown = #"{"jsonrpc":"2.0","id":1,"method":"shutdown"}"#

  @Test func requestsBeforeInitialize() throws {
    let daemon = try Daemon(isInitialized: false)
    try daemon.send(#"{"jsonrpc":"2.0","id":1,"method":"model/list"}"#)
    #expect(daemon.next() == "1: -32002")
    try daemon.send(#"{"jsonrpc":"2.0","method":"$/setTrace","params":{"value":"verbose"}}"#)  // dropped
    try daemon.send(#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"processId":null,"rootUri":null}}"#)
    #expect(daemon.next() == "2: result")
    try daemon.expect([])
  }

  @Test func initializeTellsWhatAClientMustKnow() throws {
    let client = try Client(starting: Program.command(["--stdio"]))
    let result = try client.initialize()
    #expect(result["serverInfo"]?["name"] == "espalier")
    #expect(result["protocolVersion"] == "1")
    #expect(result["capabilities"]?["workDoneProgress"] == true)
    #expect(result["capabilities"]?["methods"]?.array?.contains("evaluate/perplexity") == true)
    #expect(result["limits"]?["bodyBytes"]?.integer == 64 << 20)
    let version = try Program.run(["--version"]).output.trimmingCharacters(in: .whitespacesAndNewlines)
    #expect(result["serverInfo"]?["version"]?.string == version)
    #expect(try client.end() == .exited(0))
  }

  @Test func initializeTwice() throws {
    let daemon = try Daemon()
    try daemon.send(#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#)
    try daemon.expect(["1: -32600"])
  }

  @Test func requestsAfterShutdown() throws {
    let daemon = try Daemon()
    try daemon.send(shutdown)
    #expect(daemon.next() == "1: result")
    for (id, method) in [(2, "server/status"), (3, "shutdown"), (4, "initialize"), (5, "no/such")] {
      try daemon.send(#"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)"}"#)
      #expect(daemon.next() == "\(id): -32600", "\(method)")
    }
    #expect(daemon.client.process.wait(within: 0.2) == nil, "it waits for exit")
    try daemon.send(exit)
    #expect(daemon.client.process.wait(within: 30) == .exited(0))
  }

  @Test func exitWithoutShutdown() throws {
    for isInitialized in [true, false] {
      let daemon = try Daemon(isInitialized: isInitialized)
      try daemon.send(exit)
      #expect(daemon.client.process.wait(within: 30) == .exited(1))
    }
  }

  @Test func shutdownThenExit() throws { try Daemon().end() }

  @Test func endOfInput() throws {
    let early = try Daemon(isInitialized: false)
    early.client.closeInput()
    #expect(early.client.process.wait(within: 30) == .exited(1))

    let daemon = try Daemon()
    daemon.client.closeInput()
    #expect(daemon.client.process.wait(within: 30) == .exited(1))

    let polite = try Daemon()
    try polite.send(shutdown)
    polite.client.closeInput()
    #expect(polite.client.process.wait(within: 30) == .exited(0))
  }

  @Test func endOfInputInTheMiddleOfAMessage() throws {
    let daemon = try Daemon()
    try daemon.send(bytes: "Content-Length: 100\r\n\r\n{\"jsonrpc\"")
    daemon.client.closeInput()
    #expect(daemon.client.process.wait(within: 30) == .exited(1))
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP])
  func signals(_ number: Int32) throws {
    let daemon = try Daemon()
    daemon.client.process.signal(number)
    #expect(daemon.client.process.wait(within: 30) == .exited(0))
  }

  /// The parent is named by `initialize` or on the command line; input and output stay open.
  @Test(arguments: ["initialize", "--clientProcessId", "died before"])
  func parentDies(_ how: String) throws {
    let parent = Process()
    parent.executableURL = URL(fileURLWithPath: "/bin/sleep")
    parent.arguments = ["600"]
    try parent.run()
    let id = parent.processIdentifier
    let isOption = how == "--clientProcessId"
    let daemon = try Daemon(isOption ? ["--clientProcessId=\(id)"] : [], isInitialized: isOption)
    func endParent() {
      kill(id, SIGKILL)  // it may have been started with other signals blocked
      parent.waitUntilExit()
    }
    if how == "died before" { endParent() }
    if !isOption {
      try daemon.send(#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"processId":\#(id)}}"#)
    }
    if how != "died before" {
      if !isOption { #expect(daemon.next() == "0: result") }
      #expect(daemon.client.process.wait(within: 0.3) == nil, "the parent lives")
      endParent()
    }
    #expect(daemon.client.process.wait(within: 12) == .exited(1))
  }
}
