// Small tokenizers for tests: all bytes, a few merges, special tokens.

import JSON

@testable import Checkpoints

/// A tokenizer of the 256 bytes, then `merges` (each a pair of tokens in byte characters), then `special` tokens.
/// - Parameter change: of the tokenizer.json.
func byteTokenizer(
  merges: [(String, String)] = [("a", "b"), ("Ġ", "ab"), ("h", "e")], special: [String] = ["<s>", "</s>"],
  begin: String? = "<s>", ends: [String] = ["</s>"], _ change: (inout JSON) -> Void = { _ in }
) throws -> Tokenizer {
  var vocabulary = JSONObject()
  for (byte, scalar) in ByteAlphabet.scalars.enumerated() {
    vocabulary[String(Character(Unicode.Scalar(scalar) ?? " "))] = JSON(byte)
  }
  for (left, right) in merges { vocabulary[left + right] = JSON(vocabulary.count) }
  var added: [JSON] = []
  for token in special {
    added.append(["id": JSON(vocabulary.count), "content": JSON(token), "special": true, "normalized": false])
    vocabulary[token] = JSON(vocabulary.count)
  }
  var json: JSON = [
    "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added), "normalizer": nil,
    "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true], "post_processor": nil,
    "decoder": ["type": "ByteLevel"],
    "model": [
      "type": "BPE", "vocab": .object(vocabulary), "merges": .array(merges.map { [JSON($0.0), JSON($0.1)] }),
    ],
  ]
  change(&json)
  let definition = try TokenizerDefinition(json: json, path: "small")
  func id(_ token: String) -> Int { vocabulary[token]?.integer ?? -1 }
  return try Tokenizer(
    definition, begin: begin.map { ("begin", id($0)) }, ends: ends.map { ("end", id($0)) })
}

/// SentencePiece's way: a visible space before every text.
func spaceTokenizer() throws -> Tokenizer {
  let tokens = ["<s>", "</s>", "\u{2581}", "a", "b", "c", "\u{2581}a", "ab", "\u{2581}ab"]
  let vocabulary = JSONObject(tokens.enumerated().map { ($1, JSON($0)) })
  let json: JSON = [
    "version": "1.0", "truncation": nil, "padding": nil,
    "added_tokens": [["id": 0, "content": "<s>", "special": true, "normalized": false]],
    "normalizer": nil,
    "pre_tokenizer": ["type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true],
    "post_processor": nil,
    "decoder": ["type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true],
    "model": [
      "type": "BPE", "vocab": .object(vocabulary),
      "merges": [["\u{2581}", "a"], ["\u{2581}a", "b"], ["a", "b"]],
    ],
  ]
  return try Tokenizer(
    TokenizerDefinition(json: json, path: "spaces"), begin: ("begin", 0), ends: [("end", 1)])
}
