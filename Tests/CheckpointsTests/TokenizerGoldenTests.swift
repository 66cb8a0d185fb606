// Ids and texts that Hugging Face's `tokenizers` gives, for variants of a tiny tokenizer and for SmolLM2's own.
// Goldens/tokenizer_goldens.py makes the files and says with which version.

import Foundation
import JSON
import OrderedCollections
import Tensors
import Testing

@testable import Checkpoints

@Suite struct TinyTokenizerTests {
  static let variants: [JSON] = (try? goldenFile("tiny-goldens.json").array) ?? []

  @Test func hasVariants() { #expect(Self.variants.count == 15) }

  @Test(arguments: variants.indices)
  func matchesTheReference(_ index: Int) throws {
    let variant = Self.variants[index]
    let tokenizer = try Tokenizer(
      TokenizerDefinition(json: try Self.document(of: variant), path: "tiny"), begin: nil, ends: [])
    let cases = try #require(variant["cases"]?.array)
    #expect(cases.count > 30)
    for json in cases {
      #expect(try differences(tokenizer, Golden(json), decoding: variant["name"] == "plain") == [])
    }
  }

  /// The tiny tokenizer with what the variant replaces.
  static func document(of variant: JSON) throws -> JSON {
    var json = try goldenFile("tiny-tokenizer.json")
    for (key, value) in try #require(variant["replace"]?.object) { json[key] = value }
    var model = try #require(json["model"])
    let (vocabulary, merges) = (try #require(model["vocab"]?.object), try #require(model["merges"]?.array))
    for (key, value) in try #require(variant["model"]?.object) where key != "vocab" && key != "merges" {
      model[key] = value
    }
    if variant["model"]?["merges"] == "text" {
      model["merges"] = .array(merges.map { JSON(($0.array ?? []).compactMap(\.string).joined(separator: " ")) })
    }
    if variant["model"]?["vocab"] == "ascii" {  // no tokens for single bytes beyond ASCII
      let kept = vocabulary.filter { token, id in
        (id.integer ?? 0) < 2 || token.unicodeScalars.count > 1 || token.utf8.first ?? 0 < 0x7F
      }
      let names = Set(kept.map(\.key))
      model["vocab"] = .object(JSONObject(kept.map { ($0.key, $0.value) }))
      model["merges"] = .array(merges.filter { ($0.array ?? []).allSatisfy { names.contains($0.string ?? "") } })
    }
    json["model"] = model
    return json
  }

  @Test func comparisonFindsDifferences() throws {
    let tokenizer = try Tokenizer(
      TokenizerDefinition(json: goldenFile("tiny-tokenizer.json"), path: "tiny"), begin: nil, ends: [])
    let text = "caf\u{e9} tree"
    let ids = try tokenizer.encode(text).map { JSON(Int($0)) }
    func found(_ golden: JSON) throws -> Int { try differences(tokenizer, Golden(golden), decoding: true).count }
    #expect(try found(["text": JSON(text), "ids": .array(ids)]) == 0)
    #expect(try found(["text": JSON(text), "ids": .array(ids.reversed()), "decoded": "x"]) == 4)
    #expect(try found(["text": JSON(text), "ids": .array(ids), "whole": .array(ids + [0])]) == 1)
    #expect(try found(["text": JSON(text), "ids": .array(ids), "decoded": "cafe\u{301} tree"]) == 2)
    #expect(try found(["text": JSON(text), "ids": .array(ids), "half": "x"]) == 1)
  }
}

private let folderPath = ProcessInfo.processInfo.environment["ESPALIER_SMOLLM2_FOLDER"]
private let ggufPath = ProcessInfo.processInfo.environment["ESPALIER_SMOLLM2_GGUF"]

@Suite struct SmolLM2Tests {
  private func cases(_ key: String) throws -> [Golden] {
    try #require(goldenFile("smollm2-goldens.json")[key]?.array).map { try Golden($0) }
  }

  @Test(.enabled(if: folderPath != nil, "ESPALIER_SMOLLM2_FOLDER is not set"))
  func folder() throws {
    let checkpoint = try Checkpoint.open(path: #require(folderPath))
    #expect(checkpoint.format == .huggingFace && checkpoint.tensors.count == 272)
    for golden in try cases("folder") { #expect(try differences(checkpoint.tokenizer, golden, decoding: true) == []) }
  }

  @Test(.enabled(if: ggufPath != nil, "ESPALIER_SMOLLM2_GGUF is not set"))
  func gguf() throws {
    let checkpoint = try Checkpoint.open(path: #require(ggufPath))
    #expect(checkpoint.format == .gguf && checkpoint.tensors.count == 272)
    #expect(checkpoint.tensors["model.embed_tokens.weight"]?.dtype == .q8_0)
    #expect(checkpoint.tensors["model.layers.29.mlp.down_proj.weight"]?.shape == [576, 1536])
    #expect(checkpoint.configuration["tie_word_embeddings"] == true)
    #expect(checkpoint.tokenizer.beginToken == 1 && checkpoint.tokenizer.endTokens == [2])
    for golden in try cases("gguf") { #expect(try differences(checkpoint.tokenizer, golden, decoding: true) == []) }
  }

  @Test(.enabled(if: ggufPath != nil, "ESPALIER_SMOLLM2_GGUF is not set"))
  func exportedTokenizerGivesTheSameIds() throws {
    let checkpoint = try Checkpoint.open(path: #require(ggufPath))
    let file = try #require(checkpoint.companionFiles.first { $0.name == "tokenizer.json" })
    let json = try JSON.parse(file.bytes(), limits: .file)
    let tokenizer = try Tokenizer(TokenizerDefinition(json: json, path: "exported"), begin: nil, ends: [])
    for golden in try cases("gguf") { #expect(try differences(tokenizer, golden, decoding: true) == []) }
  }
}
