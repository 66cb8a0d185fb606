// The bundled rewards: what they give for a completion, to the number, and what they refuse.

import Compression
import PluginHost
import Tensors
import Testing

@Suite struct RewardPluginTests {
  static func judge(
    _ id: String, _ completion: String, answer: String? = nil, tokens: Int = 5, teacher: Double? = nil,
    _ changes: [String: ParameterValue] = [:]
  ) throws -> Double {
    let reward = try BundledPluginTests.registry().reward(id: id)
    let parameters = reward.description.method.parameters
    #expect(Set(changes.keys).isSubset(of: parameters.map(\.name)))
    return try reward.judge(
      SampledText(
        prompt: "p", completion: completion, answer: answer, tokens: tokens, hasEnded: true,
        teacherLogLikelihood: teacher),
      parameters: parameters.map { changes[$0.name] ?? $0.defaultValue }, monitor: Monitor(),
      diagnostics: Diagnostics())
  }

  /// The words of a refusal; nil if there was none.
  static func refusal(_ body: () throws -> Double) -> String? {
    do {
      _ = try body()
      return nil
    } catch PluginError.failed(_, _, _, let message) {
      return message
    } catch {
      return "another error: \(error)"
    }
  }

  @Test func theyDescribeThemselves() throws {
    let registry = try BundledPluginTests.registry()
    for id in ["exact-match", "numeric-answer", "format-regex", "teacher-likelihood", "length"] {
      let description = try registry.reward(id: id).description
      #expect(description.method.id == id)
      #expect(description.needsAnswer == ["exact-match", "numeric-answer"].contains(id))
      #expect(description.needsTeacher == (id == "teacher-likelihood"))
    }
  }

  // MARK: exact-match

  static let exact: [(String, String, Double, [String: ParameterValue])] = [
    ("19", "19", 1, [:]), (" 19\n", "19", 1, [:]), ("19", "\t19 ", 1, [:]), ("19.", "19", 0, [:]), ("", "", 1, [:]),
    ("", "19", 0, [:]), ("  ", "", 1, [:]), ("Yes", "yes", 0, [:]), ("Yes", "yEs", 1, ["caseSensitive": .boolean(false)]),
    (" 19", "19", 0, ["trim": .boolean(false)]), (" 19", " 19", 1, ["trim": .boolean(false)]),
    ("ÄB", "äb", 0, ["caseSensitive": .boolean(false)]), ("Äb", "ÄB", 1, ["caseSensitive": .boolean(false)]),
    ("1 9", "19", 0, [:]), ("[", "{", 0, ["caseSensitive": .boolean(false)]),
    ("@", "`", 0, ["caseSensitive": .boolean(false)]),
  ]

  @Test(arguments: exact)
  func exactMatch(completion: String, answer: String, expected: Double, changes: [String: ParameterValue]) throws {
    #expect(try Self.judge("exact-match", completion, answer: answer, changes) == expected)
  }

  @Test func longTextsMatchExactly() throws {
    let text = String(repeating: "all work and no play ", count: 200_000)
    #expect(try Self.judge("exact-match", text + "!", answer: text + "!") == 1)
    #expect(try Self.judge("exact-match", text + "!", answer: text + "?") == 0)
  }

  // MARK: numeric-answer

  static let numbers: [(String, String, Double)] = [
    ("19", "19", 1), ("12+7=19", "19", 1), ("12 + 7 = 19.", "12+7=19", 1), ("it is 18", "19", 0), ("", "19", 0),
    ("none.", "19", 0), ("-", "-3", 0), ("= -3", "-3", 1), ("=-3", "-3", 1), ("it is -3", "-3", 1), ("5-3", "3", 1),
    ("5 - 3", "3", 1), ("5 -3", "-3", 0), ("(-3)", "-3", 1), ("\u{2212}4.5", "-4.5", 1), ("+8", "8", 1),
    ("$1,234,567.50", "1234567.5", 1), ("1,2", "2", 1), ("1,2", "12", 0), ("12,3456", "3456", 1), ("72.00", "72", 1),
    (".5", "0.5", 1), ("007", "7", 1), ("1.2.3", "3", 1), ("1.5e3", "1500", 1), ("2E-2", "0.02", 1), ("3e", "3", 1),
    ("50%", "50", 1), ("0.1", "0.1", 1), ("1e400", "1", 0), ("1/2", "2", 1), ("a1b2", "2", 1),
    ("12 then #### 72 apples of 5", "72", 1), ("#### 1\n#### 2", "2", 1), ("72 ####", "72", 0), ("#### -1,000", "-1000", 1),
    ("72", "3 * 24 = <<3*24=72>>72\n#### 72", 1), ("72", "####72 9", 1), ("19", "the answer is 19.", 1),
  ]

  @Test(arguments: numbers)
  func numericAnswer(completion: String, answer: String, expected: Double) throws {
    #expect(try Self.judge("numeric-answer", completion, answer: answer) == expected)
  }

  @Test func numbersNearlyRight() throws {
    func judge(_ completion: String, _ changes: [String: ParameterValue]) throws -> Double {
      try Self.judge("numeric-answer", completion, answer: "19", changes)
    }
    #expect(try judge("18.5", ["tolerance": .number(0.5)]) == 1)
    #expect(try judge("18.4", ["tolerance": .number(0.5)]) == 0)
    #expect(try judge("18", ["partialReward": .number(0.1)]) == 0.1)
    #expect(try judge("1e999", ["partialReward": .number(0.1)]) == 0.1)
    #expect(try judge("eighteen", ["partialReward": .number(0.1)]) == 0)
    #expect(try judge("19 or 18", ["position": .choice(index: 1, word: "first")]) == 1)
    #expect(try judge("19 or 18", [:]) == 0)
    #expect(try judge("7 #### 19", ["position": .choice(index: 1, word: "first")]) == 1)
  }

  @Test func answersWithoutNumbers() {
    for answer in ["", "many", "1e999", "72 ####"] {
      let words = Self.refusal { try Self.judge("numeric-answer", "19", answer: answer) }
      #expect(words == "the answer \"\(answer)\" holds no number that can be compared with")
    }
  }

  @Test func hugeTextsHoldTheirNumbers() throws {
    let digits = String(repeating: "9", count: 3_000_000), signs = String(repeating: "- ", count: 1_000_000)
    #expect(try Self.judge("numeric-answer", digits, answer: "9") == 0)
    #expect(try Self.judge("numeric-answer", digits + " 9", answer: "9") == 1)
    #expect(try Self.judge("numeric-answer", signs + "-9", answer: "-9") == 1)
    #expect(try Self.judge("numeric-answer", String(repeating: "#", count: 1_000_000) + "9", answer: "9") == 1)
    let long = String(repeating: "3", count: 300)
    #expect(try Self.judge("numeric-answer", long, answer: long) == 1)
    #expect(try Self.judge("numeric-answer", long, answer: long + "3") == 0)
    #expect(try Self.judge("numeric-answer", "0." + digits, answer: "1") == 1, "the nearest double")
  }

  // MARK: format-regex

  static func matches(_ pattern: String, _ completion: String, part: Bool = false) throws -> Double {
    try judge(
      "format-regex", completion,
      ["pattern": .text(pattern), "match": .choice(index: part ? 1 : 0, word: part ? "part" : "whole")])
  }

  static let patterns: [(String, String, whole: Double, part: Double)] = [
    ("[0-9]+", "19", 1, 1), ("[0-9]+", "19 ", 0, 1), ("[0-9]+", "none", 0, 0), ("[0-9]*", "", 1, 1), ("", "", 1, 1),
    ("", "x", 0, 1), ("a|ab", "ab", 1, 1), ("^b", "ab", 0, 0), (".", "ä", 1, 1), ("\\w{3}", "äöü", 1, 1),
    ("a.b", "a\nb", 0, 0), ("(?s)a.b", "a\nb", 1, 1), ("(?i)YES", "yes", 1, 1), ("a$", "a\n", 0, 1),
    ("(a)(b)?\\1", "aa", 1, 1), ("\u{1F600}+", "\u{1F600}\u{1F600}", 1, 1),
  ]

  @Test(arguments: patterns)
  func formatRegex(pattern: String, completion: String, whole: Double, part: Double) throws {
    #expect(try Self.matches(pattern, completion) == whole)
    #expect(try Self.matches(pattern, completion, part: true) == part)
  }

  @Test func theDefaultIsThoughtThenAnswer() throws {
    #expect(try Self.judge("format-regex", "<think>a\nb</think>\n<answer>19</answer>\n") == 1)
    #expect(try Self.judge("format-regex", "<answer>19</answer>") == 0)
    #expect(try Self.judge("format-regex", "") == 0)
  }

  static let faults: [(String, String)] = [
    ("a(b", "at offset 3: missing closing parenthesis"), ("a[b", "at offset 3: missing terminating ] for character class"),
    ("*a", "at offset 0: quantifier does not follow a repeatable item"), ("a\\C", "at offset"), ("(?<n", "at offset"),
    ("((a{1,60000}){1,60000}){1,60000}", "at offset"), ("(?R)a(", "at offset"),
  ]

  @Test(arguments: faults)
  func patternsThatAreNone(pattern: String, words: String) {
    let refusal = Self.refusal { try Self.matches(pattern, "a") }
    #expect(refusal?.hasPrefix("the pattern is no regular expression, \(words)") == true, "\(refusal ?? "none")")
  }

  /// Nothing hangs: each of these would take longer than the universe has.
  @Test(arguments: ["(a+)+$", "(a*)*[bc]", "(?:a|aa)+$", "(a|a)*[bc]", "^(([a-z])+.)+[A-Z]([a-z])+$"])
  func catastrophesEndInErrors(pattern: String) {
    let refusal = Self.refusal { try Self.matches(pattern, String(repeating: "a", count: 5000) + "!", part: true) }
    #expect(refusal?.hasPrefix("the pattern takes too much work on a completion of 5001 bytes (") == true, "\(refusal ?? "none")")
  }

  /// Endless recursion, and depth: an error or an answer, never the end of the process.
  @Test(arguments: ["(?R)?a", "((?1)|a)", "(?:(?:(?:a?)*)*)*b", "(a?){30}b(?1){30}"])
  func deepPatterns(pattern: String) {
    for count in [10, 200_000] {
      _ = Self.refusal { try Self.matches(pattern, String(repeating: "a", count: count)) }
    }
  }

  @Test func hugeTextsMatch() throws {
    let text = String(repeating: "all work and no play ", count: 200_000)
    #expect(try Self.matches("dull", text, part: true) == 0)
    #expect(try Self.matches("(?s).*play ", text) == 1)
  }

  // MARK: teacher-likelihood

  @Test func teacherLikelihood() throws {
    #expect(try Self.judge("teacher-likelihood", "x", tokens: 4, teacher: -10) == -2.5)
    let sum = ["per": ParameterValue.choice(index: 1, word: "sequence")]
    #expect(try Self.judge("teacher-likelihood", "", tokens: 4, teacher: -10, sum) == -10)
    #expect(try Self.judge("teacher-likelihood", "", tokens: 1, teacher: 0) == 0)
    #expect(throws: PluginError.self) { try Self.judge("teacher-likelihood", "x", teacher: nil) }
    #expect(throws: PluginError.self) { try Self.judge("teacher-likelihood", "x", teacher: -.infinity) }
  }

  // MARK: length

  static let lengths: [(Int, Double)] = [(1, 0), (12, 0), (13, -0.125), (16, -0.5), (20, -1), (21, -1), (100_000, -1)]

  @Test(arguments: lengths)
  func softOverlong(tokens: Int, expected: Double) throws {
    let changes = ["maximum": ParameterValue.integer(20), "cache": .integer(8)]
    #expect(try Self.judge("length", "x", tokens: tokens, changes) == expected)
  }

  @Test func lengthsOfOtherForms() throws {
    let step = ["maximum": ParameterValue.integer(20), "cache": .integer(0)]
    #expect(try Self.judge("length", "x", tokens: 20, step) == 0)
    #expect(try Self.judge("length", "x", tokens: 21, step) == -1)
    let target: [String: ParameterValue] = [
      "form": .choice(index: 0, word: "target"), "target": .integer(10), "scale": .integer(4),
    ]
    for (tokens, expected) in [(10, 0.0), (9, -0.25), (12, -0.5), (14, -1), (40, -1), (1, -1)] {
      #expect(try Self.judge("length", "x", tokens: tokens, target) == expected)
    }
    let words = Self.refusal {
      try Self.judge("length", "x", ["maximum": .integer(20), "cache": .integer(21)])
    }
    #expect(words == "a cache of 21 tokens is more than the maximum of 20")
  }
}
