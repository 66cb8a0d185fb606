// Sequences out of tokens, their digest, and SHA-256 itself.

import TestSupport
import Testing
import Workspace

@Suite struct DatasetTests {
  static let text = (0..<100).map { Int32($0 * 7 % 67) }

  static func dataset(
    _ text: [Int32] = text, length: Int = 8, sequences: Int? = nil, _ sampling: Sampling = .contiguous
  ) throws -> Dataset {
    try Dataset(text: text, sequenceLength: length, sequences: sequences, sampling: sampling, vocabularySize: 67)
  }

  @Test(arguments: [(2, nil, 50), (8, nil, 12), (8, 3, 3), (8, 12, 12), (100, nil, 1), (7, 14, 14)] as [(Int, Int?, Int)])
  func contiguousFromTheStart(length: Int, sequences: Int?, expected: Int) throws {
    let dataset = try Self.dataset(length: length, sequences: sequences)
    #expect(dataset.sequences == expected && dataset.sequenceLength == length)
    #expect(dataset.tokens == Array(Self.text[..<(expected * length)]))
    #expect(dataset.tokens(ofSequences: expected - 1..<expected) == Array(Self.text[((expected - 1) * length)..<(expected * length)]))
  }

  @Test func randomSequencesAreCutFromTheText() throws {
    let dataset = try Self.dataset(sequences: 40, .random(seed: 5))
    #expect(dataset.sequences == 40 && dataset.tokens.count == 320)
    for sequence in 0..<40 {
      let tokens = dataset.tokens(ofSequences: sequence..<sequence + 1)
      #expect((0...92).contains { Array(Self.text[$0..<$0 + 8]) == tokens })
    }
    #expect(try Self.dataset(Self.text, .random(seed: 5)).sequences == 12, "as many as would fit, if not told")
  }

  @Test func seedDecidesEverything() throws {
    let a = try Self.dataset(sequences: 9, .random(seed: 1)), b = try Self.dataset(sequences: 9, .random(seed: 1))
    let c = try Self.dataset(sequences: 9, .random(seed: 2))
    #expect(a.tokens == b.tokens && a.digest == b.digest)
    #expect(a.tokens != c.tokens && a.digest != c.digest)
  }

  /// First and last start are drawn too.
  @Test func everyStartIsPossible() throws {
    let dataset = try Self.dataset(Array(0..<10), sequences: 200, .random(seed: 3))
    let starts = Set((0..<200).map { dataset.tokens[$0 * 8] })
    #expect(starts == [0, 1, 2])
  }

  @Test func digestNamesLengthAndTokens() throws {
    let digests = try [
      Self.dataset(length: 8), Self.dataset(length: 4), Self.dataset(length: 8, sequences: 11),
      Self.dataset([1] + Self.text.dropFirst(), length: 8),
    ].map(\.digest)
    #expect(Set(digests).count == 4)
    #expect(try Self.dataset(Self.text + [5], length: 8).digest == digests[0], "a tail that fills nothing counts nothing")
    // sha256 of the little-endian 32-bit integers 2, 1, 2: the length, then the tokens.
    let known = "sha256:604365608460d7f086b77cf13dcfdc9e29925af592a9fdf1c0cd351576e53d02"
    #expect(try Self.dataset([1, 2], length: 2).digest == known)
  }

  @Test(arguments: [
    (100, 101, nil, "datasetTooSmall"), (0, 8, nil, "datasetTooSmall"), (100, 1, nil, "sequenceLengthInvalid"),
    (100, 0, nil, "sequenceLengthInvalid"), (100, -8, nil, "sequenceLengthInvalid"), (100, 8, 13, "datasetTooSmall"),
    (100, 8, Int.max, "datasetTooSmall"), (7, 8, 1, "datasetTooSmall"),
  ] as [(Int, Int, Int?, String)])
  func refuses(tokens: Int, length: Int, sequences: Int?, kind: String) {
    for sampling in [Sampling.contiguous, .random(seed: 1)] where sequences == nil || sampling == .contiguous {
      let error = #expect(throws: WorkspaceError.self) {
        try Self.dataset(Array(Self.text[..<tokens]), length: length, sequences: sequences, sampling)
      }
      #expect(error?.kind == kind)
    }
  }

  /// A few words of a request must not fill the machine's memory.
  @Test(arguments: [Int.max, Dataset.maximumTokens / 8 + 1])
  func refusesMoreRandomTokensThanMemoryHolds(sequences: Int) {
    let error = #expect(throws: WorkspaceError.self) { try Self.dataset(sequences: sequences, .random(seed: 1)) }
    #expect(
      error == .datasetTooLarge(sequences: sequences, sequenceLength: 8, maximumTokens: Dataset.maximumTokens))
  }

  @Test(arguments: [(0, 67), (99, -1), (50, Int32.max), (98, .min)] as [(Int, Int32)])
  func refusesTokensOutsideTheVocabulary(position: Int, token: Int32) {
    var text = Self.text
    text[position] = token
    let error = #expect(throws: WorkspaceError.self) { try Self.dataset(text) }
    #expect(error == .tokenOutOfRange(token: Int(token), position: position, vocabularySize: 67))
  }
}

@Suite struct DigestTests {
  /// FIPS 180-4's examples and lengths around the block of 64 bytes.
  @Test(arguments: [
    ("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    ("a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ("a", 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
    ("a", 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
    ("a", 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
  ])
  func knownVectors(text: String, times: Int, expected: String) {
    let bytes = Array(String(repeating: text, count: times).utf8)
    #expect(bytes.withUnsafeBytes(sha256) == "sha256:" + expected)
  }

  @Test func generatorIsSplitMix() {
    var generator = SplitMix64(seed: 1_234_567)
    #expect(
      (0..<3).map { _ in generator.next() } == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
  }
}
