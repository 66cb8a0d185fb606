// Small grammars: globs, sparsity targets, and the words of the errors.

import Compression
import TestSupport
import Testing

@Suite struct GlobTests {
  @Test(arguments: [
    ("*", "", true), ("*", "model.layers.0.mlp.up_proj.weight", true), ("", "", true), ("", "a", false), ("a", "", false),
    ("a", "a", true), ("a", "A", false), ("a", "ab", false), ("?", "a", true), ("?", "", false), ("??", "a", false),
    ("a*", "a", true), ("*a", "ba", true), ("*a", "ab", false), ("a*b", "ab", true), ("a*b", "axxb", true),
    ("a*b*c", "abbc", true), ("a*b*c", "acb", false), ("*ab*ab*", "abab", true), ("*ab*ab*", "aba", false),
    ("model.layers.*.mlp.*", "model.layers.12.mlp.up_proj.weight", true),
    ("model.layers.*.mlp.*", "model.layers.12.self_attn.q_proj.weight", false),
    ("model.layers.?.mlp.*", "model.layers.12.mlp.up_proj.weight", false),
    ("model.layers.1.*", "model.layers.12.mlp.up_proj.weight", false), ("modelxlayers", "model.layers", false),
    ("model.layers", "modelxlayers", false), ("[a]", "a", false), ("[a]", "[a]", true), ("***", "x", true),
    ("*?", "", false), ("*?", "x", true), ("a\\*", "a*", false), ("ü*", "über", true), ("?", "ü", false), ("??", "ü", true),
  ])
  func table(pattern: String, name: String, matches: Bool) {
    #expect(Glob(pattern).matches(name) == matches)
  }

  /// Many stars against a long name that fails at its end: no exponential time.
  @Test(.timeLimit(.minutes(1)))
  func hostilePatternIsQuick() {
    let pattern = String(repeating: "*a", count: 200) + "*b"
    #expect(!Glob(pattern).matches(String(repeating: "a", count: 4000)))
  }

  /// Against the obvious recursion.
  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func randomPatterns(seed: UInt64) {
    func naive(_ p: ArraySlice<Character>, _ n: ArraySlice<Character>) -> Bool {
      guard let first = p.first else { return n.isEmpty }
      if first == "*" { return naive(p.dropFirst(), n) || (!n.isEmpty && naive(p, n.dropFirst())) }
      guard let next = n.first else { return false }
      return (first == "?" || first == next) && naive(p.dropFirst(), n.dropFirst())
    }
    var random = Seeded(seed)
    for _ in 0..<3000 {
      let pattern = (0..<random.int(in: 0...6)).map { _ in ["a", "b", "*", "?"][random.int(in: 0...3)] }.joined()
      let name = (0..<random.int(in: 0...6)).map { _ in ["a", "b"][random.int(in: 0...1)] }.joined()
      #expect(
        Glob(pattern).matches(name) == naive(Array(pattern)[...], Array(name)[...]), "\(pattern) \(name) \(random)")
    }
  }
}

@Suite struct SparsityTargetTests {
  @Test(arguments: [0, -0.0, 0.5, 1, 1e-9])
  func ratios(ratio: Double) throws {
    #expect(try SparsityTarget(ratio: ratio) == .ratio(ratio))
  }

  @Test(arguments: [-0.1, 1.0001, .nan, .infinity, -.infinity])
  func wrongRatios(ratio: Double) {
    let error = #expect(throws: CompressionError.self) { try SparsityTarget(ratio: ratio) }
    #expect(error == .sparsityInvalid(given: "\(ratio)"))
  }

  @Test(arguments: [("2:4", 2, 4), ("1:2", 1, 2), ("4:8", 4, 8), ("255:256", 255, 256), ("1:256", 1, 256)])
  func patterns(text: String, prune: Int, of: Int) throws {
    let target = try SparsityTarget(pattern: text)
    #expect(target == .pattern(prune: prune, of: of) && target.description == text)
  }

  @Test(arguments: [
    "", ":", "2", "2:", ":4", "4:4", "4:2", "0:4", "-1:4", "2:-4", "2:4:8", "2:257", "2.0:4", " 2:4", "2: 4", "a:b",
    "2/4", "99999999999999999999:4", "0x1:4", "２:４",
  ])
  func wrongPatterns(text: String) {
    let error = #expect(throws: CompressionError.self) { try SparsityTarget(pattern: text) }
    #expect(error == .patternInvalid(given: text))
  }
}

@Suite struct CompressionErrorTests {
  static let errors: [(CompressionError, [String])] = [
    (.modulesMatchNothing(globs: ["x*"], examples: ["a.b", "c.d"]), ["\"x*\"", "a.b, c.d", "*"]),
    (.tensorNotFound(name: "q", nearest: ["a.q", "b.q"]), ["\"q\"", "a.q or b.q", "model/describe"]),
    (.tensorNotPrunable(name: "model.norm.weight"), ["model.norm.weight", "norms"]),
    (.tensorNotScored(name: "q"), ["\"q\"", "importance/score"]),
    (.sparsityInvalid(given: "1.5"), ["1.5", "0...1"]),
    (.patternInvalid(given: "4:2"), ["\"4:2\"", "2:4"]),
    (.patternDoesNotDivide(pattern: "2:4", tensor: "q", columns: 42), ["2:4", "\"q\"", "42", "modules"]),
    (.groupNotSequential(group: "global"), ["\"global\"", "sequential"]),
    (.datasetRequired(plugin: "wanda"), ["\"wanda\"", "dataset/load"]),
    (.scoresOfAnotherModel(scores: "s1", model: "m"), ["s1", "\"m\""]),
    (.scoresNotComparable(reason: "because"), ["because"]),
    (.nonFiniteScores(plugin: "p", tensor: "q", index: 7), ["\"p\"", "\"q\"", "7", "Nothing was changed"]),
    (.nonFiniteLoss(window: 3), ["3", "not finite"]),
    (.windowInvalid(window: 600, sequenceLength: 512), ["600", "512"]),
    (.regionOutside(tensor: "q", region: "rows 0..<9", rows: 8, columns: 4), ["\"q\"", "rows 0..<9", "8", "4"]),
    (.regionTooLarge(values: 5000, maximum: 4096), ["5000", "4096", "heatmap"]),
    (.editInvalid(index: 2, reason: "because"), ["2", "because", "No edit"]),
    (.maskFileMismatch(path: "/m", reason: "because"), ["/m", "because", "No mask"]),
  ]

  @Test(arguments: errors)
  func messages(error: CompressionError, words: [String]) {
    for word in words { #expect(error.message.contains(word), "\(error.message)") }
  }

  @Test func kindsAreDistinctWords() {
    let kinds = Self.errors.map(\.0.kind)
    #expect(Set(kinds).count == kinds.count)
    for kind in kinds { #expect(kind.first?.isLowercase == true && kind.allSatisfy { $0.isASCII && $0.isLetter }) }
  }
}
