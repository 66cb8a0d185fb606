// Opening whole checkpoints, and what is said of paths that are none.

import Foundation
import JSON
import OrderedCollections
import Tensors
import Testing

@testable import Checkpoints

@Suite struct CheckpointTests {
  /// A folder with two tensors and the tiny tokenizer.
  private func folder() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let header =
      #"{"model.norm.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
      + #""model.embed_tokens.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]}}"#
    try folder.write("model.safetensors", safetensors(header, data: 12))
    try folder.write("config.json", #"{"model_type":"anything","eos_token_id":[0,1]}"#)
    let tokenizer = try #require(FileManager.default.contents(atPath: "\(goldens)/tiny-tokenizer.json"))
    try folder.write("tokenizer.json", Array(tokenizer))
    return folder
  }

  @Test func opensAFolder() throws {
    let folder = try folder()
    try folder.write("tokenizer_config.json", #"{"bos_token":{"content":"<|pad|>"}}"#)
    let checkpoint = try Checkpoint.open(path: folder.path + "/")
    #expect(try checkpoint.path == FileSystem.resolved(folder.path))
    #expect(checkpoint.format == .huggingFace)
    #expect(checkpoint.configuration["model_type"] == "anything")
    #expect(Array(checkpoint.tensors.keys) == ["model.embed_tokens.weight", "model.norm.weight"])
    #expect(checkpoint.storedNames.isEmpty)
    #expect(checkpoint.tokenizer.endTokens == [0, 1] && checkpoint.tokenizer.beginToken == 1)
    #expect(checkpoint.companionFiles.map(\.name) == ["tokenizer.json", "tokenizer_config.json"])
    // What was loaded is what an export carries, even when the folder has gone.
    let original = folder.read("tokenizer.json")
    try FileManager.default.removeItem(atPath: "\(folder.path)/tokenizer.json")
    #expect(try checkpoint.companionFiles[0].bytes() == original)
  }

  @Test func generationConfigurationIsAskedFirst() throws {
    let folder = try folder()
    try folder.write("generation_config.json", #"{"eos_token_id":1,"bos_token_id":null}"#)
    #expect(try Checkpoint.open(path: folder.path).tokenizer.endTokens == [1])
  }

  @Test func opensShards() throws {
    let folder = try folder()
    try FileManager.default.moveItem(
      atPath: "\(folder.path)/model.safetensors", toPath: "\(folder.path)/model-1.safetensors")
    try folder.write(
      ShardedSafetensors.indexName,
      #"{"weight_map":{"model.norm.weight":"model-1.safetensors","model.embed_tokens.weight":"model-1.safetensors"}}"#)
    #expect(try Checkpoint.open(path: folder.path).tensors.count == 2)
  }

  @Test func opensGGUFByNameAndByMagic() throws {
    let folder = try TemporaryFolder()
    for name in ["m.gguf", "m"] {
      let path = try folder.write(name, GGUFBuilder.llama().file)
      #expect(try Checkpoint.open(path: path).format == .gguf)
    }
  }

  @Test(arguments: ["model.safetensors", "config.json", "tokenizer.json"])
  func namesWhatAFolderLacks(_ name: String) throws {
    let folder = try folder()
    try FileManager.default.removeItem(atPath: "\(folder.path)/\(name)")
    let error = try checkpointError { _ = try Checkpoint.open(path: folder.path) }
    guard case .layout(_, .incomplete(name, let found)) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(found.count == 2 && error?.kind == "checkpointIncomplete")
  }

  @Test func explainsPickles() throws {
    let folder = try folder()
    try FileManager.default.removeItem(atPath: "\(folder.path)/model.safetensors")
    let zip = try folder.write("pytorch_model.bin", "PK\u{3}\u{4}")
    #expect(
      try checkpointError { _ = try Checkpoint.open(path: folder.path) }
        == .layout(path: FileSystem.resolved(folder.path), .pickle(file: "pytorch_model.bin")))
    let pickle = try folder.write("weights", [0x80, 2, 0x63])
    for path in [zip, pickle] {
      #expect(try checkpointError { _ = try Checkpoint.open(path: path) }?.kind == "pickleRefused")
    }
  }

  @Test func explainsOtherFiles() throws {
    let folder = try folder()
    func kind(_ path: String) throws -> String? { try checkpointError { _ = try Checkpoint.open(path: path) }?.kind }
    #expect(try kind("\(folder.path)/none") == "fileNotFound")
    #expect(try kind("\(folder.path)/model.safetensors") == "checkpointUnrecognised")
    #expect(try kind("\(folder.path)/config.json") == "checkpointUnrecognised")
    #expect(try kind(folder.write("empty", [])) == "checkpointUnrecognised")
    #expect(try kind(folder.write("x.gguf", "no")) == "invalidGGUF")
    #expect(try kind("/dev/null") == "fileNotRegular")
    #expect(try kind("") == "pathInvalid")
    #expect(try kind("/a\0b") == "pathInvalid")
  }

  @Test(arguments: [
    ("config.json", "[]", "invalidJSON"), ("config.json", "{", "invalidJSON"), ("config.json", "", "invalidJSON"),
    ("config.json", #"{"eos_token_id":"x"}"#, "configurationField"),
    ("config.json", #"{"eos_token_id":600}"#, "tokenOutOfRange"),
    ("config.json", #"{"bos_token_id":-1}"#, "tokenOutOfRange"),
    ("generation_config.json", "1", "invalidJSON"), ("tokenizer.json", "{}", "invalidTokenizer"),
    ("tokenizer.json", "[", "invalidJSON"), ("model.safetensors", "{}", "invalidSafetensors"),
  ])
  func refusesDamagedFiles(_ name: String, _ text: String, _ kind: String) throws {
    let folder = try folder()
    try folder.write(name, text)
    let error = try checkpointError { _ = try Checkpoint.open(path: folder.path) }
    #expect(error?.kind == kind)
    #expect(error?.path?.hasSuffix(kind == "tokenOutOfRange" ? "tokenizer.json" : name) == true)
  }

  @Test func ordersTensorsNaturally() {
    let names = [
      "lm_head.weight", "model.layers.10.mlp.up_proj.weight", "model.norm.weight",
      "model.layers.2.self_attn.v_proj.weight",
      "model.layers.2.input_layernorm.weight", "model.layers.2.self_attn.q_proj.weight", "model.embed_tokens.weight",
      "model.layers.2.zebra", "model.layers.2.mlp.down_proj.weight",
    ]
    let sorted = TensorOrder.sorted(OrderedDictionary(uniqueKeysWithValues: names.map { ($0, 0) }))
    #expect(
      Array(sorted.keys) == [
        "model.embed_tokens.weight", "model.layers.2.input_layernorm.weight", "model.layers.2.self_attn.q_proj.weight",
        "model.layers.2.self_attn.v_proj.weight", "model.layers.2.mlp.down_proj.weight", "model.layers.2.zebra",
        "model.layers.10.mlp.up_proj.weight", "model.norm.weight", "lm_head.weight",
      ])
  }
}

@Suite struct MessageTests {
  static let messages: [(CheckpointError, kind: String, message: String)] = [
    (
      .file(path: "/m", .notFound), "fileNotFound",
      "\"/m\": There is no such file or folder. Check the path; relative paths start where the daemon was started."
    ),
    (
      .file(path: "/m", .system(call: "open", code: EACCES)), "fileSystem",
      "\"/m\": open failed: Permission denied (errno 13). Check permissions and free space."
    ),
    (
      .file(path: "/m", .notRegular(found: "a named pipe")), "fileNotRegular",
      "\"/m\": It is a named pipe; expected an ordinary file."
    ),
    (
      .file(path: "/m", .taken(by: "a file")), "pathTaken",
      "\"/m\": There is a file already. Choose another path, or remove it first; "
        + "methods that have `overwrite` replace it if told to."
    ),
    (
      .layout(path: "/m", .pickle(file: "pytorch_model.bin")), "pickleRefused",
      "\"/m\": \"pytorch_model.bin\" holds weights as a Python pickle, which runs code when it is read and is "
        + "therefore "
        + "refused. Convert it once with Hugging Face transformers: load it with from_pretrained and save it with "
        + "save_pretrained, which writes model.safetensors."
    ),
    (
      .layout(path: "/m", .incomplete(missing: "config.json", found: ["a", "b"])), "checkpointIncomplete",
      "\"/m\": The folder has no config.json; found \"a\", \"b\". Expected a folder with config.json, "
        + "model.safetensors "
        + "(or model.safetensors.index.json) and tokenizer.json, or a GGUF file."
    ),
    (
      .json(path: "/m/config.json", reason: "The document is empty."), "invalidJSON",
      "\"/m/config.json\" is not the JSON it should be. The document is empty."
    ),
    (
      .configuration(path: "/m", .tokenID(field: "eos_token_id", id: 9, vocabularySize: 5)), "tokenOutOfRange",
      "\"/m\": eos_token_id is 9, but the tokenizer has no such token; its ids are below 5. Configuration and "
        + "tokenizer "
        + "belong to different models, or one of them was edited."
    ),
    (
      .safetensors(path: "/m", .trailingBytes(3)), "invalidSafetensors",
      "\"/m\" is no valid safetensors file: 3 bytes behind the last tensor belong to none. The file may be cut off, "
        + "damaged "
        + "or of another version; fetch or export it again."
    ),
    (
      .shards(path: "/i", .tensorMissing(tensor: "t", shard: "s")), "tensorMissing",
      "\"/i\" does not match its shards: tensor \"t\" should be in \"s\" and is not. The file may be cut off, "
        + "damaged or of "
        + "another version; fetch or export it again."
    ),
    (
      .gguf(path: "/g", .tensorType(tensor: "t", type: "IQ4_XS")), "unsupportedGGUF",
      "\"/g\": Tensor \"t\" has type IQ4_XS; supported are F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, "
        + "Q5_K, Q6_K, BF16. Convert the model to one of these, "
        + "for example with llama-quantize."
    ),
    (
      .tokenizer(path: "/t", .unsupported(part: "normalizer", found: "NFC", supported: "null")), "unsupportedTokenizer",
      "The tokenizer of \"/t\": normalizer is \"NFC\", which is not supported; supported: null."
    ),
    (
      .tokenizer(path: "/t", .unknownID(7, vocabularySize: 5)), "tokenOutOfRange",
      "The tokenizer of \"/t\": There is no token 7; ids are from 0 to 4."
    ),
    (
      .writing(tensor: "t", .byteCount(expected: 4, produced: 3)), "tensorNotWritable",
      "Tensor \"t\" cannot be written: its shape and type take 4 bytes, but 3 were produced."
    ),
  ]

  @Test(arguments: messages.indices)
  func saysWhatIsWrong(_ index: Int) {
    let (error, kind, message) = Self.messages[index]
    #expect(error.kind == kind)
    #expect(error.message == message)
    #expect("\(error)" == message)
  }

  /// Every message is a sentence; what files say is cut and cleaned.
  @Test func messagesAreSentences() {
    let name = String(repeating: "x", count: 5000) + "\n"
    for (_, _, fault) in SafetensorsFileTests.hostile {
      let message = CheckpointError.safetensors(path: "/m\u{1B}[0m", fault).message
      #expect(message.hasSuffix(".") && !message.contains("\u{1B}"))
    }
    for (_, _, fault) in GGUFFileTests.hostile {
      #expect(CheckpointError.gguf(path: "/m", fault).message.hasSuffix("."))
    }
    for (_, fault) in ShardedSafetensorsTests.hostile {
      #expect(CheckpointError.shards(path: "/m", fault).message.hasSuffix("."))
    }
    for (_, _, fault) in TokenizerDefinitionTests.refused {
      #expect(CheckpointError.tokenizer(path: "/m", fault).message.hasSuffix("."))
    }
    #expect(CheckpointError.gguf(path: "/m", .unsupportedTensor(name, architecture: "Llama")).message.utf8.count < 500)
  }
}
