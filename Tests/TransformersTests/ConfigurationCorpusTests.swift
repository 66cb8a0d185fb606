// The fuzzers' corpus of config.json in the normal tests, cut at every length and with other bytes: never a trap.

import Foundation
import JSON
import OrderedCollections
import TestSupport
import Tensors
import Testing
import Transformers

@Suite struct ConfigurationCorpusTests {
  private static func files() throws -> [(name: String, content: [UInt8])] {
    let folder = Repository.root + "/Tests/Fuzz/Corpus/configuration"
    return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map { name in
      (name, Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))))
    }
  }

  @Test func nothingTraps() throws {
    let files = try Self.files()
    #expect(files.count >= 9)
    // What digits, quotes and braces become makes other numbers, other names and other nesting.
    let replacements = Array("9-e.\"}]x,".utf8) + [0, 0x80]
    for (name, content) in files {
      for length in 0..<content.count { readConfiguration(GuardedBytes(content[..<length])) }
      var random = Seeded(UInt64(content.count))
      for _ in 0..<400 {
        var copy = content
        for _ in 0...random.int(in: 0...2) {
          copy[random.int(in: 0...copy.count - 1)] = replacements[random.int(in: 0...replacements.count - 1)]
        }
        readConfiguration(GuardedBytes(copy))
      }
      #expect(!content.isEmpty, "\(name)")
    }
  }

  @Test func theLlamaSeedIsAModel() throws {
    let seed = try #require(Self.files().first { $0.name == "seed-llama.json" })
    let configuration = try #require(JSON.parse(seed.content).object)
    #expect(try makeTransformer(configuration: configuration).expectedTensors.count == 20)
  }
}
