// The words of every error: what happened, what was expected, what to do next.

import JSON
import JSONRPC
import Testing

@testable import PipeClient

struct ErrorMessageTests {
  @Test(
    arguments: [
      (
        .cannotStart(path: "/opt/espalier", errno: 2), "cannotStart",
        "The daemon /opt/espalier could not be started (No such file or directory);"
          + " check that it exists and may be executed."
      ),
      (
        .noThread, "noThread",
        "No thread could be started to read from the daemon; raise the limit on threads or free memory."
      ),
      (
        .refused(ResponseError(.requestFailed, kind: "modelNotFound", "There is no model \"x\"."), method: "mask/get"),
        "modelNotFound", "mask/get: There is no model \"x\"."
      ),
      (
        .ended(.exited(3)), "daemonEnded",
        "The daemon ended with exit code 3 before it answered; its last words are on standard error."
          + " Start it again to go on."
      ),
      (
        .ended(.killed(signal: 9)), "daemonEnded",
        "The daemon ended, killed by signal 9 (Killed) before it answered; its last words are on standard error."
          + " Start it again to go on."
      ),
      (
        .ended(nil), "daemonEnded",
        "The daemon ended before it answered; its last words are on standard error. Start it again to go on."
      ),
      (.inputClosed, "inputClosed", "The daemon no longer reads its input; start it again to go on."),
      (
        .timedOut(waitingFor: "the answer to model/list", seconds: 2.5), "timedOut",
        "Waited 2.5 s for the answer to model/list, in vain; wait longer, or end the daemon and start it again."
      ),
      (
        .notUnderstood("It was garbage."), "notUnderstood",
        "The daemon sent something that is no message: It was garbage. Check that it is an Espalier daemon and that"
          + " nothing else writes to its standard output."
      ),
      (
        .notWritable(.textTooLong), "textTooLong",
        "The parameters cannot be written as JSON. \(JSONError.textTooLong.message)"
      ),
    ] as [(PipeClientError, String, String)])
  func words(_ error: PipeClientError, kind: String, message: String) {
    #expect(error.kind == kind)
    #expect(error.message == message)
    #expect(error.description == message)
  }
}
