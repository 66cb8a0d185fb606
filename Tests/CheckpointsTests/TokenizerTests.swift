// Tokenizers from files: what is refused, what GGUF metadata become, and byte pair encoding against a plain reference.

import Foundation
import JSON
import OrderedCollections
import Tensors
import Testing

@testable import Checkpoints

/// A tokenizer of all bytes and a few merges.
private func tokenizerJSON(_ change: (inout JSON) -> Void = { _ in }) -> JSON {
  var vocabulary = JSONObject()
  for (byte, scalar) in ByteAlphabet.scalars.enumerated() {
    vocabulary[String(Unicode.Scalar(scalar)!)] = JSON(byte)
  }
  for (index, token) in ["ab", "abc", "bc", "<s>"].enumerated() { vocabulary[token] = JSON(256 + index) }
  var json: JSON = [
    "version": "1.0", "truncation": nil, "padding": nil,
    "added_tokens": [["id": 259, "content": "<s>", "special": true, "normalized": false]],
    "normalizer": nil,
    "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true],
    "post_processor": nil, "decoder": ["type": "ByteLevel"],
    "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": [["a", "b"], "b c", ["ab", "c"]]],
  ]
  change(&json)
  return json
}

private func tokenizer(_ change: (inout JSON) -> Void = { _ in }) throws -> Tokenizer {
  try Tokenizer(TokenizerDefinition(json: tokenizerJSON(change), path: "t"), begin: nil, ends: [])
}

private func fault(_ change: (inout JSON) -> Void) throws -> TokenizerFault? {
  let error = try checkpointError { _ = try tokenizer(change) }
  guard case .tokenizer("t", let fault) = error else { return nil }
  return fault
}

@Suite struct TokenizerDefinitionTests {
  @Test func encodesAndDecodes() throws {
    let tokenizer = try tokenizer()
    #expect(try tokenizer.encode("abcab<s>bc") == [257, 256, 259, 258])
    #expect(try tokenizer.decode([257, 256, 259]) == "abcab<s>")
    #expect(try tokenizer.decode([257, 259], skipSpecialTokens: true) == "abc")
    #expect(try tokenizer.decodedBytes([0xC3]) == [0xC3])
    #expect(tokenizer.vocabularySize == 260 && tokenizer.isSpecial(259) && !tokenizer.isSpecial(0))
    #expect(tokenizer.token(257) == "abc" && tokenizer.id(of: "Ġ") == 32 && tokenizer.id(of: "no") == nil)
  }

  @Test(arguments: [-1, 260, Int32.max, Int32.min] as [Int32])
  func refusesUnknownIds(_ id: Int32) throws {
    let tokenizer = try tokenizer()
    let error = try checkpointError { _ = try tokenizer.decode([1, id]) }
    #expect(error == .tokenizer(path: "t", .unknownID(Int(id), vocabularySize: 260)))
    #expect(tokenizer.token(id) == nil)
  }

  @Test func refusesSequenceEdgesOutsideOfTheVocabulary() throws {
    let definition = try TokenizerDefinition(json: tokenizerJSON(), path: "t")
    let error = try checkpointError { _ = try Tokenizer(definition, begin: nil, ends: [("eos_token_id", 260)]) }
    #expect(error == .configuration(path: "t", .tokenID(field: "eos_token_id", id: 260, vocabularySize: 260)))
    #expect(try Tokenizer(definition, begin: ("b", 1), ends: [("e", 2), ("e", 2), ("e", 3)]).endTokens == [2, 3])
  }

  private static let steps = PreTokenizerReader.supported
  static let refused: [(String, @Sendable (inout JSON) -> Void, TokenizerFault)] = [
    ("no model", { $0["model"] = nil }, .field("model", expected: "an object")),
    (
      "WordPiece", { $0["model"]?["type"] = "WordPiece" },
      .unsupported(part: "model.type", found: "WordPiece", supported: "BPE, Unigram")
    ),
    (
      "dropout", { $0["model"]?["dropout"] = 0.1 },
      .unsupported(part: "model.dropout", found: "a value", supported: "null")
    ),
    (
      "suffix", { $0["model"]?["end_of_word_suffix"] = "</w>" },
      .unsupported(part: "model.end_of_word_suffix", found: "</w>", supported: "null or \"\"")
    ),
    ("flag", { $0["model"]?["ignore_merges"] = 1 }, .field("model.ignore_merges", expected: "true or false")),
    ("no vocabulary", { $0["model"]?["vocab"] = nil }, .field("model.vocab", expected: "an object")),
    ("no merges", { $0["model"]?["merges"] = nil }, .field("model.merges", expected: "an array")),
    ("id is text", { $0["model"]?["vocab"]?["a"] = "1" }, .field("model.vocab[\"a\"]", expected: "an integer")),
    ("negative id", { $0["model"]?["vocab"]?["x!"] = -1 }, .tokenID(token: "x!", id: -1, limit: 66_058)),
    (
      "huge id", { $0["model"]?["vocab"]?["x!"] = 2_000_000_000 },
      .tokenID(token: "x!", id: 2_000_000_000, limit: 66_058)
    ),
    ("id twice", { $0["model"]?["vocab"]?["x!"] = 256 }, .duplicateID(256, tokens: ["ab", "x!"])),
    (
      "merge of three", { $0["model"]?["merges"] = [["a", "b", "c"]] },
      .field("model.merges[0]", expected: "\"left right\" or [left, right]")
    ),
    ("merge without space", { $0["model"]?["merges"] = ["ab"] }, .merge(index: 0, text: "ab")),
    ("merge with two spaces", { $0["model"]?["merges"] = ["a b", "a b c"] }, .merge(index: 1, text: "a b c")),
    ("merge part", { $0["model"]?["merges"] = ["a zz"] }, .mergeToken(index: 0, token: "zz")),
    ("merge result", { $0["model"]?["merges"] = ["a c"] }, .mergeToken(index: 0, token: "ac")),
    ("unknown token", { $0["model"]?["unk_token"] = "<unk>" }, .specialToken("<unk>")),
    (
      "Nmt", { $0["normalizer"] = ["type": "Nmt"] },
      .unsupported(part: "normalizer", found: "Nmt", supported: NormalizerReader.supported)
    ),
    (
      "normalizer in a sequence",
      { $0["normalizer"] = ["type": "Sequence", "normalizers": [["type": "NFC"], ["type": "BertNormalizer"]]] },
      .unsupported(part: "normalizer", found: "BertNormalizer", supported: NormalizerReader.supported)
    ),
    (
      "character map that is no base64",
      { $0["normalizer"] = ["type": "Precompiled", "precompiled_charsmap": "%"] },
      .field("normalizer.precompiled_charsmap", expected: "base64 of a SentencePiece character map")
    ),
    (
      "character map that is cut off",
      { $0["normalizer"] = ["type": "Precompiled", "precompiled_charsmap": "////AAAA"] },
      .field("normalizer.precompiled_charsmap", expected: CharacterMap.expected)
    ),
    (
      "replace without pattern", { $0["normalizer"] = ["type": "Replace", "content": "x"] },
      .field("normalizer.pattern", expected: "{\"String\": ...} or {\"Regex\": ...}")
    ),
    (
      "CTC", { $0["decoder"] = ["type": "CTC"] },
      .unsupported(part: "decoder", found: "CTC", supported: DecoderReader.supported)
    ),
    (
      "decoder with a Regex", { $0["decoder"] = ["type": "Replace", "pattern": ["Regex": "a"], "content": ""] },
      .unsupported(
        part: "decoder", found: "Replace with a Regex or an empty String", supported: DecoderReader.supported)
    ),
    (
      "strip of two characters", { $0["decoder"] = ["type": "Strip", "content": "ab", "start": 1, "stop": 0] },
      .field("decoder.content", expected: "one character")
    ),
    (
      "strip forever", { $0["decoder"] = ["type": "Strip", "content": "a", "start": 1, "stop": 99_999_999] },
      .field("decoder.stop", expected: "a count from 0 to 65536")
    ),
    (
      "UnicodeScripts", { $0["pre_tokenizer"] = ["type": "UnicodeScripts"] },
      .unsupported(part: "pre_tokenizer", found: "UnicodeScripts", supported: steps)
    ),
    (
      "ByteLevel twice",
      { $0["pre_tokenizer"] = ["type": "Sequence", "pretokenizers": [["type": "ByteLevel"], ["type": "ByteLevel"]]] },
      .unsupported(part: "pre_tokenizer", found: "ByteLevel behind ByteLevel", supported: steps)
    ),
    (
      "behavior", { $0["pre_tokenizer"] = ["type": "Split", "pattern": ["Regex": "a"], "behavior": "Kept"] },
      .field(
        "pre_tokenizer.behavior",
        expected: "Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous")
    ),
    (
      "split without pattern", { $0["pre_tokenizer"] = ["type": "Split", "behavior": "Isolated"] },
      .field("pre_tokenizer.pattern", expected: "{\"String\": ...} or {\"Regex\": ...}")
    ),
    (
      "replacement of two characters", { $0["pre_tokenizer"] = ["type": "Metaspace", "replacement": "__"] },
      .field("pre_tokenizer.replacement", expected: "one character")
    ),
    (
      "scheme", { $0["pre_tokenizer"] = ["type": "Metaspace", "prepend_scheme": "last"] },
      .field(
        "pre_tokenizer.prepend_scheme",
        expected: "always, first or never, and never if add_prefix_space is false")
    ),
    (
      "unigram without scores", { $0["model"] = ["type": "Unigram", "unk_id": 0, "vocab": ["a", "b"]] },
      .field("model.vocab[0]", expected: "[token, score]")
    ),
    (
      "unigram without such an unknown token",
      { $0["model"] = ["type": "Unigram", "unk_id": 1, "vocab": [["a", -1.5]]] },
      .field("model.unk_id", expected: "the id of a token, or null")
    ),
    (
      "post-processor", { $0["post_processor"] = ["type": "Other"] },
      .unsupported(
        part: "post_processor", found: "Other",
        supported: "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel and a Sequence of these")
    ),
    (
      "BertProcessing without cls", { $0["post_processor"] = ["type": "BertProcessing", "sep": ["a", 1]] },
      .field("post_processor.cls", expected: "a token and its id")
    ),
    (
      "template without sequence", { $0["post_processor"] = ["type": "TemplateProcessing", "single": []] },
      .field("post_processor.single", expected: "the Sequence A exactly once")
    ),
    (
      "template token",
      { $0["post_processor"] = ["type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<b>"]]]] },
      .specialToken("<b>")
    ),
    (
      "template id",
      {
        $0["post_processor"] = [
          "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<b>"]]],
          "special_tokens": ["<b>": ["ids": [9999]]],
        ]
      }, .specialToken("<b>")
    ),
    (
      "added token without content", { $0["added_tokens"] = [["id": 259, "content": ""]] },
      .field("added_tokens[0].content", expected: "a string that is not empty")
    ),
    (
      "added token without id", { $0["added_tokens"] = [["content": "x"]] },
      .field("added_tokens[0].id", expected: "an integer")
    ),
    (
      "added token's id", { $0["added_tokens"] = [["id": 3, "content": "<s>"]] },
      .addedToken("<s>", id: 3, vocabularyID: 259)
    ),
    (
      "added token's taken id", { $0["added_tokens"] = [["id": 256, "content": "<t>"]] },
      .duplicateID(256, tokens: ["ab", "<t>"])
    ),
  ]

  @Test(arguments: refused.indices)
  func refuses(_ index: Int) throws {
    let (name, change, expected) = Self.refused[index]
    #expect(try fault(change) == expected, "\(name)")
  }

  /// A unigram tokenizer may do without an unknown token as long as it knows every character.
  @Test func refusesTextItHasNoTokenFor() throws {
    let tokenizer = try tokenizer { json in
      json["added_tokens"] = nil
      json["pre_tokenizer"] = nil
      json["decoder"] = ["type": "Fuse"]
      json["model"] = ["type": "Unigram", "vocab": [["a", -1.0], ["b", -2.0], ["ab", -2.5]]]
    }
    #expect(try tokenizer.encode("abba") == [2, 1, 0])
    let error = try checkpointError { _ = try tokenizer.encode("abc") }
    #expect(error == .tokenizer(path: "t", .unknownCharacter("c")))
  }

  @Test func stopsWhenCancelled() throws {
    let tokenizer = try tokenizer()
    let monitor = Monitor()
    monitor.cancellation.cancel()
    let words = String(repeating: "word ", count: 10_000)
    #expect(throws: Cancelled.self) { _ = try tokenizer.encode(words, monitor: monitor) }
    let word = String(repeating: "abc", count: 10_000)
    #expect(throws: Cancelled.self) { _ = try tokenizer.encode(word, monitor: monitor) }
  }
}

@Suite struct PatternTests {
  @Test(arguments: [
    (#"\s"#, #"\p{White_Space}"#), (#"[^\S\r\n]"#, #"[^\P{White_Space}\r\n]"#), (#"\p{L}\p{Lu}"#, #"\p{L}\p{Lu}"#),
    (#"\p{Han}"#, #"\p{sc:Han}"#), (#"\P{^N}"#, #"\p{N}"#), (#"\d\D"#, #"\p{Nd}\P{Nd}"#),
    (#"\x41\x{1F600}"#, #"\x{41}\x{1F600}"#),
    (#"(?i:'s)|(?!\S)"#, #"(?i:'s)|(?!\P{White_Space})"#), (#"\[\]\.\\"#, #"\[\]\.\\"#),
  ])
  func translates(_ pattern: String, _ expected: String) {
    guard case .success(expected) = RegexTranslation.translate(pattern) else {
      Issue.record("\(pattern): \(RegexTranslation.translate(pattern))")
      return
    }
  }

  @Test(arguments: [
    #"\w+"#, #"\b"#, #"\h"#, #"\1"#, #"\K"#, #"[a[b]]"#, #"[a&&b]"#, "[]a]", #"\p{N}{1,3}+"#, "(*VERB)a", "(?R)",
    "(?x)a", "(?<n>a)",
    #"a\"#, #"\p"#, #"\p{}"#, #"\x{}"#, #"\xZZ"#, "(", "[a", "a{2,1}", "\\\u{301}", "[a[\u{301}]", "(?<=a+)b",
  ])
  func refuses(_ pattern: String) throws {
    #expect(throws: TokenizerFault.self) { _ = try Pattern(pattern) }
  }

  @Test func givesUpOnRunawayExpressions() throws {
    let json = tokenizerJSON { json in
      json["pre_tokenizer"] = [
        "type": "Sequence",
        "pretokenizers": [
          ["type": "Split", "pattern": ["Regex": "(a+)+[!?]"], "behavior": "Isolated", "invert": false],
          ["type": "ByteLevel"],
        ],
      ]
    }
    let tokenizer = try Tokenizer(TokenizerDefinition(json: json, path: "t"), begin: nil, ends: [])
    let error = try checkpointError { _ = try tokenizer.encode(String(repeating: "a", count: 200)) }
    guard case .tokenizer(_, .patternGaveUp) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func matchesAreFoundFromAnOffset() throws {
    let matcher = try Matcher(Pattern("(?<=a)b"))
    Array("abab".utf8).withUnsafeBytes { text in
      #expect(try! matcher.firstMatch(in: text, from: 0) == 1..<2)
      #expect(try! matcher.firstMatch(in: text, from: 1) == 1..<2)
      #expect(try! matcher.firstMatch(in: text, from: 2) == 3..<4)
      #expect(try! matcher.firstMatch(in: text, from: 4) == nil)
    }
  }
}

@Suite struct BytePairTests {
  /// Merges one pair at a time, the lowest rank first and the leftmost of these.
  private func reference(_ word: [UInt8], _ merges: [(String, String)]) -> [String] {
    var parts = word.map { String(UnicodeScalar($0)) }
    while true {
      var best: (rank: Int, at: Int)?
      for at in parts.indices.dropLast() {
        guard let rank = merges.firstIndex(where: { $0 == (parts[at], parts[at + 1]) }) else { continue }
        if best.map({ rank < $0.rank }) ?? true { best = (rank, at) }
      }
      guard let best else { return parts }
      parts.replaceSubrange(best.at...best.at + 1, with: [parts[best.at] + parts[best.at + 1]])
    }
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func bothAlgorithmsMatchTheReference(_ seed: UInt64) throws {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    func random(_ bound: Int) -> Int {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int(state % UInt64(bound))
    }
    // A vocabulary over three letters: merges of tokens made so far, each pair once.
    var tokens = ["a", "b", "c"]
    var merges: [(String, String)] = []
    while merges.count < 25 {
      let pair = (tokens[random(tokens.count)], tokens[random(tokens.count)])
      if merges.contains(where: { $0 == pair }) { continue }
      merges.append(pair)
      if !tokens.contains(pair.0 + pair.1) { tokens.append(pair.0 + pair.1) }
    }
    var builder = try VocabularyBuilder(tokens: tokens.count, merges: merges.count)
    for (id, token) in tokens.enumerated() { try builder.add(token, id: id) }
    for (index, merge) in merges.enumerated() {
      try Array("\(merge.0) \(merge.1)".utf8).withUnsafeBytes { try builder.addMerge($0, index: index) }
    }
    let model = BytePairModel(
      vocabulary: builder.vocabulary, merges: builder.merges)
    for length in [0, 1, 2, 5, 40, 48, 49, 50, 120] {
      let word = (0..<length).map { _ in UInt8(ascii: "a") + UInt8(random(3)) }
      var ids: [Int32] = []
      word.withUnsafeBytes { model.encode($0, into: &ids, check: {}) }
      #expect(ids.map { tokens[Int($0)] } == reference(word, merges), "seed \(seed), length \(length)")
    }
  }

  @Test func alphabetIsReversible() {
    for byte: UInt8 in 0...255 {
      var (text, back): ([UInt8], [UInt8]) = ([], [])
      withUnsafeBytes(of: byte) { ByteAlphabet.append($0, to: &text) }
      text.withUnsafeBytes { ByteAlphabet.appendDecoded($0, to: &back) }
      #expect(back == [byte] && String(validating: text, as: UTF8.self)?.count == 1)
    }
  }

  @Test func refusesTooManyTokens() {
    #expect(throws: TokenizerFault.tooMany("tokens", count: 5_000_000, limit: 1 << 22)) {
      _ = try VocabularyBuilder(tokens: 5_000_000, merges: 0)
    }
    #expect(throws: TokenizerFault.tooMany("merges", count: .max, limit: 1 << 22)) {
      _ = try VocabularyBuilder(tokens: 0, merges: .max)
    }
  }

  @Test func vocabularyGrowsAndFinds() {
    var vocabulary = Vocabulary(capacity: 1)
    for id in 0..<5000 {
      let token = Array("token \(id)".utf8)
      #expect(token.withUnsafeBytes { vocabulary.insert($0, id: id * 2) } == .inserted)
    }
    #expect(vocabulary.count == 5000 && vocabulary.limit == 9999)
    #expect(vocabulary.id(of: "token 77") == 154 && vocabulary.token(154) == "token 77")
    #expect(vocabulary.token(155) == nil && vocabulary.token(-1) == nil && vocabulary.token(9999) == nil)
    #expect(vocabulary.id(of: "token 5000") == nil)
    let again = Array("token 77".utf8)
    #expect(again.withUnsafeBytes { vocabulary.insert($0, id: 20_000) } == .tokenTaken(id: 154))
    #expect(again.withUnsafeBytes { vocabulary.insert($0, id: 154) } == .idTaken)
  }

  @Test func wordCacheIsTransparent() {
    var cache = WordCache()
    var calls = 0
    for _ in 0..<2 {
      for number in 0..<6000 {
        var ids: [Int32] = [7]
        Array("w\(number)".utf8).withUnsafeBytes { word in
          cache.append(word, to: &ids) { _, ids in
            calls += 1
            ids += [Int32(number), -1]
          }
        }
        #expect(ids == [7, Int32(number), -1])
      }
    }
    #expect(calls == 6000)
  }
}

@Suite struct GGUFTokenizerTests {
  private func checkpoint(_ change: (inout GGUFBuilder) -> Void = { _ in }) throws -> Checkpoint {
    var builder = GGUFBuilder.llama()
    change(&builder)
    return try Checkpoint.openGGUF(GGUFFile(storage: MemoryStorage(builder.file), path: "g"))
  }

  @Test func readsTheMetadata() throws {
    let tokenizer = try checkpoint().tokenizer
    #expect(tokenizer.beginToken == 0 && tokenizer.endTokens == [1] && tokenizer.vocabularySize == 262)
    #expect(try tokenizer.encode("the the<|end|>") == [259, 260, 1])
    #expect(try tokenizer.encode("12<word>") == [2 + 0x31, 2 + 0x32, 261])
    // User-defined tokens are text, control tokens are not.
    #expect(try tokenizer.decode([259, 1, 261], skipSpecialTokens: true) == "the<word>")
    #expect(try tokenizer.encode("the", addSpecialTokens: true) == [259])
  }

  @Test func addsBeginAndEnd() throws {
    let asked = try checkpoint { builder in
      builder.set("tokenizer.ggml.add_bos_token", .bool(1))
      builder.set("tokenizer.ggml.add_eos_token", .bool(1))
    }
    #expect(try asked.tokenizer.encode("the", addSpecialTokens: true) == [0, 259, 1])
    #expect(try asked.tokenizer.encode("the") == [259])
    let llama3 = try checkpoint { $0.set("tokenizer.ggml.pre", .string("llama-bpe")) }
    #expect(try llama3.tokenizer.encode("the", addSpecialTokens: true) == [0, 259])
  }

  /// The files for a Hugging Face folder describe the same tokenizer.
  @Test(arguments: GGUFPreTokenizer.known.flatMap(\.names))
  func exportsTheSameTokenizer(_ name: String) throws {
    let checkpoint = try checkpoint { $0.set("tokenizer.ggml.pre", .string(name)) }
    #expect(
      checkpoint.companionFiles.map(\.name) == ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
    let json = try JSON.parse(checkpoint.companionFiles[0].bytes())
    let copy = try Tokenizer(TokenizerDefinition(json: json, path: "e"), begin: nil, ends: [])
    for text in ["the 1234 the<|end|>", "  <word>\n\n x's 'LL", "é漢字\u{1F600}!!\r\n"] {
      #expect(try copy.encode(text) == checkpoint.tokenizer.encode(text))
      #expect(
        try copy.encode(text, addSpecialTokens: true) == checkpoint.tokenizer.encode(text, addSpecialTokens: true))
    }
    #expect(copy.isSpecial(1) && !copy.isSpecial(261))
    let config = try JSON.parse(checkpoint.companionFiles[1].bytes())
    #expect(config["bos_token"] == "<|begin|>" && config["eos_token"] == "<|end|>" && config["model_max_length"] == 64)
    #expect(try JSON.parse(checkpoint.companionFiles[2].bytes()) == ["bos_token_id": 0, "eos_token_id": 1])
  }

  static let refused: [(String, GGUFBuilder.Value?, TokenizerFault)] = [
    (
      "tokenizer.ggml.model", .string("bert"),
      .unsupported(part: "tokenizer.ggml.model", found: "bert", supported: GGUFTokenizerScheme.supported)
    ),
    (
      "tokenizer.ggml.pre", .string("x"),
      .unsupported(
        part: "tokenizer.ggml.pre", found: "x",
        supported: GGUFPreTokenizer.known.flatMap(\.names).joined(separator: ", "))
    ),
    ("tokenizer.ggml.tokens", .int32s([1]), .field("tokenizer.ggml.tokens", expected: "an array of strings")),
    ("tokenizer.ggml.tokens", .strings(["a", "a"]), .duplicateToken("a")),
    (
      "tokenizer.ggml.tokens", .array(type: 8, count: 1, payload: [1, 0, 0, 0, 0, 0, 0, 0, 0xFF]),
      .field("tokenizer.ggml.tokens[0]", expected: "UTF-8")
    ),
    ("tokenizer.ggml.merges", .strings(["th"]), .merge(index: 0, text: "th")),
    ("tokenizer.ggml.merges", .strings(["t zz"]), .mergeToken(index: 0, token: "zz")),
    (
      "tokenizer.ggml.token_type", .int32s([1]),
      .field("tokenizer.ggml.token_type", expected: "one of 1 to 6 for each token")
    ),
    (
      "tokenizer.ggml.token_type", .int32s(Array(repeating: 9, count: 262)),
      .field("tokenizer.ggml.token_type", expected: "one of 1 to 6 for each token")
    ),
    ("tokenizer.ggml.add_bos_token", .uint8(1), .field("tokenizer.ggml.add_bos_token", expected: "a boolean")),
  ]

  @Test(arguments: refused.indices)
  func refuses(_ index: Int) throws {
    let (key, value, expected) = Self.refused[index]
    let error = try checkpointError { _ = try checkpoint { $0.set(key, value) } }
    #expect(error == .tokenizer(path: "g", expected), "\(key)")
  }

  @Test func refusesEdgesOutsideOfTheVocabulary() throws {
    let error = try checkpointError { _ = try checkpoint { $0.set("tokenizer.ggml.eos_token_id", .uint32(262)) } }
    #expect(
      error
        == .configuration(path: "g", .tokenID(field: "tokenizer.ggml.eos_token_id", id: 262, vocabularySize: 262)))
  }
}
