// Which kind of tokenizer GGUF metadata describe (`tokenizer.ggml.model`), as the parts that a tokenizer.json would
// have. GGUF holds the vocabulary and some flags only; the rest is what the tokenizer of that kind does by nature.

import JSON
import OrderedCollections
import Tensors

/// The parts of a tokenizer beside its vocabulary. The same parts are used and exported.
struct GGUFTokenizerScheme {
  enum Kind: Equatable {
    /// Byte-level BPE with merges in the file.
    case byteLevel
    /// BPE over characters whose merges follow from the vocabulary, or are in the file.
    case sentencePiece(MergeOrder)
    case unigram
  }

  /// What ranks merges that are not in the file.
  enum MergeOrder {
    /// The score of what a merge makes, the best first.
    case scores
    /// The id of what a merge makes: Gemma's scores do not follow its merges.
    case ids
  }

  var kind: Kind
  var normalizer: JSON = .null
  var preTokenizer: JSON = .null
  var decoder: JSON
  var ignoreMerges = false
  var addsBegin: Bool
  var addsEnd = false

  static let supported = "gpt2 (byte-level BPE), llama and gemma4 (SentencePiece BPE), t5 (unigram)"

  /// - Throws: `CheckpointError.gguf` for missing or mistyped metadata, `.tokenizer` for what is not known.
  init(_ file: GGUFFile) throws(CheckpointError) {
    let model = try file.fault { file throws(GGUFFault) in try file.string("tokenizer.ggml.model") }
    let architecture: String
    if case .string(let name) = file.metadata["general.architecture"] { architecture = name } else { architecture = "" }
    do throws(TokenizerFault) {
      switch model {
      case "gpt2":
        let preTokenizer: GGUFPreTokenizer
        switch file.metadata["tokenizer.ggml.pre"] {
        case nil: preTokenizer = try .named(GGUFPreTokenizer.unnamed)
        case .string(let name): preTokenizer = try .named(name)
        default: throw .field("tokenizer.ggml.pre", expected: "a string")
        }
        self.init(preTokenizer)
      case "llama" where ["gemma", "gemma2", "gemma3", "gemma3n"].contains(architecture):
        self.init(gemma: try file.flag("tokenizer.ggml.add_space_prefix", default: false), addsBegin: true)
      case "gemma4": self.init(gemma: false, addsBegin: false)
      case "llama":
        self.init(
          llama: try file.flag("tokenizer.ggml.add_space_prefix", default: true), isLegacy: architecture == "phi3")
      case "t5": try self.init(t5: file)
      default: throw .unsupported(part: "tokenizer.ggml.model", found: model, supported: Self.supported)
      }
    } catch {
      throw .tokenizer(path: file.path, error)
    }
  }

  private init(_ byteLevel: GGUFPreTokenizer) {
    kind = .byteLevel
    preTokenizer = byteLevel.json
    decoder = ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true]
    ignoreMerges = byteLevel.ignoreMerges
    addsBegin = byteLevel.addsBegin
  }

  /// Hugging Face's `LlamaTokenizer`: the space before a text is put before words that begin it, or in its legacy form
  /// before every part between special tokens.
  private init(llama addsSpace: Bool, isLegacy: Bool) {
    kind = .sentencePiece(.scores)
    addsBegin = true
    if isLegacy {
      let replace: JSON = ["type": "Replace", "pattern": ["String": " "], "content": "\u{2581}"]
      let prepend: JSON = ["type": "Prepend", "prepend": "\u{2581}"]
      normalizer = ["type": "Sequence", "normalizers": .array(addsSpace ? [prepend, replace] : [replace])]
    } else {
      preTokenizer = Self.metaspace(addsSpace ? "first" : "never", splits: false)
    }
    decoder = Self.spaceDecoder(strips: addsSpace)
  }

  /// Hugging Face's `GemmaTokenizer`.
  private init(gemma addsSpace: Bool, addsBegin: Bool) {
    kind = .sentencePiece(.ids)
    self.addsBegin = addsBegin
    let replace: JSON = ["type": "Replace", "pattern": ["String": " "], "content": "\u{2581}"]
    normalizer = replace
    if addsSpace { preTokenizer = Self.metaspace("first", splits: false) }
    decoder = Self.spaceDecoder(strips: addsSpace)
  }

  /// Hugging Face's `T5Tokenizer`, with the flags of llama.cpp.
  private init(t5 file: GGUFFile) throws(TokenizerFault) {
    kind = .unigram
    addsBegin = false
    addsEnd = true
    if let map = try file.characterMap() {
      normalizer = ["type": "Precompiled", "precompiled_charsmap": JSON(Base64.encode(map))]
    }
    let addsSpace = try file.flag("tokenizer.ggml.add_space_prefix", default: true)
    let metaspace = Self.metaspace(addsSpace ? "always" : "never", splits: true)
    let drops = try file.flag("tokenizer.ggml.remove_extra_whitespaces", default: true)
    preTokenizer =
      drops ? ["type": "Sequence", "pretokenizers": [["type": "WhitespaceSplit"], metaspace]] : metaspace
    decoder = metaspace
  }

  private static func metaspace(_ scheme: String, splits: Bool) -> JSON {
    ["type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": JSON(scheme), "split": JSON(splits)]
  }

  private static func spaceDecoder(strips: Bool) -> JSON {
    var steps: [JSON] = [
      ["type": "Replace", "pattern": ["String": "\u{2581}"], "content": " "], ["type": "ByteFallback"],
      ["type": "Fuse"],
    ]
    if strips { steps.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
    return ["type": "Sequence", "decoders": .array(steps)]
  }
}

extension GGUFFile {
  /// A boolean of the metadata.
  func flag(_ key: String, default fallback: Bool) throws(TokenizerFault) -> Bool {
    switch metadata[key] {
    case nil: return fallback
    case .bool(let value): return value
    default: throw .field(key, expected: "a boolean")
    }
  }

  /// `tokenizer.ggml.precompiled_charsmap`, unless it is missing or empty.
  fileprivate func characterMap() throws(TokenizerFault) -> [UInt8]? {
    let key = "tokenizer.ggml.precompiled_charsmap"
    guard let value = metadata[key] else { return nil }
    guard case .array(let array) = value, let bytes = array.bytes else {
      throw .field(key, expected: CharacterMap.expected)
    }
    return bytes.isEmpty ? nil : bytes
  }
}

extension GGUFArray {
  /// The elements if all are bytes, or nil.
  var bytes: [UInt8]? {
    guard case .scalars(let type, let offset) = content, type == .uint8 || type == .int8 else { return nil }
    return Array(storage.bytes[offset..<offset + count])
  }

  /// The elements if all are floats of 32 bits, or nil.
  var floats: [Float]? {
    guard case .scalars(.float32, let offset) = content else { return nil }
    return (0..<count).map { index in
      let bits = storage.bytes.loadUnaligned(fromByteOffset: offset + 4 * index, as: UInt32.self)
      return Float(bitPattern: UInt32(littleEndian: bits))
    }
  }
}
