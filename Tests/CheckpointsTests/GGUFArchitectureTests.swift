// The architectures that are translated from GGUF: names against gguf-py's and transformers' (architectures.json),
// configurations, RoPE scaling, natural order.

import Foundation
import JSON
import OrderedCollections
import Tensors
import Testing

@testable import Checkpoints

/// The tensors of a tiny model, as gguf-py and transformers name them.
struct ArchitectureGolden {
  struct Tensor {
    let stored: String?
    let name: String
    let shape: [Int]
  }

  let modelClass: String
  let tensors: [Tensor]

  init(_ architecture: String) throws {
    let text = try Data(contentsOf: URL(fileURLWithPath: "\(goldens)/architectures.json"))
    let golden = try #require(JSON.parse(Array(text))[architecture])
    modelClass = try #require(golden["class"]?.string)
    tensors = try #require(golden["tensors"]?.array).map { row in
      let fields = try #require(row.array)
      let shape = try #require(fields[2].array).compactMap(\.integer)
      return Tensor(stored: fields[0].string, name: try #require(fields[1].string), shape: shape)
    }
  }
}

extension GGUFBuilder {
  /// The tiny model of architectures.json as fp32 zeros; metadata as llama.cpp's converter writes them.
  static func tiny(_ architecture: String) throws -> GGUFBuilder {
    var builder = GGUFBuilder()
    let sizes: [(String, Value)] = [
      ("block_count", .uint32(2)), ("context_length", .uint32(32)), ("embedding_length", .uint32(16)),
      ("feed_forward_length", .uint32(24)), ("attention.head_count", .uint32(4)),
    ]
    let decoder: [(String, Value)] = [
      ("attention.head_count_kv", .uint32(2)), ("attention.key_length", .uint32(6)),
      ("attention.value_length", .uint32(6)), ("attention.layer_norm_rms_epsilon", .float32(1e-6)),
      ("rope.freq_base", .float32(1_000_000)),
    ]
    builder.metadata = [("general.architecture", .string(architecture))]
    let others = architecture == "gpt2" ? [("attention.layer_norm_epsilon", .float32(1e-5))] : decoder
    builder.metadata += (sizes + others)
      .map { ("\(architecture).\($0)", $1) }
    builder.metadata.append(("tokenizer.ggml.tokens", .strings((0..<40).map { "t\($0)" })))
    builder.tensors = try ArchitectureGolden(architecture).tensors.map { tensor in
      let stored = try #require(tensor.stored)
      return Tensor(
        name: stored, sizes: tensor.shape.reversed().map(UInt64.init), byteCount: tensor.shape.reduce(4, *))
    }
    return builder
  }

  var gguf: GGUFFile { get throws { try GGUFFile(storage: MemoryStorage(file), path: "x") } }
}

/// Both tables; they share no key.
private func + (a: [String: JSON], b: [String: JSON]) -> [String: JSON] { a.merging(b) { first, _ in first } }

private let translated = GGUFArchitecture.all.map(\.name)

private func fault(_ builder: GGUFBuilder) throws -> GGUFFault? {
  let file = try builder.gguf
  guard case .gguf(_, let fault) = try checkpointError({ _ = try file.configuration() }) else { return nil }
  return fault
}

@Suite struct GGUFArchitectureTests {
  @Test func theTablesAreComplete() throws {
    #expect(translated == ["llama", "qwen2", "qwen3", "gemma3", "gpt2"])
    for name in translated {
      #expect(try ArchitectureGolden(name).tensors.count > 20)
    }
  }

  @Test(arguments: translated)
  func tensorsHaveTheNamesOfTransformers(_ name: String) throws {
    let golden = try ArchitectureGolden(name), file = try GGUFBuilder.tiny(name).gguf
    let (tensors, storedNames) = try Checkpoint.translatedTensors(of: file, file.configuration())
    let shapes = Dictionary(uniqueKeysWithValues: golden.tensors.map { ($0.name, $0.shape) })
    #expect(Dictionary(uniqueKeysWithValues: tensors.map { ($0.key, $0.value.shape) }) == shapes)
    for tensor in golden.tensors { #expect(storedNames[tensor.name] == tensor.stored) }
    let interleaved = tensors.filter { $0.value.rowOrder != .stored }.keys
    #expect(interleaved.isEmpty == (name != "llama"), "\(interleaved)")
    #expect(try file.configuration()["architectures"] == JSON([golden.modelClass]))
  }

  @Test(arguments: [
    ("qwen2", "blk.0.attn_q_norm.weight"), ("qwen2", "blk.0.attn_output.bias"), ("qwen3", "blk.0.attn_q.bias"),
    ("qwen3", "rope_freqs.weight"), ("gemma3", "blk.0.ffn_norm.bias"), ("gemma3", "v.patch_embd.weight"),
    ("gpt2", "blk.0.ffn_gate.weight"), ("gpt2", "blk.01.ffn_up.weight"),
  ])
  func refusesTensorsOfOtherModels(_ name: String, _ tensor: String) throws {
    var builder = try GGUFBuilder.tiny(name)
    builder.tensors.append(.init(name: tensor, sizes: [16], byteCount: 64))
    let file = try builder.gguf
    let error = try checkpointError { _ = try Checkpoint.translatedTensors(of: file, file.configuration()) }
    guard case .gguf(_, .unsupportedTensor(tensor, _)) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  static let decoder: [String: JSON] = [
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 6, "rms_norm_eps": JSON(Double(Float(1e-6))),
    "max_position_embeddings": 32, "vocab_size": 40, "tie_word_embeddings": false, "rope_theta": 1e6,
  ]
  static let plainRope: JSON = ["rope_type": "default", "rope_theta": 1e6]
  static let configurations: [String: [String: JSON]] = [
    "llama": decoder + [
      "model_type": "llama", "rope_parameters": plainRope, "hidden_act": "silu", "attention_bias": false,
      "mlp_bias": false,
    ],
    "qwen2": decoder + [
      "model_type": "qwen2", "rope_parameters": plainRope, "hidden_act": "silu", "use_sliding_window": false,
    ],
    "qwen3": decoder + [
      "model_type": "qwen3", "rope_parameters": plainRope, "hidden_act": "silu", "use_sliding_window": false,
      "attention_bias": false,
    ],
    "gemma3": decoder + [
      "model_type": "gemma3_text", "rope_local_base_freq": 1e4, "hidden_activation": "gelu_pytorch_tanh",
      "attention_bias": false, "query_pre_attn_scalar": 6, "sliding_window": nil,
      "layer_types": ["full_attention", "full_attention"], "espalier_norm_offset": 0,
    ],
    "gpt2": [
      "model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 4, "n_inner": 24, "n_positions": 32, "vocab_size": 40,
      "activation_function": "gelu_new", "layer_norm_epsilon": JSON(Double(Float(1e-5))), "tie_word_embeddings": false,
    ],
  ]

  @Test(arguments: translated)
  func translatesTheConfiguration(_ name: String) throws {
    var builder = try GGUFBuilder.tiny(name)
    var found = try builder.gguf.configuration()
    #expect(found.removeValue(forKey: "architectures") != nil)
    let expected = try #require(Self.configurations[name])
    #expect(Dictionary(uniqueKeysWithValues: found.map { ($0, $1) }) == expected)

    builder.tensors.removeAll { $0.name == "output.weight" }
    builder.set("tokenizer.ggml.eos_token_id", .uint32(7))
    found = try builder.gguf.configuration()
    #expect(found["tie_word_embeddings"] == true && found["eos_token_id"] == 7)
  }

  @Test func gemmaAttendsToWindows() throws {
    var builder = try GGUFBuilder.tiny("gemma3")
    builder.set("gemma3.attention.sliding_window", .uint32(512))
    builder.set("gemma3.rope.freq_base_swa", .float32(5000))
    builder.set("gemma3.rope.freq_base", nil)
    builder.set("gemma3.rope.scaling.type", .string("linear"))
    builder.set("gemma3.rope.scaling.factor", .float32(8))
    builder.set("gemma3.block_count", .uint32(7))
    let found = try builder.gguf.configuration()
    let sliding = JSON("sliding_attention"), full = JSON("full_attention")
    #expect(found["layer_types"] == .array([sliding, sliding, sliding, sliding, sliding, full, sliding]))
    #expect(found["sliding_window"] == 512)
    #expect(found["rope_theta"] == 1e6 && found["rope_local_base_freq"] == 5000.0)
    #expect(found["rope_scaling"] == ["rope_type": "linear", "factor": 8.0])
    builder.set("gemma3.attention.sliding_window_pattern", .uint32(2))
    #expect(try builder.gguf.configuration()["layer_types"]?.array?.filter { $0 == full }.count == 3)
  }

  /// 27B has 62 layers of 5376 channels in 32 heads of 128, and is scaled by 1/sqrt(168).
  @Test func gemmaScalesAttentionBySize() throws {
    var builder = try GGUFBuilder.tiny("gemma3")
    for index in 0..<62 { builder.tensors.append(.init(name: "more.\(index)", sizes: [1], byteCount: 4)) }
    builder.set("gemma3.embedding_length", .uint32(5376))
    builder.set("gemma3.attention.head_count", .uint32(32))
    builder.set("gemma3.attention.key_length", .uint32(128))
    builder.set("gemma3.attention.value_length", .uint32(128))
    for (layers, scalar) in [(61, 128), (62, 168)] as [(UInt32, JSON)] {
      builder.set("gemma3.block_count", .uint32(layers))
      #expect(try builder.gguf.configuration()["query_pre_attn_scalar"] == scalar)
    }
  }

  static let refused: [(String, String, GGUFBuilder.Value?, GGUFFault)] = [
    (
      "gemma3", "final_logit_softcapping", .float32(30),
      .unsupportedKey("gemma3.final_logit_softcapping", value: "30.0")
    ),
    (
      "gemma3", "attention.sliding_window", .int32(-1),
      .metadataValue(key: "gemma3.attention.sliding_window", found: "-1", expected: "0 to 2147483647")
    ),
    (
      "gemma3", "block_count", .uint32(1 << 30),
      .metadataValue(
        key: "gemma3.block_count", found: "1073741824", expected: "at most 29, the number of tensors")
    ),
    ("qwen2", "rope.scaling.type", .string("yarn"), .unsupportedKey("qwen2.rope.scaling.type", value: "\"yarn\"")),
    ("qwen2", "rope.scaling.type", .string("linear"), .metadataMissing(key: "qwen2.rope.scaling.factor")),
    ("qwen2", "rope.scaling.factor", .float32(2), .unsupportedKey("qwen2.rope.scaling.factor", value: "2.0")),
    (
      "qwen2", "rope.freq_base", .float32(0),
      .metadataValue(key: "qwen2.rope.freq_base", found: "0.0", expected: "more than 0")
    ),
    ("qwen3", "attention.sliding_window", .uint32(4), .unsupportedKey("qwen3.attention.sliding_window", value: "4")),
    ("qwen3", "expert_count", .uint32(4), .unsupportedKey("qwen3.expert_count", value: "4")),
    ("qwen3", "attention.layer_norm_rms_epsilon", nil, .metadataMissing(key: "qwen3.attention.layer_norm_rms_epsilon")),
    (
      "qwen3", "attention.value_length", .uint32(8),
      .metadataValue(key: "qwen3.attention.value_length", found: "8", expected: "the size of a head, 6")
    ),
    ("gpt2", "rope.scaling.type", .string("none"), .unsupportedKey("gpt2.rope.scaling.type", value: "\"none\"")),
    (
      "gpt2", "attention.head_count", .uint32(5),
      .metadataValue(key: "gpt2.attention.head_count", found: "5", expected: "a divisor of embedding_length 16")
    ),
    (
      "gpt2", "attention.layer_norm_rms_epsilon", .float32(1),
      .unsupportedKey("gpt2.attention.layer_norm_rms_epsilon", value: "1.0")
    ),
  ]

  @Test(arguments: refused.indices)
  func refusesOtherArithmetic(_ index: Int) throws {
    let (name, key, value, expected) = Self.refused[index]
    var builder = try GGUFBuilder.tiny(name)
    builder.set("\(name).\(key)", value)
    #expect(try fault(builder) == expected)
  }
}

@Suite struct TensorOrderTests {
  /// Positions do not depend on the order in the file.
  @Test(arguments: [
    (
      "gemma3",
      [
        "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight", "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.v_proj.weight",
        "model.layers.0.self_attn.q_norm.weight", "model.layers.0.self_attn.k_norm.weight",
        "model.layers.0.self_attn.o_proj.weight", "model.layers.0.post_attention_layernorm.weight",
        "model.layers.0.pre_feedforward_layernorm.weight", "model.layers.0.mlp.gate_proj.weight",
        "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight",
        "model.layers.0.post_feedforward_layernorm.weight", "model.layers.1.input_layernorm.weight",
      ], ["model.norm.weight", "lm_head.weight"]
    ),
    (
      "qwen2",
      [
        "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight", "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.k_proj.weight",
        "model.layers.0.self_attn.k_proj.bias", "model.layers.0.self_attn.v_proj.weight",
        "model.layers.0.self_attn.v_proj.bias", "model.layers.0.self_attn.o_proj.weight",
        "model.layers.0.post_attention_layernorm.weight", "model.layers.0.mlp.gate_proj.weight",
      ], ["model.norm.weight", "lm_head.weight"]
    ),
    (
      "gpt2",
      [
        "transformer.wte.weight", "transformer.wpe.weight", "transformer.h.0.ln_1.weight", "transformer.h.0.ln_1.bias",
        "transformer.h.0.attn.c_attn.weight", "transformer.h.0.attn.c_attn.bias", "transformer.h.0.attn.c_proj.weight",
        "transformer.h.0.attn.c_proj.bias", "transformer.h.0.ln_2.weight", "transformer.h.0.ln_2.bias",
        "transformer.h.0.mlp.c_fc.weight", "transformer.h.0.mlp.c_fc.bias", "transformer.h.0.mlp.c_proj.weight",
        "transformer.h.0.mlp.c_proj.bias", "transformer.h.1.ln_1.weight",
      ], ["transformer.ln_f.weight", "transformer.ln_f.bias", "lm_head.weight"]
    ),
    (
      "opt",
      [
        "model.decoder.embed_tokens.weight", "model.decoder.embed_positions.weight", "model.decoder.project_in.weight",
        "model.decoder.layers.0.self_attn_layer_norm.weight", "model.decoder.layers.0.self_attn_layer_norm.bias",
        "model.decoder.layers.0.self_attn.q_proj.weight", "model.decoder.layers.0.self_attn.q_proj.bias",
        "model.decoder.layers.0.self_attn.k_proj.weight", "model.decoder.layers.0.self_attn.k_proj.bias",
        "model.decoder.layers.0.self_attn.v_proj.weight", "model.decoder.layers.0.self_attn.v_proj.bias",
        "model.decoder.layers.0.self_attn.out_proj.weight", "model.decoder.layers.0.self_attn.out_proj.bias",
        "model.decoder.layers.0.final_layer_norm.weight", "model.decoder.layers.0.final_layer_norm.bias",
        "model.decoder.layers.0.fc1.weight", "model.decoder.layers.0.fc1.bias", "model.decoder.layers.0.fc2.weight",
        "model.decoder.layers.0.fc2.bias", "model.decoder.layers.1.self_attn_layer_norm.weight",
      ],
      [
        "model.decoder.final_layer_norm.weight", "model.decoder.final_layer_norm.bias",
        "model.decoder.project_out.weight", "lm_head.weight",
      ]
    ),
  ])
  func dataFlow(_ name: String, _ first: [String], _ last: [String]) throws {
    let names = try ArchitectureGolden(name).tensors.map(\.name)
    for shuffled in [names, names.reversed(), names.sorted()] {
      let tensors = OrderedDictionary(uniqueKeysWithValues: shuffled.map { ($0, 0) })
      let order = Array(TensorOrder.sorted(tensors).keys)
      #expect(Array(order.prefix(first.count)) == first)
      #expect(Array(order.suffix(last.count)) == last)
      #expect(order.count == names.count)
    }
  }

  @Test func layersCountAndUnknownNamesComeLast() {
    let names = [
      "zz.weight", "model.layers.10.fc1.weight", "model.layers.2.new.bias", "model.layers.2.new.weight",
      "model.layers.2.fc1.weight", "aa.weight", "other_embeddings.weight",
    ]
    let tensors = OrderedDictionary(uniqueKeysWithValues: names.map { ($0, 0) })
    #expect(
      Array(TensorOrder.sorted(tensors).keys) == [
        "other_embeddings.weight", "model.layers.2.fc1.weight", "model.layers.2.new.weight", "model.layers.2.new.bias",
        "model.layers.10.fc1.weight", "aa.weight", "zz.weight",
      ])
  }
}
