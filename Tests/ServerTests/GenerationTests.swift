// model/generate: the answer, what is told while it grows, and what goes on beside it.

import Checkpoints
import JSON
import JSONRPC
import PipeClient
import Testing
import Transformers

@testable import Server

@Suite struct GenerationTests {
  private static let prompt: JSON = ["model": "a", "prompt": "To be, or not", "maxTokens": 40]

  /// A session with the built-in model as `a`.
  private func session() throws -> (server: TestServer, client: Client) {
    let server = try TestServer()
    let client = try Client(reading: server.output, writing: server.input)
    try client.initialize()
    _ = try client.call("model/load", ["source": "builtin:sapling", "name": "a"], within: 60)
    return (server, client)
  }

  private func with(_ params: JSON, _ more: JSON) -> JSON {
    var all = params.object ?? [:]
    for (key, value) in more.object ?? [:] { all[key] = value }
    return .object(all)
  }

  @Test func partsMakeUpTheAnswer() throws {
    let (server, client) = try session()
    var text = "", tokens: [JSON] = [], parts = 0
    let result = try client.call(
      "model/generate", Self.prompt, within: 60,
      onPartialResult: { part in
        parts += 1
        #expect(part["index"] == 0)
        text += part["text"]?.string ?? ""
        tokens += part["tokens"]?.array ?? []
      })
    #expect(parts >= 1)
    #expect(result["text"]?.string == text && !text.isEmpty)
    #expect(result["tokens"]?.array == tokens && tokens.count == 40)
    #expect(result["finishReason"] == "maxTokens" && result["revision"] == "r0")
    // The text goes on where the prompt ends, token for token.
    let model = try LoadedModel(source: "builtin:sapling", name: "a")
    let ids = tokens.compactMap { $0.integer.map(Int32.init) }
    #expect(try model.checkpoint.tokenizer.decode(ids, skipSpecialTokens: true) == text)
    let promptIDs = try model.checkpoint.tokenizer.encode("To be, or not", addSpecialTokens: true)
    #expect(result["promptTokens"]?.integer == promptIDs.count)
    let fromIDs = try client.call(
      "model/generate", ["model": "a", "tokens": JSON(promptIDs.map(Int.init)), "maxTokens": 40], within: 60)
    #expect(fromIDs["text"] == result["text"])
    try client.end(within: 20)
    #expect(server.exitCode() == 0)
  }

  /// Twenty a second for the whole request, whatever the number of prompts, but for what is left at the end.
  @Test func partsAreNotTooMany() throws {
    let (_, client) = try session()
    var parts: [Int: String] = [:], count = 0
    let result = try client.call(
      "model/generate",
      ["model": "a", "prompts": ["A", "ROMEO:", "The"], "maxTokens": 200, "ignoreEndTokens": true], within: 60,
      onPartialResult: { part in
        count += 1
        parts[part["index"]?.integer ?? -1, default: ""] += part["text"]?.string ?? ""
      })
    let texts = result["completions"]?.array?.compactMap { $0["text"]?.string } ?? []
    #expect(texts == [0, 1, 2].compactMap { parts[$0] })
    #expect(Double(count) <= 20 * (result["seconds"]?.number ?? 0) + 1 + 3)
    try client.end(within: 20)
  }

  @Test func logProbabilitiesAndSeeds() throws {
    let (_, client) = try session()
    let drawn = with(Self.prompt, ["temperature": 0.9, "topK": 30, "topP": 0.9, "seed": 4, "logProbabilities": true])
    let first = try client.call("model/generate", drawn, within: 60)
    let again = try client.call("model/generate", drawn, within: 60)
    #expect(first["tokens"] == again["tokens"] && first["logProbabilities"] == again["logProbabilities"])
    let other = try client.call("model/generate", with(drawn, ["seed": 5]), within: 60)
    #expect(first["tokens"] != other["tokens"])
    for name in ["logProbabilities", "samplingLogProbabilities"] {
      let values = first[name]?.array?.compactMap(\.number) ?? []
      #expect(values.count == 40 && values.allSatisfy { $0 <= 0 && $0 > -20 })
    }
    #expect(try client.call("model/generate", Self.prompt, within: 60)["logProbabilities"] == nil)
    try client.end(within: 20)
  }

  @Test func aCancelledOneAnswersWithWhatItHas() throws {
    let (_, client) = try session()
    let call = try client.start(
      "model/generate",
      ["model": "a", "prompts": JSON([String](repeating: "a", count: 64)), "maxTokens": 4000, "ignoreEndTokens": true],
      sendsPartialResults: true)
    var refusal: ResponseError?, parts = 0
    do throws(PipeClientError) {
      _ = try call.result(
        within: 60,
        onPartialResult: { _ in
          parts += 1
          if parts == 2 { call.cancel() }
        })
    } catch {
      if case .refused(let error, _) = error { refusal = error }
    }
    #expect(refusal?.code == .requestCancelled && refusal?.kind == "cancelled")
    let completions = refusal?.data?["completions"]?.array ?? []
    #expect(completions.count == 64)
    #expect(completions.allSatisfy { $0["finishReason"] == nil && $0["promptTokens"]?.integer == 1 })
    #expect(completions.contains { $0["text"]?.string?.isEmpty == false })
    #expect((completions.first?["tokens"]?.array?.count ?? 9999) < 500)
    try client.end(within: 20)
  }

  /// It works on the revision that it found.
  @Test func editsGoOnMeanwhile() throws {
    let (_, client) = try session()
    let long: JSON = ["model": "a", "prompts": JSON([String](repeating: "a", count: 32)), "maxTokens": 200]
    let call = try client.start("model/generate", long)
    let edit = try client.call(
      "mask/edit", ["model": "a", "edits": [["op": "prune", "layer": 0, "heads": [0, 1, 2]]]], within: 60)
    #expect(edit["revision"] == "r1")
    let before = try call.result(within: 60)
    #expect(before["revision"] == "r0")
    let after = try client.call("model/generate", with(long, ["revision": "r0"]), within: 60)
    #expect(after["completions"]?.array?.map { $0["tokens"] } == before["completions"]?.array?.map { $0["tokens"] })
    let pruned = try client.call("model/generate", long, within: 60)
    #expect(pruned["completions"]?.array?.map { $0["tokens"] } != before["completions"]?.array?.map { $0["tokens"] })
    try client.end(within: 20)
  }

  @Test(arguments: [
    (#"{"model": "b", "prompt": "a"}"#, Refusal(-32803, "modelNotFound")),
    (#"{"model": "a", "prompt": "a", "revision": "r7"}"#, Refusal(-32803, "revisionNotFound")),
    (#"{"model": "a", "tokens": []}"#, Refusal(-32803, "promptEmpty")),
    (#"{"model": "a", "prompt": "", "addSpecialTokens": false}"#, Refusal(-32803, "promptEmpty")),
    (#"{"model": "a", "tokens": [2048]}"#, Refusal(-32803, "tokenOutOfRange")),
  ])
  func refused(params: String, refusal: Refusal) throws {
    let (_, client) = try session()
    #expect(try client.refusal("model/generate", JSON.parse(params)) == refusal)
    try client.end(within: 20)
  }

  // MARK: The text while it grows

  private func token(_ id: Int32, finish: FinishReason? = nil) -> GeneratedToken {
    GeneratedToken(prompt: 0, token: id, finish: finish)
  }

  @Test func charactersComeWhole() throws {
    let tokenizer = try LoadedModel(source: "builtin:sapling", name: "a").checkpoint.tokenizer
    let ids = try tokenizer.encode("é木🌳!")
    #expect(ids.count > 5, "several tokens a character")
    var completion = CompletionText(tokenizer: tokenizer, promptTokens: 1), told = ""
    for id in ids {
      try completion.append(token(id))
      #expect(!completion.news.text.unicodeScalars.contains("\u{fffd}"))
      if completion.hasNews {
        told += completion.news.text
        completion.forgetNews()
      }
    }
    #expect(told == "é木🌳!" && completion.text == told && !completion.hasNews)

    var cut = CompletionText(tokenizer: tokenizer, promptTokens: 1)
    for (place, id) in ids.prefix(4).enumerated() { try cut.append(token(id, finish: place == 3 ? .maxTokens : nil)) }
    #expect(cut.text.unicodeScalars.last == "\u{fffd}")
    #expect(cut.tokens == Array(ids.prefix(4)) && cut.finish == .maxTokens)
  }

  @Test func endTokensAndUnknownIDsHaveNoText() throws {
    let tokenizer = try LoadedModel(source: "builtin:sapling", name: "a").checkpoint.tokenizer
    let ids = try tokenizer.encode("He said")
    var completion = CompletionText(tokenizer: tokenizer, promptTokens: 1)
    for id in [ids[0], 1 << 20] + ids.dropFirst() { try completion.append(token(id)) }
    try completion.append(token(ids[0], finish: .endToken))
    #expect(completion.text == "He said")
    #expect(completion.tokens.count == ids.count + 2 && completion.hasNews)
  }
}
