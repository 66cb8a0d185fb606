// A server from its first message to its exit code, in this process: what may be said when (LSP 3.17), and that it
// ends when its client is gone.

import Foundation
import JSON
import JSONRPC
import Testing

@testable import Server

@Suite struct LifecycleTests {
  private static let shutdown = #"{"jsonrpc": "2.0", "id": "s", "method": "shutdown"}"#
  private static let exit = #"{"jsonrpc": "2.0", "method": "exit"}"#
  private static func request(_ id: Int, _ method: String, _ params: String = "{}") -> String {
    #"{"jsonrpc": "2.0", "id": \#(id), "method": "\#(method)", "params": \#(params)}"#
  }

  @Test func fromStartToEnd() throws {
    let peer = try Peer(isInitialized: false)
    peer.send(Self.request(1, "server/status"), Self.request(2, "shutdown"), Self.request(3, "no/such"))
    for id in 1...3 { #expect(peer.nextShort() == "\(id): -32002 notInitialized") }
    peer.send(Self.request(4, "initialize"))
    #expect(peer.nextShort() == "4: result")
    peer.send(Self.request(5, "initialize"), Self.request(6, "server/status"), Self.request(7, "model/lod"))
    #expect(peer.nextShort() == "5: -32600 alreadyInitialized")
    let later = [peer.nextShort(), peer.nextShort()]
    #expect(Set(later) == ["6: result", "7: -32601 methodNotFound"])
    peer.send(Self.shutdown, Self.request(8, "server/status"), Self.request(9, "initialize"))
    #expect(peer.nextShort() == "\"s\": result")
    for id in 8...9 { #expect(peer.nextShort() == "\(id): -32600 shutDown") }
    peer.send(Self.exit)
    #expect(peer.server.exitCode() == 0)
    #expect(peer.next() == nil, "the output is closed")
  }

  @Test func wrongInitializeMayBeTriedAgain() throws {
    let peer = try Peer(isInitialized: false)
    peer.send(Self.request(1, "initialize", #"{"processId": "me"}"#), Self.request(2, "initialize", "[1]"))
    #expect(peer.nextShort() == "1: -32602 wrongType" && peer.nextShort() == "2: -32602 wrongType")
    peer.send(Self.request(3, "initialize", #"{"processId": null, "rootUri": null, "trace": "off", "whatever": {}}"#))
    #expect(peer.nextShort() == "3: result")
  }

  @Test func initializeAnnouncesWhatThereIs() throws {
    let peer = try Peer(isInitialized: false, maximumBodyBytes: 5000)
    peer.send(Self.request(1, "initialize"))
    let result = try #require(peer.next()?["result"])
    #expect(result["capabilities"]?["methods"]?.array?.compactMap(\.string) == methodNames)
    #expect(result["limits"]?["bodyBytes"] == 5000)
    #expect(result["limits"]?["requests"]?.integer == Scheduler.limit)
    #expect(result["serverInfo"]?["version"]?.string == espalierVersion)
  }

  @Test func shutdownWithWrongParams() throws {
    let peer = try Peer()
    peer.send(Self.request(1, "shutdown", #"{"now": true}"#), Self.request(2, "server/status"))
    #expect(peer.nextShort() == "1: -32602 unknownField")
    #expect(peer.nextShort() == "2: result", "it goes on serving")
  }

  /// Notifications that nobody knows: dropped if optional, logged if not; never answered.
  @Test func unknownNotifications() throws {
    let peer = try Peer()
    let bodies = [
      #"{"jsonrpc": "2.0", "method": "$/whatever"}"#, #"{"jsonrpc": "2.0", "method": "no/such", "params": [1]}"#,
      #"{"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 7}}"#,
      #"{"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": null}}"#,
      #"{"jsonrpc": "2.0", "method": "$/cancelRequest"}"#,
      #"{"jsonrpc": "2.0", "method": "$/setTrace", "params": {"value": "loud"}}"#,
      #"{"jsonrpc": "2.0", "method": "initialized", "params": {}}"#,
    ]
    for body in bodies { peer.send(body) }
    peer.send(Self.request(1, "server/status"))
    #expect(peer.nextShort() == "1: result")
    let logged = peer.notifications.compactMap { $0["params"]?["message"]?.string }
    #expect(logged.count == 1 && logged[0].contains("no/such"))
  }

  @Test(arguments: [(true, 0), (false, 1)] as [(Bool, Int32)])
  func exitCodes(afterShutdown: Bool, code: Int32) throws {
    let peer = try Peer()
    if afterShutdown {
      peer.send(Self.shutdown)
      _ = peer.next()
    }
    peer.send(Self.exit)
    #expect(peer.server.exitCode() == code)
  }

  @Test(arguments: [(true, 0), (false, 1)] as [(Bool, Int32)])
  func endOfInput(afterShutdown: Bool, code: Int32) throws {
    let peer = try Peer()
    if afterShutdown {
      peer.send(Self.shutdown)
      _ = peer.next()
    }
    peer.closeInput()
    #expect(peer.server.exitCode() == code)
  }

  /// A client that reads no more is gone, even if its end of the input stays open and there is nothing to tell it.
  @Test func closedOutputEndsAnIdleServer() throws {
    let server = try TestServer()
    close(server.output)
    #expect(server.exitCode() == 1)
    close(server.input)
  }

  @Test func goneParentEndsTheServer() throws {
    let parent = Process()
    parent.executableURL = URL(fileURLWithPath: "/bin/true")
    try parent.run()
    parent.waitUntilExit()
    let peer = try Peer(isInitialized: false)
    peer.send(Self.request(1, "initialize", #"{"processId": \#(parent.processIdentifier)}"#))
    #expect(peer.server.abruptEnd() == 1)
  }
}
