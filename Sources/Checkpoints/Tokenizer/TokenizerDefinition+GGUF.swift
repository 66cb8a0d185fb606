// A tokenizer from GGUF metadata (ggml/docs/gguf.md, "Tokenizer"). GGUF names the expressions that cut text into words
// instead of holding them; the names are those of llama.cpp.

import OrderedCollections

/// A way to cut text into words that GGUF knows by name.
struct GGUFPreTokenizer: Sendable {
  /// Names under `tokenizer.ggml.pre`.
  let names: [String]
  /// Cuts single digits out first.
  var digits = false
  /// The expression; nil for GPT-2's.
  var expression: String?
  /// Whole words that are tokens are not merged together, as in Llama 3.
  var ignoreMerges = false
  /// Begins sequences with the begin token unless the file says otherwise.
  var addsBegin = false

  /// Files without a name predate it, when only GPT-2's way was known.
  static let unnamed = "default"

  static let known: [GGUFPreTokenizer] = [
    GGUFPreTokenizer(names: ["gpt-2", "default"]),
    GGUFPreTokenizer(names: ["smollm"], digits: true),
    GGUFPreTokenizer(
      names: ["llama-bpe"], expression: cl100k(number: #"\p{N}{1,3}"#), ignoreMerges: true, addsBegin: true),
    GGUFPreTokenizer(names: ["qwen2"], expression: cl100k(number: #"\p{N}"#)),
  ]

  /// The expression of Llama 3 and Qwen 2, which differ in how many digits make a word.
  private static func cl100k(number: String) -> String {
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\#(number)"#
      + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  }

  /// - Throws: `TokenizerFault.unsupported` for an unknown name, listing the known ones.
  static func named(_ name: String) throws(TokenizerFault) -> GGUFPreTokenizer {
    guard let match = known.first(where: { $0.names.contains(name) }) else {
      throw .unsupported(
        part: "tokenizer.ggml.pre", found: name, supported: known.flatMap(\.names).joined(separator: ", "))
    }
    return match
  }

  func steps() throws(TokenizerFault) -> [PreTokenizerStep] {
    (digits ? [.digits(individual: true)] : []) + [.split(try Pattern(expression ?? PreTokenizerStep.gpt2))]
  }
}

extension TokenizerDefinition {
  /// The numbers of `tokenizer.ggml.token_type`.
  private enum TokenType: Int {
    case normal = 1
    case unknown, control, userDefined, unused, byte

    static let expected = "one of 1 to 6 for each token"
  }

  /// - Throws: `CheckpointError.gguf` for missing or mistyped metadata, `.tokenizer` for what it says.
  init(gguf file: GGUFFile) throws(CheckpointError) {
    let kind = try file.fault { file throws(GGUFFault) in try file.string("tokenizer.ggml.model") }
    let tokens = try file.fault { file throws(GGUFFault) in try file.array("tokenizer.ggml.tokens") }
    let mergeList = try file.fault { file throws(GGUFFault) in try file.array("tokenizer.ggml.merges") }
    let preTokenizer = try file.preTokenizer()
    do throws(TokenizerFault) {
      guard kind == "gpt2" else {
        throw .unsupported(part: "tokenizer.ggml.model", found: kind, supported: "gpt2 (byte-level BPE)")
      }
      var builder = try VocabularyBuilder(tokens: tokens.count, merges: mergeList.count)
      let tokensAreStrings = try tokens.forEachString { id, token throws(TokenizerFault) in
        guard token.isValidUTF8 else { throw .field("tokenizer.ggml.tokens[\(id)]", expected: "UTF-8") }
        try builder.add(token, id: id)
      }
      guard tokensAreStrings else { throw .field("tokenizer.ggml.tokens", expected: "an array of strings") }
      let mergesAreStrings = try mergeList.forEachString { index, merge throws(TokenizerFault) in
        try builder.addMerge(merge, index: index)
      }
      guard mergesAreStrings else { throw .field("tokenizer.ggml.merges", expected: "an array of strings") }
      let vocabulary = builder.vocabulary

      path = file.path
      model = BytePairModel(
        vocabulary: vocabulary, merges: builder.merges, ignoreMerges: preTokenizer.ignoreMerges, unknown: nil,
        fuseUnknown: false)
      let added = try Self.addedTokens(file, vocabulary)
      self.added = added.isEmpty ? [] : [AddedTokens(added)]
      special = Set(added.filter(\.special).map(\.id))
      steps = try preTokenizer.steps()
      prefix = try Self.edge(file, "bos", byDefault: preTokenizer.addsBegin, vocabulary)
      suffix = try Self.edge(file, "eos", byDefault: false, vocabulary)
    } catch {
      throw .tokenizer(path: file.path, error)
    }
  }

  /// Control tokens are special; user-defined ones are cut out of text too but are text themselves.
  static func addedTokens(_ file: GGUFFile, _ vocabulary: Vocabulary) throws(TokenizerFault) -> [AddedToken] {
    guard let value = file.metadata["tokenizer.ggml.token_type"] else { return [] }
    guard case .array(let array) = value, array.count == vocabulary.limit, let types = array.integers else {
      throw .field("tokenizer.ggml.token_type", expected: TokenType.expected)
    }
    var added: [AddedToken] = []
    for (id, number) in types.enumerated() {
      guard let type = TokenType(rawValue: number) else {
        throw .field("tokenizer.ggml.token_type", expected: TokenType.expected)
      }
      guard type == .control || type == .userDefined, let content = vocabulary.token(id), !content.isEmpty else {
        continue
      }
      added.append(AddedToken(id: Int32(id), content: content, special: type == .control))
    }
    return added
  }

  /// The token that `tokenizer.ggml.add_bos_token` or `add_eos_token` asks for.
  private static func edge(
    _ file: GGUFFile, _ name: String, byDefault: Bool, _ vocabulary: Vocabulary
  ) throws(TokenizerFault) -> [Int32] {
    let flag = "tokenizer.ggml.add_\(name)_token"
    let isAdded: Bool
    switch file.metadata[flag] {
    case nil: isAdded = byDefault
    case .bool(let value): isAdded = value
    default: throw .field(flag, expected: "a boolean")
    }
    guard isAdded else { return [] }
    let key = "tokenizer.ggml.\(name)_token_id"
    guard let id = file.metadata[key]?.integer, vocabulary.token(id) != nil else {
      throw .field(key, expected: "the id of a token, because \(flag) is true")
    }
    return [Int32(id)]
  }
}

extension GGUFFile {
  func preTokenizer() throws(CheckpointError) -> GGUFPreTokenizer {
    let name =
      metadata["tokenizer.ggml.pre"] == nil
      ? GGUFPreTokenizer.unnamed
      : try fault { file throws(GGUFFault) in try file.string("tokenizer.ggml.pre") }
    do throws(TokenizerFault) {
      return try GGUFPreTokenizer.named(name)
    } catch {
      throw .tokenizer(path: path, error)
    }
  }
}

extension UnsafeRawBufferPointer {
  var isValidUTF8: Bool { String(validating: self, as: UTF8.self) != nil }
}
