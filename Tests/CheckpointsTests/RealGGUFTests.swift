// Two real quantised files, if the environment names them: names and shapes as transformers has them, values as gguf-py
// reads them (Goldens/real-ggufs.json, which says which files these are).

import Foundation
import JSON
import OrderedCollections
import Tensors
import Testing

@testable import Checkpoints

private let environment = ProcessInfo.processInfo.environment
private let gemma3Path = environment["ESPALIER_GEMMA3_GGUF"], qwen2Path = environment["ESPALIER_QWEN2_GGUF"]

@Suite struct RealGGUFTests {
  /// Opens the file and compares its tensors with the golden's; returns its configuration.
  private func checked(_ name: String, _ path: String) throws -> JSONObject {
    let text = try Data(contentsOf: URL(fileURLWithPath: "\(goldens)/real-ggufs.json"))
    let golden = try #require(JSON.parse(Array(text))[name])
    let file = try GGUFFile(path: path)
    let configuration = try file.configuration()
    let (tensors, _) = try Checkpoint.translatedTensors(of: file, configuration)
    let shapes = try #require(golden["tensors"]?.object).map { ($0, $1.array?.compactMap(\.integer)) }
    #expect(
      Dictionary(uniqueKeysWithValues: tensors.map { ($0.key, $0.value.shape) })
        == Dictionary(uniqueKeysWithValues: shapes))
    #expect(!TensorOrder.sorted(tensors).isEmpty)
    for row in try #require(golden["rows"]?.array) {
      let name = try #require(row["name"]?.string), bits = try #require(row["bits"]?.array).compactMap(\.integer)
      let view = try #require(tensors[name])
      #expect(view.dtype.rawValue == row["type"]?.string)
      let out = FloatBuffer(count: view.columns)
      MaskedTensor(weights: view).readRow(try #require(row["row"]?.integer), into: out.pointer)
      #expect(bits.count == 64 && out.readOnly.prefix(64).map { Int($0.bitPattern) } == bits, "\(name)")
    }
    return configuration
  }

  @Test(.enabled(if: gemma3Path != nil, "ESPALIER_GEMMA3_GGUF is not set"))
  func gemma3() throws {
    let found = try checked("gemma3", try #require(gemma3Path))
    #expect(found["model_type"] == "gemma3_text" && found["num_hidden_layers"] == 18 && found["head_dim"] == 256)
    #expect(found["num_key_value_heads"] == 1 && found["query_pre_attn_scalar"] == 256)
    #expect(found["sliding_window"] == 512 && found["rope_theta"] == 1e6 && found["rope_local_base_freq"] == 1e4)
    #expect(found["tie_word_embeddings"] == true && found[Checkpoint.normOffsetKey] == 0)
    let full = found["layer_types"]?.array?.enumerated().filter { $0.element == "full_attention" }.map(\.offset)
    #expect(full == [5, 11, 17])
    #expect(found["bos_token_id"] == 2 && found["eos_token_id"] == 1 && found["vocab_size"] == 262_144)
  }

  @Test(.enabled(if: qwen2Path != nil, "ESPALIER_QWEN2_GGUF is not set"))
  func qwen2() throws {
    let found = try checked("qwen2", try #require(qwen2Path))
    #expect(found["model_type"] == "qwen2" && found["num_hidden_layers"] == 24 && found["head_dim"] == 64)
    #expect(found["num_key_value_heads"] == 2 && found["intermediate_size"] == 4864 && found["rope_theta"] == 1e6)
    #expect(found["tie_word_embeddings"] == false && found["vocab_size"] == 151_936)
    #expect(found["rope_scaling"] == nil && found["max_position_embeddings"] == 32_768)
  }
}
