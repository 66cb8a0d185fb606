// The client's side of the pipe: calls a daemon and waits. Knows the lifecycle and no other method.

import Glibc
package import JSON
import JSONRPC
import Synchronization

/// A connection to one daemon, for any number of threads.
package final class Client: Sendable {
  /// The daemon, if the client started it.
  package let process: ChildProcess?
  private let sender: FrameSender
  private let inbox: Inbox

  /// Starts a daemon. It gets the end of its input when the client goes.
  /// - Parameter onLog: called with each line of the daemon's log, on the thread that reads.
  /// - Throws: `cannotStart`, `noThread`.
  package convenience init(
    starting command: ProcessCommand = .daemon(), onLog: @escaping @Sendable (LogLine) -> Void = { _ in }
  ) throws(PipeClientError) {
    let process = try ChildProcess(command)
    try self.init(
      reading: process.standardOutput, writing: process.standardInput, process: process, onLog: onLog)
  }

  /// Speaks over two descriptors, which belong to the client from now on.
  package init(
    reading output: Int32, writing input: Int32, process: ChildProcess? = nil,
    onLog: @escaping @Sendable (LogLine) -> Void = { _ in }
  ) throws(PipeClientError) {
    signal(SIGPIPE, SIG_IGN)
    self.process = process
    sender = FrameSender(descriptor: input)
    inbox = Inbox(sender: sender, process: process, onLog: onLog)
    let inbox = inbox
    try startReading(output) { inbox.receive($0) }
  }

  deinit { sender.close() }

  /// Sends a request and waits for its result.
  /// - Parameters:
  ///   - params: an object, an array or nothing.
  ///   - seconds: how long to wait; then the request is cancelled and `timedOut` is thrown.
  ///   - onProgress: called on this thread with each report; asks the daemon to send them.
  ///   - onPartialResult: the same with each part of the result that comes before it.
  /// - Throws: `refused` with the daemon's error; `ended`, `inputClosed`, `notUnderstood`, `timedOut`, `notWritable`.
  package func call(
    _ method: String, _ params: JSON? = nil, within seconds: Double = .infinity,
    onProgress: ((CallProgress) -> Void)? = nil, onPartialResult: ((JSON) -> Void)? = nil
  ) throws(PipeClientError) -> JSON {
    let deadline = Deadline(in: seconds)
    return try start(
      method, params, reportsProgress: onProgress != nil, sendsPartialResults: onPartialResult != nil, within: seconds
    ).result(within: deadline.secondsLeft, onProgress: onProgress, onPartialResult: onPartialResult)
  }

  /// Sends a request; its result is waited for later.
  /// - Parameters:
  ///   - reportsProgress: asks for reports, with a token added to `params`, which must then be an object or nil.
  ///   - sendsPartialResults: asks for parts of the result as they are there, in the same way.
  ///   - seconds: how long the daemon may take to read it.
  package func start(
    _ method: String, _ params: JSON? = nil, reportsProgress: Bool = false, sendsPartialResults: Bool = false,
    within seconds: Double = .infinity
  ) throws(PipeClientError) -> PendingCall {
    let (id, mailbox) = try inbox.expect(method)
    var params = params
    if reportsProgress || sendsPartialResults {
      var members = params ?? [:]
      if reportsProgress { members["workDoneToken"] = .string(Inbox.token(of: id)) }
      if sendsPartialResults { members["partialResultToken"] = .string(Inbox.partialResultToken(of: id)) }
      params = members
    }
    do throws(PipeClientError) {
      try send(Request(id: .integer(id), method: method, params: params).json, within: seconds)
    } catch {
      inbox.forget(id)
      throw error
    }
    return PendingCall(id: id, method: method, mailbox: mailbox, client: self)
  }

  package func notify(
    _ method: String, _ params: JSON? = nil, within seconds: Double = .infinity
  ) throws(PipeClientError) {
    try send(Notification(method: method, params: params).json, within: seconds)
  }

  /// Opens the session: initialize, then initialized.
  /// - Returns: what the daemon says of itself.
  @discardableResult
  package func initialize(within seconds: Double = 60) throws(PipeClientError) -> JSON {
    let params: JSON = [
      "processId": JSON(Int(getpid())), "clientInfo": ["name": "espalier"],
      "capabilities": ["window": ["workDoneProgress": true]],
    ]
    let result = try call("initialize", params, within: seconds)
    try notify("initialized", [:], within: seconds)
    return result
  }

  /// Closes the session: shutdown, exit, end of the input.
  /// - Returns: how the daemon ended; nil if this client did not start it.
  /// - Throws: as `call`; `timedOut` if it does not end.
  @discardableResult
  package func end(within seconds: Double = 60) throws(PipeClientError) -> ProcessEnd? {
    _ = try call("shutdown", within: seconds)
    try notify("exit", within: seconds)
    sender.close()
    guard let process else { return nil }
    guard let status = process.wait(within: seconds) else {
      throw .timedOut(waitingFor: "the daemon to end", seconds: seconds)
    }
    return status
  }

  /// Nobody waits for the call any more.
  func abandon(_ id: Int64) {
    inbox.forget(id)
    cancel(id)
  }

  func cancel(_ id: Int64) { try? notify("$/cancelRequest", ["id": .integer(id)], within: 1) }

  private func send(_ message: JSON, within seconds: Double) throws(PipeClientError) {
    let body: [UInt8]
    do throws(JSONError) {
      body = try message.serialized()
    } catch {
      throw .notWritable(error)
    }
    do throws(PipeClientError) {
      try sender.send(Frame.encode(body), within: seconds)
    } catch .inputClosed {
      // Most likely because the daemon is gone, and then it matters how.
      guard let status = process?.wait(within: 1) else { throw .inputClosed }
      throw .ended(status)
    }
  }
}
