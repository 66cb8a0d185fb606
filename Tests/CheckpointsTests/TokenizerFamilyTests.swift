// Small tokenizers of every family against what Hugging Face's `tokenizers` makes of hard texts; whole, as a stream,
// and from GGUF metadata. Goldens/family_goldens.py makes the file and says with which version.

import Foundation
import JSON
import OrderedCollections
import Tensors
import Testing

@testable import Checkpoints

private enum Families {
  static let file: JSON = (try? goldenFile("family-goldens.json")) ?? .null
  static let variants = file["variants"]?.array ?? []

  static let texts = file["texts"]?.array ?? []

  /// The cases of a variant, with their texts.
  static func goldens(_ variant: JSON) throws -> [Golden] {
    try #require(variant["cases"]?.array).map { json in
      var json = json
      json["text"] = texts[try #require(json["text"]?.integer)]
      return try Golden(json)
    }
  }

  static func base(_ name: String) throws -> JSON {
    name == "bytes" ? try goldenFile("tiny-tokenizer.json") : try #require(file["bases"]?[name])
  }

  static func tokenizer(_ variant: JSON) throws -> Tokenizer {
    var document = try base(#require(variant["base"]?.string))
    for (key, value) in try #require(variant["replace"]?.object) { document[key] = value }
    for (key, value) in try #require(variant["model"]?.object) { document["model"]?[key] = value }
    return try Tokenizer(TokenizerDefinition(json: document, path: "small"), begin: nil, ends: [])
  }

  static func variant(_ name: String) throws -> JSON {
    try #require(variants.first { $0["name"]?.string == name })
  }
}

@Suite struct TokenizerFamilyTests {
  @Test func hasVariants() { #expect(Families.variants.count == 59) }

  @Test(arguments: Families.variants.indices)
  func matchesTheReference(_ index: Int) throws {
    let variant = Families.variants[index]
    let tokenizer = try Families.tokenizer(variant)
    let cases = try Families.goldens(variant)
    #expect(cases.count > 20)
    for golden in cases {
      let found = try differences(tokenizer, golden, decoding: true)
      #expect(found == [], "\(variant["name"]?.string ?? "")")
    }
    for json in try #require(variant["decodings"]?.array) {
      let ids = try #require(json["ids"]?.array).compactMap(\.integer).map { Int32($0) }
      let decoded = try tokenizer.decode(ids)
      #expect(same(decoded, json["decoded"]?.string ?? ""), "\(variant["name"]?.string ?? "") \(ids)")
      let skipped = try tokenizer.decode(ids, skipSpecialTokens: true)
      #expect(same(skipped, json["skipped"]?.string ?? ""), "\(variant["name"]?.string ?? "") \(ids)")
    }
  }

  /// A stream gives the text of the whole, and never anything that later tokens change.
  @Test(arguments: Families.variants.indices, [false, true])
  func streams(_ index: Int, skipping: Bool) throws {
    let variant = Families.variants[index]
    let tokenizer = try Families.tokenizer(variant)
    var decoder = StreamingDecoder(tokenizer, skipSpecialTokens: skipping)
    for json in try #require(variant["decodings"]?.array) + (variant["cases"]?.array ?? []) {
      let ids = try #require(json["ids"]?.array).compactMap(\.integer).map { Int32($0) }
      var text = ""
      for id in ids { text += try decoder.append(id) }
      text += decoder.finish()
      #expect(same(text, try tokenizer.decode(ids, skipSpecialTokens: skipping)), "\(ids)")
    }
  }

  /// A text in two parts decodes to the whole: nothing is put before the second.
  @Test(arguments: Families.variants.indices)
  func continuations(_ index: Int) throws {
    let variant = Families.variants[index], name = variant["name"]?.string ?? ""
    let tokenizer = try Families.tokenizer(variant)
    var compared = 0
    for (prompt, completion) in [
      ("hello", " world"), ("hello wor", "ld"), ("hello ", "world"), ("a b", "  c"), ("x\n", "y"), ("12", "34"),
      ("", "a"), ("a", ""), ("one two", " three <s> four"),
    ] {
      // Some keep not all of a text, or take spaces off its ends.
      let keepsAll = try [prompt, completion, prompt + completion].allSatisfy {
        same(try tokenizer.decode(tokenizer.encode($0)), $0)
      }
      guard keepsAll else { continue }
      let parts = try tokenizer.encode(prompt) + tokenizer.encode(completion, isContinuation: !prompt.isEmpty)
      let decoded = try tokenizer.decode(parts)
      #expect(same(decoded, prompt + completion), "\(name): \"\(prompt)\" and \"\(completion)\"")
      compared += 1
    }
    if ["llama", "qwen", "gemma", "OPT"].contains(name) { #expect(compared >= 6, "\(name)") }
  }

  @Test func continuationsAreNotSequences() throws {
    let llama = try Families.tokenizer(Families.variant("llama"))
    let (sequence, continuation) = try (llama.encode("a b"), llama.encode("a b", isContinuation: true))
    #expect(sequence != continuation)
    #expect(try llama.decode(llama.encode("x") + sequence) == "x a b")
    #expect(try llama.decode(llama.encode("x") + continuation) == "xa b")
  }

  @Test func streamHoldsBackWhatIsIncomplete() throws {
    let qwen = try Families.tokenizer(Families.variant("qwen"))
    var decoder = StreamingDecoder(qwen, skipSpecialTokens: false)
    let tree = try qwen.encode("\u{1F333}")
    #expect(tree.count == 4)
    #expect(try tree.map { try decoder.append($0) } == ["", "", "", "\u{1F333}"])
    #expect(try decoder.append(tree[0]) == "")
    #expect(try decoder.append(try #require(qwen.id(of: "a"))) == "\u{FFFD}a")
    #expect(try decoder.append(tree[0]) == "" && decoder.finish() == "\u{FFFD}" && decoder.finish() == "")

    let llama = try Families.tokenizer(Families.variant("llama"))
    decoder = StreamingDecoder(llama, skipSpecialTokens: true)
    let ids = try llama.encode("<s>the \u{1F333}e")
    let parts = try ids.map { try decoder.append($0) }
    #expect(parts.joined() + decoder.finish() == "the \u{1F333}e")
    #expect(parts[0] == "" && parts.filter { $0.contains("\u{1F333}") }.count == 1 && !parts[1].hasPrefix(" "))
    #expect(throws: CheckpointError.self) { try decoder.append(1_000_000) }
    #expect(try llama.decodedBytes([llama.id(of: "<0xF0>")!, llama.id(of: "<0x9F>")!]) == [0xF0, 0x9F])
  }

  /// Texts without a break, and runs of one character, take time in proportion to their length: quadratic work on any
  /// of these would take hours.
  @Test(
    .timeLimit(.minutes(5)), arguments: ["llama, legacy", "gemma", "T5", "unigram, whole text", "qwen", "NFKC"],
    ["a", " ", "\n", "\u{6F22}", "e\u{301}\u{323}", "\u{301}\u{323}", "<", "Abc9\u{6F22}\u{E9}"])
  func longTextsTakeLinearTime(_ name: String, _ unit: String) throws {
    let tokenizer = try Families.tokenizer(Families.variant(name))
    let text = String(repeating: unit, count: 150_000 / unit.utf8.count)
    let ids = try tokenizer.encode(text)
    // Normal forms change the text, and T5 keeps no spaces.
    if !["T5", "NFKC", "qwen"].contains(name) { #expect(same(try tokenizer.decode(ids), text)) }
  }

  @Test func aWrongTokenizerIsFound() throws {
    let variant = try Families.variant("llama")
    let other = try Families.tokenizer(Families.variant("gemma"))
    let wrong = try Families.goldens(variant).filter { try !differences(other, $0, decoding: true).isEmpty }
    #expect(wrong.count > 100)
  }
}

@Suite struct SentencePieceGGUFTests {
  /// A model of one layer with the vocabulary of a small tokenizer.
  private func checkpoint(
    _ base: String, model: String, _ change: (inout GGUFBuilder) -> Void = { _ in }
  ) throws -> Checkpoint {
    let document = try Families.base(base)
    let gguf = try #require(Families.file["gguf"]?[base])
    let scores = try #require(gguf["scores"]?.array).compactMap(\.number).map { Float($0) }
    let types = try #require(gguf["types"]?.array).compactMap(\.integer).map { Int32($0) }
    var tokens = [String](repeating: "", count: scores.count)
    for (token, id) in document["model"]?["vocab"]?.object ?? [:] { tokens[try #require(id.integer)] = token }
    for (id, entry) in (document["model"]?["vocab"]?.array ?? []).enumerated() {
      tokens[id] = try #require(entry.array?[0].string)
    }
    var builder = GGUFBuilder.llama()
    for key in ["pre", "merges", "bos_token_id", "eos_token_id"] { builder.set("tokenizer.ggml.\(key)", nil) }
    builder.set("llama.vocab_size", .uint32(UInt32(tokens.count)))
    builder.tensors = builder.tensors.map { tensor in
      guard tensor.sizes.last == 262 else { return tensor }
      var tensor = tensor
      tensor.sizes = [8, UInt64(tokens.count)]
      tensor.byteCount = 32 * tokens.count
      return tensor
    }
    builder.set("tokenizer.ggml.model", .string(model))
    builder.set("tokenizer.ggml.tokens", .strings(tokens))
    builder.set("tokenizer.ggml.scores", .floats(scores))
    builder.set("tokenizer.ggml.token_type", .int32s(types))
    builder.set("tokenizer.ggml.bos_token_id", .uint32(1))
    builder.set("tokenizer.ggml.eos_token_id", .uint32(model == "t5" ? 1 : 2))
    if let map = gguf["map"]?.array {
      let bytes = map.compactMap(\.integer).map { UInt8($0) }
      builder.set(
        "tokenizer.ggml.precompiled_charsmap", .array(type: 0, count: UInt64(bytes.count), payload: bytes))
    }
    change(&builder)
    return try Checkpoint.openGGUF(GGUFFile(storage: MemoryStorage(builder.file), path: "g"))
  }

  private func exported(_ checkpoint: Checkpoint) throws -> Tokenizer {
    let json = try JSON.parse(checkpoint.companionFiles[0].bytes(), limits: .file)
    return try Tokenizer(TokenizerDefinition(json: json, path: "exported"), begin: nil, ends: [])
  }

  private func compare(_ checkpoint: Checkpoint, with name: String) throws {
    let copy = try exported(checkpoint)
    for golden in try Families.goldens(Families.variant(name)) {
      #expect(try differences(checkpoint.tokenizer, golden, decoding: true) == [])
      #expect(try differences(copy, golden, decoding: true) == [])
    }
  }

  @Test func llama() throws {
    let checkpoint = try checkpoint("spm", model: "llama")
    #expect(checkpoint.tokenizer.beginToken == 1 && checkpoint.tokenizer.endTokens == [2])
    try compare(checkpoint, with: "llama")
  }

  @Test func withoutSpacePrefix() throws {
    try compare(
      checkpoint("spm", model: "llama") { $0.set("tokenizer.ggml.add_space_prefix", .bool(0)) },
      with: "mistral, no space")
  }

  @Test func unigram() throws { try compare(checkpoint("unigram", model: "t5"), with: "T5, no fallback") }

  static let refused: [(String, String, GGUFBuilder.Value?, TokenizerFault)] = [
    ("spm", "tokenizer.ggml.scores", nil, .field("tokenizer.ggml.scores", expected: "a finite float32 for each token")),
    (
      "spm", "tokenizer.ggml.scores", .floats([1, 2]),
      .field("tokenizer.ggml.scores", expected: "a finite float32 for each token")
    ),
    (
      "unigram", "tokenizer.ggml.scores", .int32s([1]),
      .field("tokenizer.ggml.scores", expected: "a finite float32 for each token")
    ),
    (
      "spm", "tokenizer.ggml.unknown_token_id", .uint32(100_000),
      .field("tokenizer.ggml.unknown_token_id", expected: "the id of a token")
    ),
    (
      "spm", "tokenizer.ggml.add_space_prefix", .uint8(1),
      .field("tokenizer.ggml.add_space_prefix", expected: "a boolean")
    ),
    (
      "unigram", "tokenizer.ggml.precompiled_charsmap", .array(type: 0, count: 5, payload: [255, 255, 0, 0, 0]),
      .field("normalizer.precompiled_charsmap", expected: CharacterMap.expected)
    ),
    (
      "spm", "tokenizer.ggml.model", .string("rwkv"),
      .unsupported(part: "tokenizer.ggml.model", found: "rwkv", supported: GGUFTokenizerScheme.supported)
    ),
  ]

  @Test(arguments: refused.indices)
  func refuses(_ index: Int) throws {
    let (base, key, value, expected) = Self.refused[index]
    let error = try checkpointError {
      _ = try checkpoint(base, model: base == "spm" ? "llama" : "t5") { $0.set(key, value) }
    }
    #expect(error == .tokenizer(path: "g", expected), "\(key)")
  }

  @Test func refusesAHugeToken() throws {
    var vocabulary = Vocabulary(capacity: 1)
    let token = [UInt8](repeating: 0x61, count: 1025)
    _ = token.withUnsafeBytes { vocabulary.insert($0, id: 0) }
    #expect(throws: TokenizerFault.field("tokenizer.ggml.tokens[0]", expected: "at most 1024 bytes")) {
      _ = try DerivedMerges(vocabulary, scores: [0])
    }
  }
}
