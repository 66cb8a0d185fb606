// Documents in windows: packing against what best-fit decreasing gives by hand, targets, digests, refusals.

import TestSupport
import Testing
import Workspace

/// A document of `count` tokens that begin with `first` and count up.
private func document(_ count: Int, from first: Int32 = 0, prompt: Int = 0) -> Document {
  Document(tokens: (0..<count).map { first + Int32($0) }, promptTokens: prompt)
}

/// The documents that each window should have, by their numbers, found the slow way.
private func slowBestFit(_ lengths: [Int], room: Int) -> [[Int]] {
  var windows: [(left: Int, touched: Int, members: [Int])] = []
  var clock = 0
  for length in Set(lengths).sorted(by: >) {
    for number in lengths.indices where lengths[number] == length {
      clock += 1
      let fitting = windows.indices.filter { windows[$0].left >= length }
      let best = fitting.min { a, b in
        (windows[a].left, -windows[a].touched) < (windows[b].left, -windows[b].touched)
      }
      if let best {
        windows[best].left -= length
        windows[best].touched = clock
        windows[best].members.append(number)
      } else {
        windows.append((room - length, clock, [number]))
      }
    }
  }
  return windows.map { $0.members.sorted() }.sorted { $0[0] < $1[0] }
}

@Suite struct PackingTests {
  @Test func bestFitByHand() {
    // Falling: 7 and 6 open windows; 4 fills the 6's up, 3 the 7's; 2 has no room but in a third.
    let documents = [3, 6, 2, 7, 4].enumerated().map { document($1, from: Int32(10 * $0)) }
    let packed = PackedDocuments(documents, sequenceLength: 10, packing: .bestFit)
    #expect(packed.windows == [[documents[0], documents[3]], [documents[1], documents[4]], [documents[2]]])
    #expect(PackedDocuments(documents, sequenceLength: 10, packing: .none).windows == documents.map { [$0] })
  }

  @Test(arguments: [(1, 300, 64), (2, 500, 65), (3, 500, 130), (4, 40, 10)] as [(UInt64, Int, Int)])
  func bestFitAsTheSlowWay(seed: UInt64, count: Int, room: Int) {
    var generator = SplitMix64(seed: seed)
    let lengths = (0..<count).map { _ in Int.random(in: 2...room, using: &generator) }
    let documents = lengths.enumerated().map { document($1, from: Int32(1000 * $0)) }
    let packed = PackedDocuments(documents, sequenceLength: room, packing: .bestFit)
    #expect(packed.windows == slowBestFit(lengths, room: room).map { $0.map { documents[$0] } })
    #expect(packed.windows.allSatisfy { $0.reduce(0) { $0 + $1.tokens.count } <= room })
    #expect(packed.windows.count < count * 3 / 4, "windows are shared")
    #expect(packed == PackedDocuments(documents, sequenceLength: room, packing: .bestFit))
  }

  @Test func longTextsAreCutAndLongCompletionsLeftOut() {
    let documents = [
      document(21, from: 100), document(1), document(11, prompt: 3), document(10, prompt: 9), document(0),
    ]
    let packed = PackedDocuments(documents, sequenceLength: 10, packing: .none)
    #expect(packed.cutDocuments == 1 && packed.tooLong == 1 && packed.tooShort == 3, "the cut one's last token too")
    #expect(packed.windows == [[document(10, from: 100)], [document(10, from: 110)], [documents[3]]])
  }
}

@Suite struct DocumentDatasetTests {
  static let documents = [document(4, from: 10, prompt: 2), document(3, from: 20), document(6, from: 30, prompt: 1)]
  static let examples = [
    Example(prompt: "a", promptTokens: [10, 11], answer: "4"), Example(prompt: "b", promptTokens: [30]),
  ]

  static func dataset(
    _ documents: [Document] = documents, length: Int = 8, packing: Packing = .bestFit, sequences: Int? = nil,
    examples: [Example] = examples
  ) throws -> Dataset {
    try Dataset(
      documents: PackedDocuments(documents, sequenceLength: length, packing: packing), sequences: sequences,
      examples: examples, vocabularySize: 67)
  }

  @Test func segmentsTokensAndTargets() throws {
    let dataset = try Self.dataset()
    #expect(dataset.sequences == 2 && dataset.sequenceLength == 8 && !dataset.isUniform)
    #expect(dataset.segments(ofSequence: 0) == [4, 3] && dataset.segments(ofSequence: 1) == [6])
    #expect(dataset.tokens(ofSequence: 0) == [10, 11, 12, 13, 20, 21, 22])
    #expect(dataset.targets(ofSequence: 0) == [-1, 12, 13, -1, 21, 22, -1])
    #expect(dataset.tokens(ofSequence: 1) == [30, 31, 32, 33, 34, 35])
    #expect(dataset.targets(ofSequence: 1) == [31, 32, 33, 34, 35, -1])
    #expect(dataset.validTokens == 2 + 2 + 5 && dataset.examples == Self.examples)
    #expect(dataset.tokens(ofSequences: 0..<2) == dataset.tokens && dataset.tokens(ofSequences: 1..<1) == [])
    #expect(throws: WorkspaceError.datasetNotUniform(sequences: 2, sequenceLength: 8)) { try dataset.requireUniform() }
  }

  @Test func aPromptAlonePredictsNothing() throws {
    let dataset = try Self.dataset([document(1, from: 5, prompt: 1), document(3, prompt: 3)], packing: .none)
    #expect(dataset.sequences == 2 && dataset.validTokens == 0)
    #expect(dataset.targets(ofSequence: 0) == [-1] && dataset.targets(ofSequence: 1) == [-1, -1, -1])
  }

  @Test func textsAreOneSegmentAWindow() throws {
    let text = try DatasetTests.dataset(length: 8)
    #expect(text.isUniform && text.examples.isEmpty && text.validTokens == 12 * 7)
    #expect(text.segments(ofSequence: 3) == [8])
    #expect(text.tokens(ofSequence: 3) == Array(DatasetTests.text[24..<32]))
    #expect(text.targets(ofSequence: 3) == Array(DatasetTests.text[25..<32]) + [-1])
    try text.requireUniform()
  }

  @Test func theDigestCoversEverything() throws {
    let changed: [Dataset] = try [
      Self.dataset(), Self.dataset(length: 9), Self.dataset(packing: .none), Self.dataset(sequences: 1),
      Self.dataset([document(4, from: 10, prompt: 1)] + Self.documents[1...]),
      Self.dataset([document(4, from: 11, prompt: 2)] + Self.documents[1...]),
      Self.dataset(examples: []), Self.dataset(examples: Self.examples.reversed()),
      Self.dataset(examples: [Example(prompt: "a", promptTokens: [10, 11], answer: "5"), Self.examples[1]]),
      Self.dataset(examples: [Example(prompt: "a", promptTokens: [10, 12], answer: "4"), Self.examples[1]]),
      Self.dataset(examples: [Example(prompt: "c", promptTokens: [10, 11], answer: "4"), Self.examples[1]]),
      Self.dataset(examples: [Example(prompt: "a", promptTokens: [10, 11], answer: nil), Self.examples[1]]),
    ]
    #expect(Set(changed.map(\.digest)).count == changed.count)
    #expect(try Self.dataset().digest == Self.dataset().digest)
    let whole = try Self.dataset([document(8)], packing: .none, examples: [])
    let text = try Dataset(
      text: whole.tokens, sequenceLength: 8, sequences: nil, sampling: .contiguous, vocabularySize: 67)
    #expect(whole.digest != text.digest)
  }

  @Test func refusals() throws {
    let error = #expect(throws: WorkspaceError.self) { try Self.dataset([document(1), document(12, prompt: 1)]) }
    #expect(error == .documentsNotUsable(tooLong: 1, tooShort: 1) && error?.kind == "datasetTooSmall")
    #expect(throws: WorkspaceError.sequencesNotAvailable(asked: 3, available: 2, sequenceLength: 8)) {
      try Self.dataset(sequences: 3)
    }
    #expect(throws: WorkspaceError.tokenOutOfRange(token: 67, position: 2, vocabularySize: 67)) {
      try Self.dataset([document(3, from: 65)])
    }
    #expect(throws: WorkspaceError.tokenOutOfRange(token: 70, position: 1, vocabularySize: 67)) {
      try Self.dataset(examples: [Example(prompt: "", promptTokens: [1, 70])])
    }
  }
}
