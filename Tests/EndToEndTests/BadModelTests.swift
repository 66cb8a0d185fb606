// model/load of damaged, contradictory and hostile files: a clear error each time, and the daemon serves on.

import Foundation
import JSON
import TestSupport
import Testing

@Suite(.enabled(if: Program.isBuilt, "espalier is not built"))
struct BadModelTests {
  /// What is done to a sound folder, and how loading it is refused.
  struct Damage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let refusal: Refusal
    let make: @Sendable (Specimen) throws -> Void

    init(_ description: String, _ kind: String, _ make: @escaping @Sendable (Specimen) throws -> Void) {
      testDescription = description
      refusal = .failed(kind)
      self.make = make
    }
  }

  @Test(arguments: weights + configurations + tokenizers + folders)
  func damagedFolder(_ damage: Damage) throws {
    let patient = try Patient.shared.get()
    let specimen = Specimen()
    try damage.make(specimen)
    try patient.expectRefusal(damage.refusal, of: "model/load", ["source": JSON(specimen.path), "name": "x"])
  }

  /// The damage is to blame, not the folder.
  @Test func aSoundSpecimenIsLoaded() throws {
    let patient = try Patient.shared.get()
    let specimen = Specimen()
    #expect(try patient.client.refusal("model/load", ["source": JSON(specimen.path), "name": "sound"]) == nil)
    #expect(try patient.client.refusal("model/unload", ["model": "sound"]) == nil)
  }

  private static let firstOffsets = #""data_offsets":[0,6432]"#

  private static let weights: [Damage] =
    [0, 7, 8, 100, 2280, 2281, 30_000, 60_167].map { count in
      Damage("cut off after \(count) bytes", "invalidSafetensors") { specimen in
        try specimen.change("model.safetensors") { $0.removeSubrange(count...) }
      }
    }
    + [0, 1, 2271, 2273, 60_160, 1 << 40, UInt64(Int64.max), .max].map { length in
      Damage("header of \(length) bytes", "invalidSafetensors") { specimen in
        try specimen.change("model.safetensors") { $0.replaceSubrange(..<8, with: Specimen.length(length)) }
      }
    }
    + [
      ("overlap", #""data_offsets":[6432,12864]"#, #""data_offsets":[6428,12860]"#),
      ("hole", firstOffsets, #""data_offsets":[4,6432]"#), ("backwards", firstOffsets, #""data_offsets":[6432,0]"#),
      ("negative", firstOffsets, #""data_offsets":[-4,6432]"#),
      ("far outside", firstOffsets, #""data_offsets":[0,9223372036854775807]"#),
      ("beyond 64 bits", firstOffsets, #""data_offsets":[0,9223372036854775808]"#),
      ("fractions", firstOffsets, #""data_offsets":[0.5,6432]"#),
      ("huge shape", #""shape":[67,24]"#, #""shape":[4611686018427387904,4]"#),
      ("empty shape", #""shape":[67,24]"#, #""shape":[0,24]"#),
      ("negative shape", #""shape":[67,24]"#, #""shape":[-67,24]"#),
      ("many dimensions", #""shape":[67,24]"#, #""shape":[67,24\#(String(repeating: ",1", count: 20))]"#),
      ("unknown type", #""F32""#, #""F8""#), ("unknown field", #""dtype""#, #""extra":1,"dtype""#),
      ("name twice", #""lm_head.weight""#, #""model.embed_tokens.weight""#),
      ("no object", #"{"__metadata__""#, #"["__metadata__""#),
    ].map { what, old, new in
      Damage("header: \(what)", "invalidSafetensors") { try $0.replace(inHeader: old, with: new) }
    } + [
      Damage("bytes behind the last tensor", "invalidSafetensors") { specimen in
        try specimen.change("model.safetensors") { $0.append(0) }
      },
      Damage("another name", "tensorMissing") { try $0.replace(inHeader: "lm_head.weight", with: "head.weight") },
      Damage("another type", "dtypeUnsupported") { try $0.replace(inHeader: #""F32""#, with: #""I32""#) },
      Damage("a named pipe for weights", "fileNotRegular") { specimen in
        specimen.remove("model.safetensors")
        mkfifo(specimen.file("model.safetensors"), 0o600)
      },
    ]

  private static let configurations: [Damage] =
    [
      ("heads that key/value heads do not divide", "\"num_key_value_heads\": 1", "\"num_key_value_heads\": 2", nil),
      ("more key/value heads than there are", "\"num_key_value_heads\": 1", "\"num_key_value_heads\": 3", "shapeMismatch"),
      ("no heads", "\"num_attention_heads\": 3", "\"num_attention_heads\": 0", nil),
      ("negative heads", "\"num_attention_heads\": 3", "\"num_attention_heads\": -3", nil),
      ("heads as text", "\"num_attention_heads\": 3", "\"num_attention_heads\": \"3\"", nil),
      ("heads missing", "\"num_attention_heads\"", "\"heads\"", nil),
      ("fewer layers", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "tensorUnexpected"),
      ("more layers", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "tensorMissing"),
      ("millions of layers", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 16777216", nil),
      ("layers beyond counting", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 9223372036854775807", nil),
      ("another vocabulary", "\"vocab_size\": 67", "\"vocab_size\": 66", "shapeMismatch"),
      ("another width", "\"hidden_size\": 24", "\"hidden_size\": 30", "shapeMismatch"),
      ("another inner width", "\"intermediate_size\": 56", "\"intermediate_size\": 55", "shapeMismatch"),
      ("unknown architecture", "\"model_type\": \"llama\"", "\"model_type\": \"mamba\"", "unknownArchitecture"),
      ("no architecture", "\"model_type\"", "\"type_of_model\"", nil),
      ("scaled positions", "\"rope_type\": \"default\"", "\"rope_type\": \"llama3\"", nil),
      ("old scaled positions", "\"use_cache\"", "\"rope_scaling\": {\"type\": \"linear\"}, \"use_cache\"", nil),
      (
        "contradictory positions", "\"use_cache\"",
        "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, \"use_cache\"", nil
      ),
      ("a field that nobody knows", "\"use_cache\"", "\"qk_layernorm\": true, \"use_cache\"", nil),
      ("impossible positions", "\"rope_theta\": 10000.0", "\"rope_theta\": 0", nil),
      ("biases", "\"attention_bias\": false", "\"attention_bias\": true", "tensorMissing"),
      ("another activation", "\"silu\"", "\"mish\"", nil), ("negative epsilon", "1e-06", "-1", nil),
      ("no JSON", "{", "(", "invalidJSON"), ("not a number", "1e-06", "NaN", "invalidJSON"),
      ("a member twice", "\"use_cache\"", "\"vocab_size\": 67, \"use_cache\"", "invalidJSON"),
    ].map { what, old, new, kind in
      Damage(what, kind ?? "configurationInvalid") { try $0.replace(old, with: new, in: "config.json") }
    } + [
      Damage("empty config.json", "invalidJSON") { $0.write("config.json", "") },
      Damage("config.json is an array", "invalidJSON") { $0.write("config.json", "[]") },
      Damage("config.json too deep", "invalidJSON") { specimen in
        specimen.write("config.json", #"{"a":"# + String(repeating: "[", count: 5000))
      },
    ]

  private static let tokenizers: [Damage] = [
    Damage("empty tokenizer.json", "invalidJSON") { $0.write("tokenizer.json", "") },
    Damage("no tokenizer in it", "invalidTokenizer") { $0.write("tokenizer.json", "{}") },
    Damage("a negative id", "invalidTokenizer") { specimen in
      try specimen.replace("\"AB\":66", with: "\"AB\":-1", in: "tokenizer.json")
    },
    Damage("a huge id", "invalidTokenizer") { specimen in
      try specimen.replace("\"AB\":66", with: "\"AB\":1099511627776", in: "tokenizer.json")
    },
    Damage("a merge of nothing", "invalidTokenizer") { specimen in
      try specimen.replace(#"[["A","B"]]"#, with: #"[["nope","B"]]"#, in: "tokenizer.json")
    },
    Damage("another kind of tokenizer", "unsupportedTokenizer") { specimen in
      try specimen.replace("\"BPE\"", with: "\"WordPiece\"", in: "tokenizer.json")
    },
  ]

  private static let folders: [Damage] = [
    Damage("no config.json", "checkpointIncomplete") { $0.remove("config.json") },
    Damage("no tokenizer.json", "checkpointIncomplete") { $0.remove("tokenizer.json") },
    Damage("no weights", "checkpointIncomplete") { $0.remove("model.safetensors") },
    Damage("a pickle", "pickleRefused") { specimen in
      specimen.remove("model.safetensors")
      specimen.write("pytorch_model.bin", "x")
    },
    Damage("shards that are not there", "invalidShards") { specimen in
      specimen.remove("model.safetensors")
      specimen.write(
        "model.safetensors.index.json",
        #"{"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}"#)
    },
    Damage("shards outside of the folder", "invalidShards") { specimen in
      specimen.remove("model.safetensors")
      specimen.write("model.safetensors.index.json", #"{"weight_map": {"lm_head.weight": "../../etc/passwd"}}"#)
    },
    Damage("a named pipe for config.json", "fileNotRegular") { specimen in
      specimen.remove("config.json")
      mkfifo(specimen.file("config.json"), 0o600)
    },
    Damage("config.json links to itself", "fileSystem") { specimen in
      specimen.remove("config.json")
      symlink(specimen.file("config.json"), specimen.file("config.json"))
    },
  ]

  @Test(arguments: [
    ("/no/such/folder", "fileNotFound"), ("/dev/zero", "fileNotRegular"), ("/dev/null/x", "fileSystem"),
    ("/", "checkpointIncomplete"), ("/proc/self/maps", "checkpointUnrecognised"), ("builtin:oak", "builtinNotFound"),
    ("builtin:../sapling", "builtinNotFound"), ("a\u{0}b", "pathInvalid"),
    ("\(Patient.model)/config.json", "checkpointUnrecognised"),
    ("\(Patient.model)/model.safetensors", "checkpointUnrecognised"),
  ])
  func otherSources(source: String, kind: String) throws {
    try Patient.shared.get().expectRefusal(.failed(kind), of: "model/load", ["source": JSON(source), "name": "x"])
  }

  /// A GGUF file cut off anywhere, or with eight bytes of a count overwritten.
  @Test(arguments: [0, 3, 7, 8, 16, 24, 40, 300, 1000, 5000, 30_000, 60_703])
  func cutGGUF(bytes: Int) throws {
    let folder = TemporaryFolder()
    let whole = try #require(TemporaryFolder.read(Patient.gguf))
    let path = folder.write("cut.gguf", Array(whole.prefix(bytes)))
    try Patient.shared.get().expectRefusal(
      .failed("invalidGGUF"), of: "model/load", ["source": JSON(path), "name": "x"])
  }

  @Test(
    arguments: [(0, "invalidGGUF"), (4, "unsupportedGGUF"), (8, "invalidGGUF"), (16, "invalidGGUF"), (24, "invalidGGUF")],
    [UInt64(1) << 40, UInt64(Int64.max), .max])
  func overwrittenGGUF(place: (offset: Int, kind: String), value: UInt64) throws {
    let folder = TemporaryFolder()
    var bytes = try #require(TemporaryFolder.read(Patient.gguf))
    bytes.replaceSubrange(place.offset..<place.offset + 8, with: Specimen.length(value))
    let path = folder.write("overwritten.gguf", bytes)
    try Patient.shared.get().expectRefusal(
      .failed(place.kind), of: "model/load", ["source": JSON(path), "name": "x"])
  }
}
