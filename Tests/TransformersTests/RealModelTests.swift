// Real weights of three families against transformers (Goldens/real-models.json): greedy decoding and perplexity.
//
// Each runs if a variable names its file: ESPALIER_SMOLLM2_GGUF, ESPALIER_QWEN2_GGUF, ESPALIER_GEMMA3_GGUF. Which files
// those are, real_goldens.py says.

import Foundation
import JSON
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

private let environment = ProcessInfo.processInfo.environment
private let smollm2 = environment["ESPALIER_SMOLLM2_GGUF"]
private let qwen2 = environment["ESPALIER_QWEN2_GGUF"]
private let gemma3 = environment["ESPALIER_GEMMA3_GGUF"]

@Suite(.serialized) struct RealModelTests {
  private static let compute = Result { try Compute(pool: ComputePool()) }

  @Test(.enabled(if: smollm2 != nil, "ESPALIER_SMOLLM2_GGUF is not set"))
  func smolLM2() throws { try check("smollm2", try #require(smollm2)) }

  @Test(.enabled(if: qwen2 != nil, "ESPALIER_QWEN2_GGUF is not set"))
  func qwen2Coder() throws { try check("qwen2.5-coder-0.5b", try #require(qwen2)) }

  @Test(.enabled(if: gemma3 != nil, "ESPALIER_GEMMA3_GGUF is not set"))
  func gemma3Small() throws { try check("gemma3-270m", try #require(gemma3)) }

  private func check(_ name: String, _ path: String) throws {
    let goldens = Repository.goldens(of: "TransformersTests")
    let document = try JSON.parse(try #require(TemporaryFolder.read("\(goldens)/real-models.json")), limits: .file)
    let golden = try #require(document["models"]?[name])
    let model = try TestModel(path: path), compute = try Self.compute.get()

    let windows = try #require(golden["windows"]?.array).map { tokens($0) }
    let expected = try #require(golden["losses"]?.array).compactMap(\.number)
    let batch = Batch(sequences: 1, length: 256)
    for (window, loss) in zip(windows, expected) {
      let losses = try forward(model, tokens: window, batch: batch, compute: compute).losses
      let mean = losses.reduce(0, +) / Double(losses.count)
      #expect(abs(mean - loss) < 1e-4 * loss, "\(name)")
    }

    let greedy = tokens(golden["greedy"]), margins = try #require(golden["margins"]?.array).compactMap(\.number)
    let result = try generate(
      model, [tokens(golden["prompt"])], GenerationOptions(maximumTokens: greedy.count), compute: compute)
    #expect(result.tokens[0].count == greedy.count && margins.count == greedy.count)
    for (step, token) in result.tokens[0].enumerated() where token != greedy[step] {
      // Where the two largest logits are this close another order of summation may choose the other one, and then
      // everything after it is another text: no failure, but the end of the comparison.
      #expect(margins[step] < 2e-3, "\(name), step \(step): \(token), expected \(greedy[step])")
      break
    }
  }

  private func tokens(_ json: JSON?) -> [Int32] { (json?.array ?? []).compactMap { $0.integer.map(Int32.init) } }
}
