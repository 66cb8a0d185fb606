// The ways to cut text into words that GGUF knows by name (`tokenizer.ggml.pre`). GGUF holds no expressions; these are
// the ones that llama.cpp (src/llama-vocab.cpp) means by the names, in the spelling of the tokenizers they come from.

import JSON

struct GGUFPreTokenizer: Sendable {
  /// What a text is cut at, one after the other; matches are words of their own.
  enum Cut: Sendable {
    case expression(String)
    /// Each digit.
    case digits
  }

  /// Names under `tokenizer.ggml.pre`.
  let names: [String]
  let cuts: [Cut]
  /// Whole words that are tokens are not merged together, as in Llama 3.
  var ignoreMerges = false
  /// Begins sequences with the begin token unless the file says otherwise.
  var addsBegin = false

  /// What a file without a name means.
  static let unnamed = "default"

  static let known: [GGUFPreTokenizer] = [
    GGUFPreTokenizer(
      names: [
        "gpt-2", "phi-2", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code", "gigachat",
        "roberta-bpe", "a.x-4.0", "mellum", "modern-bert", "exaone4", "mpt", "olmo", "jais", "trillion",
        "granite-docling",
      ], cuts: [.expression(PreTokenizerStep.gpt2)]),
    GGUFPreTokenizer(
      names: ["default"],
      cuts: [
        .expression(#"[\p{P}\$\+<=>\^~\|]+"#), .expression(PreTokenizerStep.gpt2), .expression(#"\p{N}+"#),
        .expression("[0-9][0-9][0-9]"),
      ]),
    GGUFPreTokenizer(
      names: ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
      cuts: [.digits, .expression(PreTokenizerStep.gpt2)]),
    GGUFPreTokenizer(
      names: [
        "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
      ], cuts: [.expression(cl100k(number: #"\p{N}{1,3}"#))], ignoreMerges: true, addsBegin: true),
    GGUFPreTokenizer(
      names: ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], cuts: [.expression(cl100k(number: #"\p{N}{1,3}"#))]),
    GGUFPreTokenizer(
      names: [
        "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2",
      ], cuts: [.expression(cl100k(number: #"\p{N}"#))]),
    GGUFPreTokenizer(names: ["qwen35"], cuts: [.expression(qwen35)]),
    GGUFPreTokenizer(names: ["tekken"], cuts: [.expression(tekken)], ignoreMerges: true, addsBegin: true),
    GGUFPreTokenizer(names: ["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], cuts: [.expression(gpt4o)]),
    GGUFPreTokenizer(
      names: ["deepseek-llm"],
      cuts: [
        .expression(#"[\r\n]"#), .expression(#"\s?["# + lettersWithCase + "]+"),
        .expression(#"\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+"#),
        .expression(#"\s+$"#), .expression(eastAsian), .expression(#"\p{N}+"#),
      ]),
    GGUFPreTokenizer(
      names: ["deepseek-coder"],
      cuts: [
        .expression(#"[\r\n]"#), .expression(#"\s?\p{L}+"#), .expression(#"\s?\p{P}+"#), .expression(eastAsian),
        .digits,
      ]),
    GGUFPreTokenizer(
      names: ["deepseek-v3", "hunyuan-dense", "joyai-llm"],
      cuts: [
        .expression(#"\p{N}{1,3}"#), .expression(#"[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+"#),
        .expression(deepseekV3),
      ]),
    GGUFPreTokenizer(
      names: ["falcon"],
      cuts: [
        .expression(#"[\p{P}\$\+<=>\^~\|`]+"#), .expression(PreTokenizerStep.gpt2), .expression("[0-9][0-9][0-9]"),
      ]),
  ]

  /// - Throws: `TokenizerFault.unsupported` for an unknown name, listing the known ones.
  static func named(_ name: String) throws(TokenizerFault) -> GGUFPreTokenizer {
    guard let match = known.first(where: { $0.names.contains(name) }) else {
      throw .unsupported(
        part: "tokenizer.ggml.pre", found: name, supported: known.flatMap(\.names).joined(separator: ", "))
    }
    return match
  }

  /// As the `pre_tokenizer` of a tokenizer.json.
  var json: JSON {
    var steps: [JSON] = cuts.map { cut in
      switch cut {
      case .digits: return ["type": "Digits", "individual_digits": true]
      case .expression(let expression):
        return ["type": "Split", "pattern": ["Regex": JSON(expression)], "behavior": "Isolated", "invert": false]
      }
    }
    steps.append(["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false])
    return ["type": "Sequence", "pretokenizers": .array(steps)]
  }

  /// The expression of Llama 3 and Qwen 2, which differ in how many digits make a word.
  private static func cl100k(number: String) -> String {
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\#(number)"#
      + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  }

  private static let qwen35 =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"#
    + #"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  /// Words of capitals and then small letters, as in Tekken and GPT-4o; `ending` is what may follow them.
  private static func cased(ending: String) -> String {
    let (capital, small) = (#"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#, #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#)
    let before = #"[^\r\n\p{L}\p{N}]?"#
    return "\(before)\(capital)*\(small)+\(ending)|\(before)\(capital)+\(small)*\(ending)"
  }

  private static let tekken =
    cased(ending: "") + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  private static let gpt4o =
    cased(ending: "(?i:'s|'t|'re|'ve|'m|'ll|'d)?")
    + #"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  private static let deepseekV3 =
    ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
    + #"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  private static let eastAsian = #"[\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+"#

  /// The letters that have a case, as DeepSeek's tokenizer writes them out, in hexadecimal.
  private static let lettersWithCase: String = {
    let ranges = """
      41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376 377 37B-37D 37F 386 388-38A 38C 38E-3A1
      3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77 1D79-1D9A
      1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4
      1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128
      212A-212D 212F-2134 2139 213C-213F 2145-2149 214E 2183 2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3 A640-A66D
      A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3
      104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943
      """
    return ranges.split(whereSeparator: \.isWhitespace)
      .map { range in range.split(separator: "-").map { "\\x{\($0)}" }.joined(separator: "-") }.joined()
  }()
}
