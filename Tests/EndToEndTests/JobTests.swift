// Long requests: light ones are answered meanwhile, they can be cancelled, and their client may go.

import Foundation
import JSON
import JSONRPC
import PipeClient
import Testing

@Suite(.enabled(if: Program.isBuilt, "espalier is not built"))
struct JobTests {
  private let evaluation: JSON = ["model": "sapling", "dataset": "text"]

  /// A daemon with the built-in model and all of its evaluation text, which takes a while to evaluate.
  private func prepared() throws -> Client {
    let client = try Client(starting: Program.command([]))
    try client.initialize()
    _ = try client.call("model/load", ["source": "builtin:sapling"], within: 60)
    _ = try client.call(
      "dataset/load",
      ["path": "builtin:sapling/evaluation", "model": "sapling", "name": "text", "sequenceLength": 256], within: 60)
    return client
  }

  @Test func lightRequestsAndCancellation() throws {
    let client = try prepared()
    let heavy = try client.start("evaluate/perplexity", evaluation, reportsProgress: true)
    #expect(try client.call("server/status", within: 30)["jobs"]?.integer ?? 0 > 0, "answered while the other runs")
    let jobs = try client.call("job/list", within: 30)["jobs"]?.array ?? []
    #expect(jobs.map { $0["method"] } == ["evaluate/perplexity"])
    heavy.cancel()
    var refusal: ResponseError?
    do throws(PipeClientError) {
      _ = try heavy.result(within: 30)
    } catch {
      if case .refused(let error, _) = error { refusal = error }
    }
    #expect(refusal?.code == .requestCancelled)

    // Nothing is lost: the model is there, at its revision, and answers.
    let models = try client.call("model/list", within: 30)["models"]?.array ?? []
    #expect(models.map { $0["model"] } == ["sapling"])
    let scored = try client.call("importance/score", ["model": "sapling", "plugin": "magnitude"], within: 60)
    #expect(scored["revision"] == models.first?["revision"])
    #expect(try client.end(within: 30) == .exited(0))
  }

  private let long: JSON = [
    "model": "sapling", "prompts": JSON([String](repeating: "The king", count: 64)), "maxTokens": 100_000,
    "temperature": 1, "ignoreEndTokens": true,
  ]

  @Test func aLongTextIsWatchedAndCancelled() throws {
    let client = try prepared()
    let call = try client.start("model/generate", long, reportsProgress: true, sendsPartialResults: true)
    var parts = 0, jobs: [JSON] = []
    var refusal: ResponseError?
    do throws(PipeClientError) {
      _ = try call.result(
        within: 60,
        onPartialResult: { _ in
          parts += 1
          if parts == 3 {
            jobs = (try? client.call("job/list", within: 30))?["jobs"]?.array ?? []
            call.cancel()
          }
        })
    } catch {
      if case .refused(let error, _) = error { refusal = error }
    }
    #expect(parts >= 3)
    #expect(jobs.map { $0["method"] } == ["model/generate"])
    #expect(refusal?.code == .requestCancelled)
    let completions = refusal?.data?["completions"]?.array ?? []
    #expect(completions.count == 64 && completions.contains { $0["tokens"]?.array?.isEmpty == false })
    #expect(try client.end(within: 30) == .exited(0))
  }

  @Test func aTextComesInParts() throws {
    let client = try prepared()
    var text = ""
    let result = try client.call(
      "model/generate", ["model": "sapling", "prompt": "ROMEO:", "maxTokens": 300, "ignoreEndTokens": true],
      within: 60, onPartialResult: { text += $0["text"]?.string ?? "" })
    #expect(result["text"]?.string == text && text.count > 300)
    #expect(result["tokens"]?.array?.count == 300)
    try client.end(within: 30)
  }

  @Test func progressRisesAndEnds() throws {
    let client = try prepared()
    var seen: [Double] = []
    let result = try client.call("evaluate/perplexity", evaluation, within: 120) { progress in
      if let percentage = progress.percentage { seen.append(percentage) }
    }
    #expect(result["perplexity"]?.number ?? 0 > 1)
    #expect(seen.first == 0)
    #expect(seen == seen.sorted())
    #expect(seen.allSatisfy { (0...100).contains($0) })
    try client.end(within: 30)
  }

  @Test func clientGoesInTheMiddle() throws {
    var client: Client? = try prepared()
    let process = try #require(client?.process)
    _ = try client?.start("evaluate/perplexity", evaluation)
    client = nil  // closes the daemon's input
    #expect(process.wait(within: 30) == .exited(1))
  }

  /// It reads no more, but its end of the input stays open, and the daemon has nothing to tell it for a while.
  @Test(arguments: ["idle", "evaluating"])
  func clientStopsListening(_ daemonIs: String) throws {
    let daemon = try Daemon(isReading: false)
    let output = daemon.client.process.standardOutput
    if daemonIs == "evaluating" {
      for (id, method, params) in [
        (1, "model/load", #"{"source": "builtin:sapling"}"#),
        (
          2, "dataset/load",
          #"{"path": "builtin:sapling/evaluation", "model": "sapling", "name": "text", "sequenceLength": 256}"#
        ), (3, "evaluate/perplexity", #"{"model": "sapling", "dataset": "text"}"#),
      ] {
        try daemon.send(#"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)","params":\#(params)}"#)
      }
      usleep(500_000)
    }
    close(output)
    #expect(daemon.client.process.wait(within: 30) == .exited(1))
  }
}
