// Safetensors and GGUF files in memory, as small as a test needs them, valid or with any field wrong.

/// A safetensors file from its header's text.
func safetensors(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
  bytes(length ?? UInt64(header.utf8.count)) + Array(header.utf8) + (0..<data).map { UInt8($0 % 251) }
}

/// A GGUF file, field by field.
struct GGUFBuilder {
  enum Value {
    case uint8(UInt8)
    case int8(Int8)
    case uint16(UInt16)
    case int16(Int16)
    case uint32(UInt32)
    case int32(Int32)
    case uint64(UInt64)
    case int64(Int64)
    case float32(Float)
    case float64(Double)
    case bool(UInt8)
    case string(String)
    case strings([String])
    case int32s([Int32])
    case floats([Float])
    case array(type: UInt32, count: UInt64, payload: [UInt8])
    case raw(type: UInt32, payload: [UInt8])

    var bytes: [UInt8] {
      switch self {
      case .uint8(let value): number(0, value)
      case .int8(let value): number(1, value)
      case .uint16(let value): number(2, value)
      case .int16(let value): number(3, value)
      case .uint32(let value): number(4, value)
      case .int32(let value): number(5, value)
      case .float32(let value): number(6, value.bitPattern)
      case .bool(let value): number(7, value)
      case .string(let value): number(8, UInt64(value.utf8.count)) + Array(value.utf8)
      case .uint64(let value): number(10, value)
      case .int64(let value): number(11, value)
      case .float64(let value): number(12, value.bitPattern)
      case .strings(let values):
        Value.array(type: 8, count: UInt64(values.count), payload: values.flatMap(GGUFBuilder.string)).bytes
      case .int32s(let values):
        Value.array(type: 5, count: UInt64(values.count), payload: values.flatMap { number($0) }).bytes
      case .floats(let values):
        Value.array(type: 6, count: UInt64(values.count), payload: values.flatMap { number($0.bitPattern) }).bytes
      case .array(let type, let count, let payload): number(9, type) + number(count) + payload
      case .raw(let type, let payload): number(type) + payload
      }
    }

    private func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
      withUnsafeBytes(of: value.littleEndian, Array.init)
    }

    private func number<T: FixedWidthInteger>(_ type: UInt32, _ value: T) -> [UInt8] { number(type) + number(value) }
  }

  struct Tensor {
    var name: String
    /// Innermost first, as in the file.
    var sizes: [UInt64]
    var type: UInt32 = 0
    /// The next aligned place if nil.
    var offset: UInt64?
    var byteCount: Int
    /// A pattern if nil.
    var content: [UInt8]?
  }

  var magic: [UInt8] = Array("GGUF".utf8)
  var version: UInt32 = 3
  var tensorCount: UInt64?
  var metadataCount: UInt64?
  var metadata: [(String, Value)] = []
  var tensors: [Tensor] = []
  var alignment = 32

  static func string(_ text: String) -> [UInt8] {
    withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian, Array.init) + Array(text.utf8)
  }

  /// The whole file, without padding behind the last tensor.
  var file: [UInt8] {
    var out = magic + bytes(version)
    out += bytes(tensorCount ?? UInt64(tensors.count))
    out += bytes(metadataCount ?? UInt64(metadata.count))
    for (key, value) in metadata { out += Self.string(key) + value.bytes }
    var end = 0
    var places: [(start: Int, tensor: Tensor)] = []
    for tensor in tensors {
      out += Self.string(tensor.name) + bytes(UInt32(tensor.sizes.count))
      for size in tensor.sizes { out += bytes(size) }
      let start = (end + alignment - 1) / alignment * alignment
      out += bytes(tensor.type) + bytes(tensor.offset ?? UInt64(start))
      places.append((start, tensor))
      end = start + tensor.byteCount
    }
    guard !tensors.isEmpty else { return out }
    out += [UInt8](repeating: 0, count: (alignment - out.count % alignment) % alignment)
    var data = [UInt8](repeating: 0, count: end)
    for (start, tensor) in places {
      for index in 0..<tensor.byteCount { data[start + index] = tensor.content?[index] ?? UInt8((start + index) % 251) }
    }
    return out + data
  }

  private func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian, Array.init)
  }

  /// A Llama model of one layer: 8 channels, 2 heads of 4, 1 key/value head, 12 neurons, 262 tokens.
  static func llama() -> GGUFBuilder {
    var builder = GGUFBuilder()
    let tokens = ["<|begin|>", "<|end|>"] + alphabet + ["th", "the", "Ġthe", "<word>"]
    builder.metadata = [
      ("general.architecture", .string("llama")),
      ("llama.block_count", .uint32(1)), ("llama.context_length", .uint32(64)),
      ("llama.embedding_length", .uint32(8)), ("llama.feed_forward_length", .uint32(12)),
      ("llama.attention.head_count", .uint32(2)), ("llama.attention.head_count_kv", .uint32(1)),
      ("llama.attention.layer_norm_rms_epsilon", .float32(1e-5)), ("llama.rope.freq_base", .float32(50_000)),
      ("llama.rope.dimension_count", .uint32(4)), ("llama.vocab_size", .uint32(262)),
      ("tokenizer.ggml.model", .string("gpt2")), ("tokenizer.ggml.pre", .string("smollm")),
      ("tokenizer.ggml.tokens", .strings(tokens)),
      ("tokenizer.ggml.token_type", .int32s([3, 3] + [Int32](repeating: 1, count: 259) + [4])),
      ("tokenizer.ggml.merges", .strings(["t h", "th e", "Ġ the"])),
      ("tokenizer.ggml.bos_token_id", .uint32(0)), ("tokenizer.ggml.eos_token_id", .uint32(1)),
    ]
    func tensor(_ name: String, _ sizes: UInt64...) -> Tensor {
      Tensor(name: name, sizes: sizes, byteCount: Int(sizes.reduce(4, *)))
    }
    builder.tensors = [
      tensor("output_norm.weight", 8), tensor("token_embd.weight", 8, 262), tensor("output.weight", 8, 262),
      tensor("blk.0.ffn_down.weight", 12, 8), tensor("blk.0.ffn_gate.weight", 8, 12),
      tensor("blk.0.ffn_up.weight", 8, 12), tensor("blk.0.ffn_norm.weight", 8), tensor("blk.0.attn_norm.weight", 8),
      tensor("blk.0.attn_q.weight", 8, 8), tensor("blk.0.attn_k.weight", 8, 4),
      tensor("blk.0.attn_v.weight", 8, 4), tensor("blk.0.attn_output.weight", 8, 8),
    ]
    return builder
  }

  private static let alphabet = (0...255).map { String(decoding: alphabetCharacter($0), as: UTF8.self) }

  /// The UTF-8 of the character that byte-level BPE writes for a byte.
  private static func alphabetCharacter(_ byte: Int) -> [UInt8] {
    let printable = Array(0x21...0x7E) + Array(0xA1...0xAC) + Array(0xAE...0xFF)
    if printable.contains(byte) { return Array(String(UnicodeScalar(UInt32(byte))!).utf8) }
    let others = (0...255).filter { !printable.contains($0) }
    return Array(String(UnicodeScalar(UInt32(0x100 + others.firstIndex(of: byte)!))!).utf8)
  }

  mutating func set(_ key: String, _ value: Value?) {
    metadata.removeAll { $0.0 == key }
    if let value { metadata.append((key, value)) }
  }
}
