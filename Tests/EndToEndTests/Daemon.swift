// The built program as a child, for tests that look at it from outside: `espalier` beside the tests, or the file that
// the variable ESPALIER_BINARY names.

import Foundation
import JSON
import JSONRPC
import PipeClient
import Testing

enum Program {
  static let path: String? = {
    if let path = ProcessInfo.processInfo.environment["ESPALIER_BINARY"] { return path }
    var folder = URL(fileURLWithPath: ProcessCommand.ownExecutable)
    // The tests are a program beside ours, or lie in a bundle beside it.
    for _ in 0..<4 {
      folder.deleteLastPathComponent()
      let path = folder.appendingPathComponent("espalier").path
      if FileManager.default.isExecutableFile(atPath: path) { return path }
    }
    return nil
  }()

  static var isBuilt: Bool { path != nil }

  static func command(_ arguments: [String], environment: [String: String] = [:]) throws -> ProcessCommand {
    ProcessCommand(
      executable: try #require(path), arguments: arguments, environment: environment, isQuiet: true)
  }

  /// Runs the program to its end.
  static func run(
    _ arguments: [String], input: String = "", environment: [String: String] = [:]
  ) throws -> (code: Int32, output: String, errors: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(path))
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let (inputPipe, output, errors) = (Pipe(), Pipe(), Pipe())
    process.standardInput = inputPipe
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    inputPipe.fileHandleForWriting.write(Data(input.utf8))
    try inputPipe.fileHandleForWriting.close()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    let errorText = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (
      process.terminationStatus, String(decoding: text, as: UTF8.self), String(decoding: errorText, as: UTF8.self)
    )
  }
}

/// A daemon that is spoken to in bytes.
struct Daemon {
  let client: RawClient

  /// - Parameters:
  ///   - isInitialized: whether the session is open already.
  ///   - isReading: false for a client that never reads.
  init(
    _ arguments: [String] = [], environment: [String: String] = [:], isInitialized: Bool = true, isReading: Bool = true
  ) throws {
    client = try RawClient(Program.command(["serve"] + arguments, environment: environment), isReading: isReading)
    guard isInitialized else { return }
    try send(#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#)
    if isReading { #expect(next() == "0: result") }
    try send(#"{"jsonrpc":"2.0","method":"initialized","params":{}}"#)
  }

  func send(_ body: String) throws { try client.send(body: body) }
  func send(bytes: String) throws { try client.send(Array(bytes.utf8)) }

  /// The next answer in short: `id: result`, `id: code`, of a batch `[id: result, id: code]`. nil for anything that is
  /// no answer, and if none comes. Notifications are passed over.
  func next(within seconds: Double = 30) -> String? {
    while let json = client.nextJSON(within: seconds) {
      if json["method"] != nil, json["id"] == nil { continue }
      return Self.short(json)
    }
    return nil
  }

  private static func short(_ json: JSON) -> String {
    if let answers = json.array { return "[" + answers.map(short).joined(separator: ", ") + "]" }
    let id = (try? json["id"]?.serialized()).map { String(decoding: $0, as: UTF8.self) } ?? "no id"
    guard json["jsonrpc"] == "2.0", (json["result"] == nil) != (json["error"] == nil) else { return "no response" }
    return "\(id): " + (json["error"].map { "\($0["code"]?.integer ?? 0)" } ?? "result")
  }

  /// Asks for the status, waits for its answer and at least `count` others, and returns those, sorted. The daemon has
  /// survived if this is not nil.
  func answers(_ count: Int) throws -> [String]? {
    try send(#"{"jsonrpc":"2.0","id":"alive","method":"server/status"}"#)
    var answers: [String] = []
    var isAlive = false
    while !isAlive || answers.count < count {
      guard let answer = next() else { return nil }
      if answer == #""alive": result"# { isAlive = true } else { answers.append(answer) }
    }
    return answers.sorted()
  }

  /// Expects these answers and that the daemon serves on, then says goodbye.
  func expect(_ expected: [String], sourceLocation: SourceLocation = #_sourceLocation) throws {
    let answers = try answers(expected.count)
    #expect(answers == expected, sourceLocation: sourceLocation)
    try end(sourceLocation: sourceLocation)
  }

  /// Says goodbye properly.
  func end(sourceLocation: SourceLocation = #_sourceLocation) throws {
    try send(#"{"jsonrpc":"2.0","id":"bye","method":"shutdown"}"#)
    #expect(next() == #""bye": result"#, sourceLocation: sourceLocation)
    try send(#"{"jsonrpc":"2.0","method":"exit"}"#)
    #expect(client.process.wait(within: 30) == .exited(0), sourceLocation: sourceLocation)
    while let event = client.next(within: 60) {
      if event == .end { break }
      if case .problem(let problem) = event { Issue.record("not a frame on standard output: \(problem.message)") }
    }
  }
}
