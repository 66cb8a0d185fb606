// The fuzzers' corpus in the normal tests: every file of Tests/Fuzz/Corpus, cut at every length and with bytes flipped
// by a seeded generator, through the readers. An error or a success is right; a trap ends the test program.

import Foundation
import OrderedCollections
import Tensors
import Testing

@testable import Checkpoints

/// Files of the fuzzers' corpus and their damaged copies.
enum FuzzCorpus {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fuzz/Corpus").path

  /// The files of a reader by their names.
  static func files(of reader: String) throws -> [(name: String, content: [UInt8])] {
    try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(reader)").sorted().map { name in
      (name, Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(reader)/\(name)"))))
    }
  }

  /// Calls `body` with `content`, its beginnings (all of a small file, 100 of a larger one), and `flips` copies in
  /// which one to four bytes are others: the same ones every time.
  static func forEachMutation(of content: [UInt8], flips: Int, _ body: ([UInt8]) -> Void) -> Int {
    body(content)
    var calls = 1
    for length in stride(from: 0, to: content.count, by: content.count <= 400 ? 1 : content.count / 100) {
      body(Array(content[..<length]))
      calls += 1
    }
    guard !content.isEmpty else { return calls }
    var state = UInt64(content.count)
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407  // Knuth's linear generator
      return Int((state >> 33) % UInt64(bound))
    }
    for _ in 0..<flips {
      var copy = content
      for _ in 0...next(4) { copy[next(copy.count)] = [0, 1, 0x7F, 0x80, 0xFF, UInt8(next(256))][next(6)] }
      body(copy)
      calls += 1
    }
    return calls
  }
}

@Suite struct FuzzCorpusTests {
  @Test(arguments: checkpointReaders.map(\.name))
  func nothingTraps(_ name: String) throws {
    let reader = try #require(checkpointReaders.first { $0.name == name })
    let files = try FuzzCorpus.files(of: name)
    #expect(files.count >= 6)
    var calls = 0
    for file in files {
      calls += FuzzCorpus.forEachMutation(of: file.content, flips: 60) { reader.read(MemoryStorage($0)) }
    }
    #expect(calls > 100 * files.count)
  }

  /// The seeds are worth damaging: the readers get far into them.
  @Test func seedsAreValid() throws {
    for file in try FuzzCorpus.files(of: "gguf") where file.name.hasPrefix("seed-") {
      let gguf = try GGUFFile(storage: MemoryStorage(file.content), path: file.name)
      guard gguf.metadata["general.architecture"] != nil else { continue }
      _ = try Checkpoint.translatedTensors(of: gguf, gguf.configuration())
    }
    for name in ["seed-types", "seed-metadata", "seed-scalar", "seed-empty"] {
      let content = try #require(FuzzCorpus.files(of: "safetensors").first { $0.name == name }).content
      _ = try SafetensorsFile(storage: MemoryStorage(content), path: name)
    }
  }

  /// A reader that cannot fail is found out: damaged copies differ from the file, and all lengths are there.
  @Test func mutationsAreMutations() {
    var seen: Set<[UInt8]> = []
    let content = [UInt8](1...40)
    let calls = FuzzCorpus.forEachMutation(of: content, flips: 50) { seen.insert($0) }
    #expect(calls == 91 && seen.count > 80)
    #expect((0...40).allSatisfy { seen.contains(Array(content[..<$0])) })
    #expect(seen.count { $0.count == 40 && $0 != content } > 40)
  }
}
