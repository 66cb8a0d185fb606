// Lines of JSON as documents: the form, the boundary between prompt and completion, end tokens, refusals by line.

import Checkpoints
import JSON
import Tensors
import TestSupport
import Testing
import Workspace

@testable import Compression

private func read(_ text: String) throws -> TextLines {
  try Array(text.utf8).withUnsafeBytes { try TextLines($0, source: "t") }
}

private func lineError(_ text: String) throws -> (line: Int, reason: String)? {
  let error = #expect(throws: DataError.self) { try read(text) }
  guard case .lineInvalid("t", let line, let reason)? = error else { return nil }
  return (line, reason)
}

@Suite struct TextLinesTests {
  @Test func forms() throws {
    let lines = try read(
      """
      {"text": "one"}
      \t\r
      {"prompt": "two", "completion": "three", "answer": "3", "id": 7, "meta": {"a": [1]}}\r

      {"prompt": "four", "promptTokens": [1, 2], "completionTokens": [], "finish": "maxTokens"}
      """)
    #expect(lines.tokenizerDigest == nil)
    var expected = [
      TextLine(content: .text("one")), TextLine(content: .prompt("two", completion: "three"), answer: "3"),
    ]
    expected.append(
      TextLine(
        content: .prompt("four", completion: nil), promptTokens: [1, 2], completionTokens: [], isFinished: false))
    #expect(lines.lines == expected)
  }

  @Test(arguments: [
    ("{\"text\": \"a\"}\n{\"text\": 5}", 2, "text is 5; expected a string."),
    ("\n\n{\"prompt\": \"a\", \"text\": \"b\"}", 3, "either `text` or `prompt`, not both"),
    ("{\"text\": \"a\", \"completion\": \"b\"}", 1, "a `prompt` before it"),
    ("{}", 1, "`text`, or `prompt`"), ("{\"text\": \"a\"}\n[1]", 2, "expected an object"),
    ("{\"text\": \"a\"}\n{\"text\": \"a\"", 2, "byte"), ("{\"text\": \"a\"} {}", 1, "after the end"),
    ("{\"prompt\": \"a\", \"promptTokens\": [1, -1]}", 1, "promptTokens[1] is -1"),
    ("{\"prompt\": \"a\", \"finish\": \"no\"}", 1, "finish"),
    ("{\"text\": \"\\ud800\"}", 1, "surrogate"),
  ])
  func refusalsNameTheLine(text: String, line: Int, reason: String) throws {
    let error = try #require(try lineError(text))
    #expect(error.line == line && error.reason.contains(reason), "\(error.reason)")
  }

  @Test(arguments: [
    "", "\n \n",
    "{\"espalier\":\"generated\",\"version\":1,\"model\":\"m\",\"tokenizer\":\"t\",\"maxTokens\":1,\"temperature\":0.0,\"seed\":\"0\"}\n",
  ])
  func nothingIsRefused(text: String) throws {
    #expect(throws: DataError.noLines(source: "t")) { try read(text) }
  }

  /// Whatever becomes of a file, it is read or refused.
  @Test func damagedFilesAreReadOrRefused() throws {
    let whole = Array(
      """
      {"espalier": "generated", "version": 1, "model": "m", "tokenizer": "t", "maxTokens": 4, "temperature": 1.0, "seed": "0"}
      {"prompt": "two é", "completion": "three", "answer": "3", "promptTokens": [1, 2], "completionTokens": [3]}
      {"text": "one", "finish": "maxTokens"}
      """.utf8)
    var random = Seeded(9), refused = 0
    for _ in 0..<3000 {
      var bytes = whole
      for _ in 0..<random.int(in: 1...3) {
        let place = random.int(in: 0...(bytes.count - 1))
        switch random.int(in: 0...3) {
        case 0: bytes[place] = UInt8(random.int(in: 0...255))
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(bytes[random.int(in: 0...(bytes.count - 1))], at: place)
        default: bytes.removeSubrange(place..<min(bytes.count, place + 20))
        }
      }
      do {
        let lines = try bytes.withUnsafeBytes { try TextLines($0, source: "t") }
        _ = try lines.documents(byteTokenizer())
      } catch is DataError {
        refused += 1
      }
    }
    #expect((500..<3000).contains(refused))
  }

  @Test func whatIsNotUTF8IsRefused() throws {
    let bytes = Array("{\"text\": \"".utf8) + [0xFF] + Array("\"}".utf8)
    #expect(throws: DataError.self) { try bytes.withUnsafeBytes { try TextLines($0, source: "t") } }
  }
}

@Suite struct DocumentTokensTests {
  private static func documents(
    _ text: String, _ tokenizer: Tokenizer, endOfText: Bool = true, addSpecialTokens: Bool = false
  ) throws -> (documents: [Document], examples: [Example]) {
    try read(text).documents(
      tokenizer, options: DocumentOptions(endOfText: endOfText, addSpecialTokens: addSpecialTokens))
  }

  /// The whole would have a token over the boundary; the parts have none, and decode to the whole.
  @Test func theBoundaryIsExact() throws {
    let tokenizer = try byteTokenizer()
    let (documents, examples) = try Self.documents(
      "{\"prompt\": \"xa\", \"completion\": \"b h\", \"answer\": \"h\"}", tokenizer)
    #expect(try tokenizer.encode("xab h") == [0x78, 256, 0x20, 0x68])
    #expect(documents == [Document(tokens: [0x78, 0x61, 0x62, 0x20, 0x68, 260], promptTokens: 2)])
    #expect(try tokenizer.decode(documents[0].tokens, skipSpecialTokens: true) == "xab h")
    #expect(examples == [Example(prompt: "xa", promptTokens: try tokenizer.encode("xa"), answer: "h")])
  }

  @Test func nothingIsPutBetweenTheParts() throws {
    let tokenizer = try spaceTokenizer()
    let (documents, _) = try Self.documents(
      "{\"prompt\": \"a\", \"completion\": \"b c\"}\n{\"prompt\": \"a\", \"completion\": \" ab\"}", tokenizer)
    #expect(documents[0] == Document(tokens: [6, 4, 2, 5, 1], promptTokens: 1))
    #expect(documents[1] == Document(tokens: [6, 8, 1], promptTokens: 1))
    #expect(try tokenizer.decode(Array(documents[0].tokens.dropLast())) == "ab c")
    #expect(try tokenizer.decode(Array(documents[1].tokens.dropLast())) == "a ab")
  }

  @Test func endTokens() throws {
    let tokenizer = try byteTokenizer(), line = "{\"prompt\": \"x\", \"completion\": \"y\"}"
    #expect(try Self.documents(line, tokenizer).documents[0].tokens == [0x78, 0x79, 260])
    #expect(try Self.documents(line, tokenizer, endOfText: false).documents[0].tokens == [0x78, 0x79])
    #expect(
      try Self.documents("{\"prompt\": \"x\", \"completion\": \"y</s>\"}", tokenizer).documents[0].tokens
        == [0x78, 0x79, 260], "not twice")
    #expect(
      try Self.documents("{\"prompt\": \"x\", \"completion\": \"y\", \"finish\": \"maxTokens\"}", tokenizer)
        .documents[0].tokens == [0x78, 0x79])
    #expect(try Self.documents("{\"text\": \"y\"}", tokenizer).documents == [Document(tokens: [0x79])])
    #expect(
      try Self.documents("{\"prompt\": \"x\"}", tokenizer).documents == [Document(tokens: [0x78], promptTokens: 1)])
    let none = try byteTokenizer(begin: nil, ends: [])
    #expect(throws: DataError.endTokenMissing) { try Self.documents(line, none) }
    #expect(try Self.documents(line, none, endOfText: false).documents[0].tokens == [0x78, 0x79])
    #expect(throws: DataError.beginTokenMissing) { try Self.documents("{\"prompt\": \"\"}", none) }
  }

  @Test func beginTokens() throws {
    let tokenizer = try byteTokenizer {
      $0["post_processor"] = [
        "type": "TemplateProcessing",
        "single": [["SpecialToken": ["id": "<s>", "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]]],
        "pair": [["Sequence": ["id": "A", "type_id": 0]], ["Sequence": ["id": "B", "type_id": 1]]],
        "special_tokens": ["<s>": ["id": "<s>", "ids": [259], "tokens": ["<s>"]]],
      ]
    }
    let text =
      "{\"prompt\": \"x\", \"completion\": \"y\"}\n{\"prompt\": \"\", \"completion\": \"z\"}\n{\"text\": \"w\"}"
    let with = try Self.documents(text, tokenizer, addSpecialTokens: true)
    #expect(with.documents.map(\.tokens) == [[259, 0x78, 0x79, 260], [259, 0x7A, 260], [259, 0x77]])
    #expect(with.documents.map(\.promptTokens) == [2, 1, 0])
    let without = try Self.documents(text, tokenizer)
    #expect(without.documents.map(\.tokens) == [[0x78, 0x79, 260], [259, 0x7A, 260], [0x77]])
  }

  /// Tokens that come with a line are used if they are of this tokenizer, else the texts.
  @Test func tokensOfTheSameTokenizerAreUsed() throws {
    let tokenizer = try byteTokenizer(), other = try byteTokenizer(merges: [("a", "b")])
    func text(_ digest: String) -> String {
      let head = "\"version\": 1, \"model\": \"m\", \"maxTokens\": 4, \"temperature\": 1.0, \"seed\": \"0\""
      let line = "\"prompt\": \"x\", \"completion\": \"y\", \"promptTokens\": [1, 2], \"completionTokens\": [3]"
      return
        "{\"espalier\": \"generated\", \"tokenizer\": \"\(digest)\", \(head)}\n{\(line), \"finish\": \"maxTokens\"}"
    }
    let (documents, examples) = try Self.documents(text(tokenizerDigest(tokenizer)), tokenizer)
    #expect(documents == [Document(tokens: [1, 2, 3], promptTokens: 2)] && examples[0].promptTokens == [1, 2])
    let (foreign, _) = try Self.documents(text(tokenizerDigest(other)), tokenizer)
    #expect(foreign == [Document(tokens: [0x78, 0x79], promptTokens: 1)])
  }
}

@Suite struct VocabularyGuardTests {
  private static func shared(
    _ teacher: Tokenizer, _ student: Tokenizer, _ teacherSize: Int = 1000, _ studentSize: Int = 1000
  ) -> SharedVocabulary {
    sharedVocabulary(teacher: teacher, teacherSize: teacherSize, student: student, studentSize: studentSize)
  }

  private static func reason(_ result: SharedVocabulary) -> String {
    if case .different(let reason) = result { reason } else { "" }
  }

  @Test func paddingDoesNotMatter() throws {
    let a = try byteTokenizer(), b = try byteTokenizer()
    #expect(Self.shared(a, b, 304, 272) == .same(size: 261))
    #expect(Self.shared(a, b, 260, 272) == .same(size: 260), "a model with fewer logits than its tokenizer has ids")
    #expect(Self.shared(a, b, 272, 250) == .same(size: 250))
  }

  /// One side knows more special tokens, behind all others.
  @Test func moreSpecialTokensBehind() throws {
    let a = try byteTokenizer(), b = try byteTokenizer(special: ["<s>", "</s>", "<think>"])
    #expect(Self.shared(a, b) == .same(size: 261) && Self.shared(b, a) == .same(size: 261))
  }

  @Test func reservedTokensMayBeRenamed() throws {
    let a = try byteTokenizer(special: ["<s>", "</s>", "<reserved>"])
    let b = try byteTokenizer(special: ["<s>", "</s>", "<tool>"])
    #expect(Self.shared(a, b) == .same(size: 262))
    let c = try byteTokenizer(special: ["<s>", "</s>", "<tool>"], ends: ["<tool>"])
    #expect(
      Self.reason(Self.shared(a, c)) == "the token 261 is \"<reserved>\" for the teacher and \"<tool>\" for the student"
    )
    let d = try byteTokenizer(special: ["</s>", "<s>"])
    #expect(Self.reason(Self.shared(a, d)).hasPrefix("the token 259 is \"<s>\""))
  }

  /// Vocabularies of one size, the same tokens, other merges: only encoding shows it.
  @Test func otherMerges() throws {
    let a = try byteTokenizer(merges: [("h", "e"), ("t", "h")])
    let b = try byteTokenizer(merges: [("t", "h"), ("h", "e")]) {
      $0["model"]?["vocab"]?["he"] = 256
      $0["model"]?["vocab"]?["th"] = 257
    }
    #expect(a.vocabularySize == b.vocabularySize && (0..<260).allSatisfy { a.token($0) == b.token($0) })
    let reason = Self.reason(Self.shared(a, b))
    #expect(reason.hasPrefix("the text \"The quick brown fox") && reason.contains("for the teacher and ["), "\(reason)")
    #expect(tokenizerDigest(a) != tokenizerDigest(b))
  }

  /// A token that no piece of the probe has.
  @Test func otherTokens() throws {
    let a = try byteTokenizer(merges: [("Q", "X")]), b = try byteTokenizer(merges: [("Q", "Z")])
    #expect(Self.reason(Self.shared(a, b)) == "the token 256 is \"QX\" for the teacher and \"QZ\" for the student")
  }

  @Test func otherKinds() throws {
    let reason = try Self.reason(Self.shared(byteTokenizer(), spaceTokenizer()))
    #expect(reason.hasPrefix("the text"))
    #expect(reason.contains("... ]") == false && reason.contains(", ...]"), "long ones are shortened")
  }

  @Test func digestsNameTokenizers() throws {
    let merges = [("e", "Ġ")], same = try byteTokenizer(merges: merges)
    #expect(try tokenizerDigest(byteTokenizer(merges: merges)) == tokenizerDigest(same))
    let others = try [
      byteTokenizer(merges: []), byteTokenizer(merges: merges, special: ["<s>"], ends: []),
      byteTokenizer(merges: merges, special: ["<s>", "</s>", "<x>"]),
      byteTokenizer(merges: merges) { $0["pre_tokenizer"]?["use_regex"] = false }, spaceTokenizer(),
    ]
    #expect(Set((others + [same]).map(tokenizerDigest)).count == 6)
  }
}
