// Reading GGUF: every value type, every fault, every truncation, and the translation of Llama models.

import Foundation
import JSON
import OrderedCollections
import Tensors
import Testing

@testable import Checkpoints

private func fault(_ file: [UInt8]) throws -> GGUFFault? {
  let error = try checkpointError { _ = try GGUFFile(storage: MemoryStorage(file), path: "x") }
  guard case .gguf(_, let fault) = error else { return nil }
  return fault
}

/// One tensor of 8 floats.
private func small(_ change: (inout GGUFBuilder) -> Void = { _ in }) -> [UInt8] {
  var builder = GGUFBuilder()
  builder.metadata = [("a", .uint32(1))]
  builder.tensors = [.init(name: "t", sizes: [4, 2], byteCount: 32)]
  change(&builder)
  return builder.file
}

@Suite struct GGUFFileTests {
  @Test(arguments: [2, 3] as [UInt32])
  func readsTensors(_ version: UInt32) throws {
    let file = small { builder in
      builder.version = version
      builder.tensors.append(.init(name: "q", sizes: [64], type: 8, byteCount: 68))
      builder.tensors.append(.init(name: "h", sizes: [2, 3], type: 30, byteCount: 12))
    }
    let gguf = try GGUFFile(storage: MemoryStorage(file), path: "x")
    #expect(gguf.version == version)
    #expect(Array(gguf.tensors.keys) == ["t", "q", "h"])
    #expect(gguf.tensors["t"]?.shape == [2, 4])
    #expect(gguf.tensors["q"]?.dtype == .q8_0)
    #expect(gguf.tensors["h"].map { $0.shape } == [3, 2])
    let start = try #require(gguf.tensors["t"]).byteOffset
    #expect(
      start % 32 == 0 && gguf.tensors["q"]?.byteOffset == start + 32 && gguf.tensors["h"]?.byteOffset == start + 128)
  }

  @Test func readsEveryValueType() throws {
    let file = small { builder in
      builder.metadata = [
        ("u8", .uint8(200)), ("i8", .int8(-3)), ("u16", .uint16(60_000)), ("i16", .int16(-300)),
        ("u32", .uint32(.max)), ("i32", .int32(.min)), ("u64", .uint64(.max)), ("i64", .int64(.min)),
        ("f32", .float32(0.5)), ("f64", .float64(0.1)), ("no", .bool(0)), ("yes", .bool(1)), ("text", .string("gräs")),
        ("texts", .strings(["a", "", "ö"])), ("ints", .int32s([3, -1])),
        ("nested", .array(type: 9, count: 1, payload: bytes(UInt32(0)) + bytes(UInt64(2)) + [7, 8])),
        ("none", .array(type: 12, count: 0, payload: [])),
      ]
    }
    let metadata = try GGUFFile(storage: MemoryStorage(file), path: "x").metadata
    #expect(metadata["u8"]?.integer == 200 && metadata["i8"]?.integer == -3)
    #expect(metadata["u16"]?.integer == 60_000 && metadata["i16"]?.integer == -300)
    #expect(metadata["u32"]?.integer == Int(UInt32.max) && metadata["i32"]?.integer == Int(Int32.min))
    #expect(metadata["u64"]?.integer == nil && metadata["u64"]?.text == "18446744073709551615")
    #expect(metadata["i64"]?.integer == .min)
    #expect(metadata["f32"]?.text == "0.5" && metadata["f64"]?.text == "0.1")
    #expect(metadata["no"]?.text == "false" && metadata["yes"]?.text == "true")
    #expect(metadata["text"]?.text == "\"gräs\"")
    guard case .array(let texts) = metadata["texts"], case .array(let ints) = metadata["ints"],
      case .array(let nested) = metadata["nested"], case .arrays(let inner) = nested.content
    else { throw GGUFFault.metadataMissing(key: "arrays") }
    var read: [String] = []
    #expect(texts.forEachString { _, bytes in read.append(String(decoding: bytes, as: UTF8.self)) })
    #expect(read == ["a", "", "ö"] && texts.integers == nil)
    #expect(ints.integers == [3, -1] && !ints.forEachString { _, _ in })
    #expect(inner.first?.integers == [7, 8])
  }

  static let huge: [UInt64] = [UInt64(Int64.max), .max, 1 << 32, 1 << 63]

  @Test(arguments: huge)
  func refusesHugeCounts(_ count: UInt64) throws {
    func expectCount(_ file: [UInt8], _ what: String) throws {
      guard case .count(what, count, _)? = try fault(file) else {
        Issue.record("\(what): \(String(describing: try fault(file)))")
        return
      }
    }
    try expectCount(small { $0.tensorCount = count }, "tensors")
    try expectCount(small { $0.metadataCount = count }, "metadata entries")
    for type: UInt32 in [0, 3, 5, 8, 9, 12] {
      try expectCount(
        small { $0.metadata = [("k", .array(type: type, count: count, payload: [1, 2, 3]))] }, "elements of k")
    }
    #expect(try fault(small { $0.metadata = [("k", .raw(type: 8, payload: bytes(count)))] }) != nil)
    #expect(try fault(small { $0.tensors[0].sizes = [count] }) != nil)
    #expect(try fault(small { $0.tensors[0].sizes = [count, 2] }) != nil)
    #expect(try fault(small { $0.tensors[0].offset = count & ~31 }) != nil)
    // A key whose length is all there is of it.
    let start = Array("GGUF".utf8) + bytes(UInt32(3)) + bytes(UInt64(0)) + bytes(UInt64(1))
    #expect(try fault(start + bytes(count) + [0, 0, 0, 0, 0]) != nil)
  }

  /// Counts that a large enough file could hold and that would take too much memory.
  @Test func refusesMoreThanAnyModelHas() throws {
    let names = [UInt8](repeating: 0, count: 8 * (1 << 11))
    let nested: GGUFBuilder.Value = .array(type: 9, count: 1 << 10 + 1, payload: names)
    #expect(
      try fault(small { $0.metadata = [("k", nested)] })
        == .tooMany(what: "elements of k", count: 1 << 10 + 1, limit: 1 << 10))
    let long = String(repeating: "x", count: 1 << 16 + 1)
    #expect(
      try fault(small { $0.metadata = [(long, .uint8(1))] })
        == .tooMany(what: "bytes of the key of metadata entry 0", count: 1 << 16 + 1, limit: 1 << 16))
    #expect(
      try fault(small { $0.tensors[0].name = long })
        == .tooMany(what: "bytes of the name of tensor 0", count: 1 << 16 + 1, limit: 1 << 16))
    let text = GGUFBuilder.Value.string(String(repeating: "x", count: 1 << 24 + 1))
    #expect(
      try fault(small { $0.metadata = [("k", text)] })
        == .tooMany(what: "bytes of the value of k", count: 1 << 24 + 1, limit: 1 << 24))
    let many = [UInt8](repeating: 0, count: 13 * (1 << 16 + 1))
    #expect(
      try fault(small { $0.metadataCount = 1 << 16 + 1 } + many)
        == .tooMany(what: "metadata entries", count: 1 << 16 + 1, limit: 1 << 16))
  }

  static let hostile: [(String, [UInt8], GGUFFault)] = [
    ("empty", [], .notGGUF(magic: [])),
    ("other magic", small { $0.magic = Array("GGML".utf8) }, .notGGUF(magic: Array("GGML".utf8))),
    ("version 1", small { $0.version = 1 }, .version(1)),
    ("version 4", small { $0.version = 4 }, .version(4)),
    ("big-endian", small { $0.version = UInt32(3).byteSwapped }, .bigEndian),
    ("key twice", small { $0.metadata = [("a", .uint8(1)), ("a", .uint8(2))] }, .duplicateKey("a")),
    ("value type", small { $0.metadata = [("a", .raw(type: 13, payload: []))] }, .valueType(key: "a", type: 13)),
    (
      "element type", small { $0.metadata = [("a", .array(type: 99, count: 0, payload: []))] },
      .valueType(key: "a", type: 99)
    ),
    ("boolean", small { $0.metadata = [("a", .bool(2))] }, .boolean(key: "a", byte: 2)),
    (
      "deep arrays",
      small { builder in
        let level = bytes(UInt32(9)) + bytes(UInt64(1))
        builder.metadata = [("a", .raw(type: 9, payload: level + level + level + level + level))]
      }, .nesting(key: "a", limit: 4)
    ),
    ("alignment 0", small { $0.metadata = [("general.alignment", .uint32(0))] }, .alignment(found: "0")),
    ("alignment 24", small { $0.metadata = [("general.alignment", .uint32(24))] }, .alignment(found: "24")),
    ("alignment 2^21", small { $0.metadata = [("general.alignment", .uint32(1 << 21))] }, .alignment(found: "2097152")),
    ("alignment as text", small { $0.metadata = [("general.alignment", .string("32"))] }, .alignment(found: "\"32\"")),
    ("name twice", small { $0.tensors.append($0.tensors[0]) }, .duplicateTensor("t")),
    ("no dimension", small { $0.tensors[0].sizes = [] }, .dimensions(tensor: "t", count: 0)),
    ("five dimensions", small { $0.tensors[0].sizes = [1, 1, 1, 1, 8] }, .dimensions(tensor: "t", count: 5)),
    ("size 0", small { $0.tensors[0].sizes = [0, 8] }, .size(tensor: "t", size: 0)),
    ("size -1", small { $0.tensors[0].sizes = [.max] }, .size(tensor: "t", size: .max)),
    (
      "product overflows", small { $0.tensors[0].sizes = [1 << 32, 1 << 32] },
      .overflow(tensor: "t", shape: [1 << 32, 1 << 32])
    ),
    ("bytes overflow", small { $0.tensors[0].sizes = [1 << 62] }, .overflow(tensor: "t", shape: [1 << 62])),
    ("type IQ4_XS", small { $0.tensors[0].type = 23 }, .tensorType(tensor: "t", type: "IQ4_XS")),
    ("type 77", small { $0.tensors[0].type = 77 }, .tensorType(tensor: "t", type: "number 77")),
    (
      "cut block", small { $0.tensors[0] = .init(name: "t", sizes: [16, 2], type: 2, byteCount: 18) },
      .blockCut(tensor: "t", columns: 16, type: .q4_0)
    ),
    (
      "cut super-block", small { $0.tensors[0] = .init(name: "t", sizes: [128, 2], type: 12, byteCount: 144) },
      .blockCut(tensor: "t", columns: 128, type: .q4_k)
    ),
    ("misaligned", small { $0.tensors[0].offset = 8 }, .misaligned(tensor: "t", offset: 8, alignment: 32)),
    (
      "overlap", small { $0.tensors.append(.init(name: "u", sizes: [8], offset: 0, byteCount: 32)) },
      .overlap(tensor: "u", with: "t")
    ),
    (
      "hole", small { $0.tensors[0] = .init(name: "t", sizes: [4], offset: 32, byteCount: 64) },
      .hole(tensor: "t", expected: 0, begin: 32)
    ),
    ("past the end", small { $0.tensors[0].sizes = [16] }, .pastEnd(tensor: "t", end: 64, dataBytes: 32)),
    (
      "offset past the end", small { $0.tensors[0].offset = 1 << 40 },
      .pastEnd(tensor: "t", end: 1 << 40 + 32, dataBytes: 32)
    ),
    ("end overflows", small { $0.tensors[0].offset = .max & ~31 }, .pastEnd(tensor: "t", end: .max, dataBytes: 32)),
    ("trailing bytes", small() + [0], .trailingBytes(1)),
  ]

  @Test(arguments: hostile.indices)
  func refusesHostileFiles(_ index: Int) throws {
    let (name, file, expected) = Self.hostile[index]
    #expect(try fault(file) == expected, "\(name)")
  }

  @Test func allowsPaddingBehindTheLastTensor() throws {
    let file = small {
      $0.tensors[0].sizes = [2]
      $0.tensors[0].byteCount = 8
    }
    #expect(try fault(file) == nil)
    #expect(try fault(file + [UInt8](repeating: 0, count: 24)) == nil)
    #expect(try fault(file + [UInt8](repeating: 0, count: 25)) == .trailingBytes(25))
  }

  @Test func refusesTextThatIsNotUTF8() throws {
    let invalid = Array("GGUF".utf8) + bytes(UInt32(3)) + bytes(UInt64(0)) + bytes(UInt64(1))
    let key = bytes(UInt64(2)) + [0xC3, 0x28]
    #expect(
      try fault(invalid + key + [0, 0, 0, 0, 1]) == .invalidText(what: "the key of metadata entry 0", offset: 24))
  }

  /// Reading behind the end would raise a signal (`MemoryStorage`).
  @Test func refusesEveryTruncation() throws {
    let whole = small { builder in
      builder.metadata = [
        ("a", .uint8(1)), ("text", .string("abc")), ("texts", .strings(["a", "bc"])), ("ints", .int32s([1, 2])),
        ("deep", .array(type: 9, count: 1, payload: bytes(UInt32(8)) + bytes(UInt64(1)) + GGUFBuilder.string("x"))),
      ]
    }
    #expect(try fault(whole) == nil)
    for count in 0..<whole.count { #expect(try fault(Array(whole[..<count])) != nil, "\(count) bytes") }
  }

  @Test func neverTrapsOnDamage() throws {
    for (whole, stride) in [(small(), 1), (GGUFBuilder.llama().file, 23)] {
      let end = min(whole.count, 8_000)  // the data is not looked at
      for index in Swift.stride(from: 0, to: end, by: stride) {
        for byte: UInt8 in [0, 0x7F, 0xFF] {
          var file = whole
          file[index] = byte
          let storage = MemoryStorage(file)
          _ = try checkpointError { _ = try Checkpoint.openGGUF(GGUFFile(storage: storage, path: "x")) }
        }
      }
    }
  }
}

@Suite struct GGUFLlamaTests {
  private func open(_ change: (inout GGUFBuilder) -> Void = { _ in }) throws -> Checkpoint {
    var builder = GGUFBuilder.llama()
    change(&builder)
    return try Checkpoint.openGGUF(GGUFFile(storage: MemoryStorage(builder.file), path: "x"))
  }

  private func fault(_ change: (inout GGUFBuilder) -> Void) throws -> GGUFFault? {
    let error = try checkpointError { _ = try open(change) }
    guard case .gguf(_, let fault) = error else { return nil }
    return fault
  }

  @Test func translatesTensors() throws {
    let checkpoint = try open()
    #expect(
      Array(checkpoint.tensors.keys) == [
        "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight", "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.v_proj.weight",
        "model.layers.0.self_attn.o_proj.weight", "model.layers.0.post_attention_layernorm.weight",
        "model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight",
        "model.layers.0.mlp.down_proj.weight", "model.norm.weight", "lm_head.weight",
      ])
    #expect(checkpoint.tensors["model.layers.0.self_attn.q_proj.weight"]?.rowOrder == .headInterleaved(heads: 2))
    #expect(checkpoint.tensors["model.layers.0.self_attn.k_proj.weight"]?.rowOrder == .headInterleaved(heads: 1))
    #expect(checkpoint.tensors["model.layers.0.self_attn.v_proj.weight"]?.rowOrder == .stored)
    #expect(checkpoint.tensors["model.layers.0.mlp.down_proj.weight"]?.shape == [8, 12])
    #expect(checkpoint.storedNames["model.layers.0.mlp.down_proj.weight"] == "blk.0.ffn_down.weight")
    #expect(checkpoint.storedNames.count == 12)
  }

  @Test func translatesTheConfiguration() throws {
    let configuration = try open().configuration
    let expected: JSONObject = [
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "intermediate_size": 12,
      "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
      "rms_norm_eps": JSON(Double(Float(1e-5))), "max_position_embeddings": 64, "vocab_size": 262,
      "tie_word_embeddings": false, "rope_theta": 50000.0,
      "rope_parameters": ["rope_type": "default", "rope_theta": 50000.0], "hidden_act": "silu", "attention_bias": false,
      "mlp_bias": false, "bos_token_id": 0, "eos_token_id": 1,
    ]
    #expect(configuration == expected)
  }

  @Test func understandsAbsentKeys() throws {
    let checkpoint = try open { builder in
      builder.set("llama.vocab_size", nil)
      builder.set("llama.attention.head_count_kv", nil)
      builder.set("llama.rope.freq_base", nil)
      builder.set("llama.rope.dimension_count", nil)
      builder.set("llama.rope.scaling.type", .string("none"))
      builder.set("llama.rope.scaling.factor", .float32(2))
      builder.set("llama.expert_count", .uint32(0))
      builder.tensors.removeAll { $0.name == "output.weight" }
      builder.tensors = builder.tensors.map { tensor in
        var tensor = tensor
        if ["blk.0.attn_k.weight", "blk.0.attn_v.weight"].contains(tensor.name) {
          (tensor.sizes, tensor.byteCount) = ([8, 8], 256)
        }
        return tensor
      }
    }
    #expect(checkpoint.configuration["vocab_size"] == 262)
    #expect(checkpoint.configuration["num_key_value_heads"] == 2)
    #expect(checkpoint.configuration["rope_theta"] == 10000.0)
    #expect(checkpoint.configuration["tie_word_embeddings"] == true)
    #expect(checkpoint.configuration["head_dim"] == 4)
  }

  @Test func passesOtherArchitecturesThrough() throws {
    let checkpoint = try open { $0.set("general.architecture", .string("qwen9")) }
    #expect(checkpoint.configuration == ["model_type": "qwen9"])
    #expect(checkpoint.tensors["blk.0.attn_q.weight"]?.rowOrder == .stored)
  }

  static let hostile: [(String, GGUFBuilder.Value?, GGUFFault)] = [
    ("general.architecture", nil, .metadataMissing(key: "general.architecture")),
    (
      "general.architecture", .uint8(1),
      .metadataType(key: "general.architecture", expected: "a string", found: "an integer")
    ),
    ("llama.block_count", nil, .metadataMissing(key: "llama.block_count")),
    (
      "llama.block_count", .string("1"),
      .metadataType(key: "llama.block_count", expected: "an integer", found: "a string")
    ),
    (
      "llama.block_count", .uint32(0), .metadataValue(key: "llama.block_count", found: "0", expected: "1 to 2147483647")
    ),
    (
      "llama.embedding_length", .int64(-8),
      .metadataValue(key: "llama.embedding_length", found: "-8", expected: "1 to 2147483647")
    ),
    (
      "llama.embedding_length", .uint64(1 << 40),
      .metadataValue(key: "llama.embedding_length", found: "1099511627776", expected: "1 to 2147483647")
    ),
    (
      "llama.attention.head_count", .uint32(3),
      .metadataValue(key: "llama.attention.head_count", found: "3", expected: "a divisor of embedding_length 8")
    ),
    (
      "llama.attention.head_count", .uint32(0),
      .metadataValue(key: "llama.attention.head_count", found: "0", expected: "1 to 2147483647")
    ),
    (
      "llama.attention.head_count", .int32s([2]),
      .metadataType(key: "llama.attention.head_count", expected: "an integer", found: "an array of 1 elements")
    ),
    ("llama.attention.head_count_kv", .uint32(3), .heads(tensor: "blk.0.attn_k.weight", heads: 3, rows: 4)),
    (
      "llama.rope.dimension_count", .uint32(2),
      .metadataValue(key: "llama.rope.dimension_count", found: "2", expected: "the size of a head, 4")
    ),
    (
      "llama.attention.value_length", .uint32(8),
      .metadataValue(key: "llama.attention.value_length", found: "8", expected: "the size of a head, 4")
    ),
    (
      "llama.attention.layer_norm_rms_epsilon", .float32(.nan),
      .metadataValue(key: "llama.attention.layer_norm_rms_epsilon", found: "nan", expected: "a finite number")
    ),
    (
      "llama.rope.freq_base", .uint32(1),
      .metadataType(key: "llama.rope.freq_base", expected: "a float", found: "an integer")
    ),
    ("llama.rope.scaling.type", .string("yarn"), .unsupportedKey("llama.rope.scaling.type", value: "\"yarn\"")),
    ("llama.rope.scaling.factor", .float32(2), .unsupportedKey("llama.rope.scaling.factor", value: "2.0")),
    ("llama.expert_count", .uint32(8), .unsupportedKey("llama.expert_count", value: "8")),
    ("llama.attention.sliding_window", .uint32(4096), .unsupportedKey("llama.attention.sliding_window", value: "4096")),
    ("llama.logit_scale", .float32(0.5), .unsupportedKey("llama.logit_scale", value: "0.5")),
    (
      "split.count", .uint16(3),
      .metadataValue(
        key: "split.count", found: "3",
        expected: "1, a model in one file (llama-gguf-split --merge makes it of the parts)")
    ),
    ("tokenizer.ggml.tokens", nil, .metadataMissing(key: "tokenizer.ggml.tokens")),
    ("tokenizer.ggml.merges", nil, .metadataMissing(key: "tokenizer.ggml.merges")),
    (
      "tokenizer.ggml.model", .bool(1),
      .metadataType(key: "tokenizer.ggml.model", expected: "a string", found: "a boolean")
    ),
  ]

  @Test(arguments: hostile.indices)
  func refusesHostileMetadata(_ index: Int) throws {
    let (key, value, expected) = Self.hostile[index]
    #expect(try fault { $0.set(key, value) } == expected, "\(key)")
  }

  @Test(arguments: [
    "blk.0.attn_q.bias", "blk.0.ffn_gate_inp.weight", "blk.00.attn_norm.weight",
    "blk.-1.attn_norm.weight", "blk.x.attn_norm.weight", "token_embd.bias",
  ])
  func refusesOtherTensors(_ name: String) throws {
    let tensor = GGUFBuilder.Tensor(name: name, sizes: [8], byteCount: 32)
    #expect(try fault { $0.tensors.append(tensor) } == .unsupportedTensor(name, architecture: "Llama"))
  }
}
