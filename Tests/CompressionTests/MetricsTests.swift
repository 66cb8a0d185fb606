// The files of a run's metrics: checksums against known vectors, event files against tensorboard's own bytes, logs
// line by line and after interruptions.

import Checkpoints
import Glibc
import JSON
import TestSupport
import Testing

@testable import Compression

@Suite struct EventFileTests {
  /// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
  @Test(
    arguments: [
      ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
      (Array(0..<32), 0x46DD_794E), (Array((0..<32).reversed()), 0x113F_DB5C), (Array("123456789".utf8), 0xE306_9283),
      ([], 0),
    ] as [([UInt8], UInt32)])
  func checksums(bytes: [UInt8], expected: UInt32) {
    #expect(CRC32C.checksum(bytes) == expected)
    let rotated = (expected >> 15) | (expected << 17)
    #expect(CRC32C.masked(bytes) == rotated &+ 0xA282_EAD8)
  }

  /// Goldens/events_goldens.py writes the same with tensorboard.
  @Test func bytesAreTensorBoards() throws {
    let folder = TemporaryFolder(), start = 1_700_000_000.25
    let writer = try TensorBoardWriter(folder: folder.path, wallSeconds: start, resumedStep: 2)
    #expect(writer.path == folder.file("events.out.tfevents.1700000000.espalier.0"))
    try writer.append(step: 0, tokens: 0, wallSeconds: start, values: [("loss", 2.5), ("loss/forward-kl", 1.25)])
    try writer.append(step: 2, tokens: 4096, wallSeconds: start + 1, values: [("loss", .nan), ("learningRate", 1e-4)])
    try writer.append(
      step: 3_000_000_000, tokens: 1 << 40, wallSeconds: start + 2, values: [("loss", -.infinity), ("größe", -0.0)])
    let golden = TemporaryFolder.read("\(Repository.goldens(of: "CompressionTests"))/events.golden.tfevents")
    let bytes = try #require(TemporaryFolder.read(writer.path))
    #expect(bytes.count > 200 && bytes == golden)
    #expect(Array(bytes.dropLast()) != golden)
  }

  @Test func everyAttemptHasAFile() throws {
    let folder = TemporaryFolder()
    for number in 0..<10 {
      let writer = try TensorBoardWriter(folder: folder.path, wallSeconds: 7.5)
      #expect(writer.path == folder.file("events.out.tfevents.0000000007.espalier.\(number)"))
    }
    #expect(throws: CheckpointError.self) { try TensorBoardWriter(folder: folder.path, wallSeconds: 7) }
    #expect(throws: CheckpointError.self) { try TensorBoardWriter(folder: folder.file("no"), wallSeconds: 7) }
  }
}

@Suite struct MetricsLogTests {
  private static func lines(_ path: String) throws -> [JSON] {
    try #require(TemporaryFolder.read(path)).split(separator: UInt8(ascii: "\n")).map { try JSON.parse(Array($0)) }
  }

  @Test func linesAreWhole() throws {
    let path = TemporaryFolder(), file = path.file("metrics.jsonl")
    let log = try MetricsLog(path: file, run: "run \"1\"")
    #expect(log.attempt == 1)
    try log.append(
      step: 1, tokens: 64, wallSeconds: 12.5,
      values: [("loss", 2.5), ("norm", .nan), ("a", .infinity), ("b", -.infinity)])
    let first: JSON = [
      "run": "run \"1\"", "step": 1, "tokens": 64, "wall": 12.5, "attempt": 1, "loss": 2.5, "norm": "NaN",
      "a": "Infinity", "b": "-Infinity",
    ]
    #expect(try Self.lines(file) == [first])
    try log.append(step: 2, tokens: 128, wallSeconds: 13, values: [("step", 9), ("loss", 1)])
    let second = try #require(Self.lines(file).last)
    #expect(second["step"] == 2 && second["metric.step"] == 9.0)
    #expect(TemporaryFolder.read(file)?.last == UInt8(ascii: "\n"))
  }

  @Test(arguments: ["", "{\"run\":\"r\",\"st", "{\"r"])
  func reopeningGoesOn(rest: String) throws {
    let folder = TemporaryFolder(), file = folder.file("metrics.jsonl")
    for attempt in 1...3 {
      do {
        let log = try MetricsLog(path: file, run: "r")
        #expect(log.attempt == attempt)
        try log.append(step: attempt, tokens: 1, wallSeconds: 0.5, values: [])
      }
      let whole = try #require(TemporaryFolder.read(file))
      _ = folder.write("metrics.jsonl", whole + Array(rest.utf8))
    }
    _ = try MetricsLog(path: file, run: "r")
    #expect(try Self.lines(file).map { $0["attempt"]?.integer } == [1, 2, 3])
  }

  @Test func anInterruptedFirstLineIsNone() throws {
    let folder = TemporaryFolder()
    let log = try MetricsLog(path: folder.write("metrics.jsonl", Array("{\"run\":\"r\",\"st".utf8)), run: "r")
    #expect(log.attempt == 1 && TemporaryFolder.read(folder.file("metrics.jsonl")) == [])
  }

  @Test func longLinesAreFound() throws {
    let folder = TemporaryFolder(), file = folder.file("metrics.jsonl")
    do {
      let log = try MetricsLog(path: file, run: "r")
      for step in 1...2 {
        let values = (0..<9000).map { (name: "metric number \($0)", value: Double($0)) }
        try log.append(step: step, tokens: 0, wallSeconds: 1, values: values)
      }
    }
    #expect(try MetricsLog(path: file, run: "r").attempt == 2)
  }

  /// Somebody else's file stays as it is.
  @Test(arguments: ["notes", "notes\n", "{\"attempt\": 1}\n", "{\"attempt\": 0, \"step\": 1}\n", "\n"])
  func refusesOtherFiles(content: String) throws {
    let folder = TemporaryFolder(), file = folder.write("metrics.jsonl", Array(content.utf8))
    #expect(throws: CheckpointError.self) { try MetricsLog(path: file, run: "r") }
    #expect(TemporaryFolder.read(file) == Array(content.utf8))
  }
}
