// Standard output: nothing but frames, whoever prints; and a client that does not read it.

import Foundation
import JSON
import JSONRPC
import PipeClient
import Testing

@Suite(.enabled(if: Program.isBuilt, "espalier is not built"))
struct OutputTests {
  /// A client that never reads must make the daemon wait, not grow.
  @Test func clientStopsReading() throws {
    let daemon = try Daemon(isReading: false)
    try daemon.send(#"{"jsonrpc":"2.0","id":1,"method":"server/status"}"#)
    usleep(300_000)
    let before = try residentBytes(daemon)
    let id = String(repeating: "x", count: 10_000)  // comes back in the answer, which fills the pipe sooner
    let request = #"{"jsonrpc":"2.0","id":"\#(id)","method":"server/status"}"#
    let requests = Array(Array(repeating: Frame.encode(request.utf8), count: 100).joined())
    var isFull = false
    for _ in 0..<1000 {
      do {
        try daemon.client.send(requests, within: 3)
      } catch {
        isFull = true
        break
      }
    }
    #expect(isFull, "the daemon takes everything although nobody reads its answers")
    #expect(try residentBytes(daemon) - before < 64 << 20)
    daemon.client.process.signal(SIGKILL)
    close(daemon.client.process.standardOutput)
  }

  private func residentBytes(_ daemon: Daemon) throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(daemon.client.process.id)/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
    return (Int(line.filter(\.isNumber)) ?? 0) << 10
  }

  /// A plugin that prints when it is loaded and when the program ends.
  @Test func pluginsThatPrint() throws {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("espalier-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let noise = folder.appendingPathComponent("noise.c")
    try """
    #include <stdio.h>
    __attribute__((constructor)) static void hello(void) { puts("Content-Length: 3"); fflush(stdout); }
    __attribute__((destructor)) static void goodbye(void) { puts("goodbye"); fflush(stdout); }
    """.write(to: noise, atomically: true, encoding: .utf8)
    let library = folder.appendingPathComponent("libnoisy.so").path
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    compiler.arguments = [
      "cc", "-shared", "-fPIC", "-O1", "-I", package.appendingPathComponent("protocol").path, "-o", library, noise.path,
      package.appendingPathComponent("plugins/magnitude/magnitude.c").path, "-lm",
    ]
    try compiler.run()
    compiler.waitUntilExit()
    try #require(compiler.terminationStatus == 0)

    let daemon = try Daemon()
    try daemon.send(#"{"jsonrpc":"2.0","id":1,"method":"plugin/load","params":{"path":"\#(library)"}}"#)
    let answers = try daemon.answers(1)
    #expect(answers?.count == 1)  // loaded, or refused since another `magnitude` is there: either way it printed
    try daemon.end()
  }
}
