// A file that grows by whole records, whatever happened to it before.

import Foundation
import Testing

@testable import Checkpoints

@Suite struct AppendedFileTests {
  @Test func appendsAndGoesOn() throws {
    let folder = try TemporaryFolder(), path = "\(folder.path)/log"
    do {
      let file = try AppendedFile(path: path)
      try file.append(Array("one\n".utf8))
      try file.append([])
      #expect(folder.read("log") == Array("one\n".utf8), "at once")
      try file.synchronise()
    }
    let file = try AppendedFile(path: path)
    #expect(file.byteCount == 4)
    try file.append(Array("two\n".utf8))
    #expect(folder.read("log") == Array("one\ntwo\n".utf8) && file.byteCount == 8)
    #expect(try file.tail(limit: 3) == Array("wo\n".utf8) && file.tail(limit: 99) == Array("one\ntwo\n".utf8))
  }

  @Test(arguments: [
    ("", "", 0), ("a\n", "a\n", 0), ("a\nb", "a\n", 1), ("abc", "", 3), ("\n\n", "\n\n", 0),
    ("a\n" + String(repeating: "x", count: 200_000), "a\n", 200_000),
    (String(repeating: "x", count: 70_000) + "\n" + "y", String(repeating: "x", count: 70_000) + "\n", 1),
  ])
  func takesHalfALineAway(before: String, after: String, removed: Int) throws {
    let folder = try TemporaryFolder()
    let file = try AppendedFile(path: folder.write("log", before))
    #expect(try file.truncateToWholeLines() == removed)
    #expect(folder.read("log") == Array(after.utf8) && file.byteCount == after.utf8.count)
    try file.append(Array("z\n".utf8))
    #expect(folder.read("log") == Array((after + "z\n").utf8))
  }

  @Test func oneWriterAtATime() throws {
    let folder = try TemporaryFolder(), path = "\(folder.path)/log"
    var first: AppendedFile? = try AppendedFile(path: path)
    #expect(
      try checkpointError { _ = try AppendedFile(path: path) }
        == .file(path: path, .locked))
    #expect(first != nil)
    first = nil
    _ = try AppendedFile(path: path)
  }

  @Test func refusesWhatIsNoFile() throws {
    let folder = try TemporaryFolder(), path = folder.path
    mkfifo("\(path)/pipe", 0o600)
    #expect(
      try checkpointError { _ = try AppendedFile(path: "\(path)/pipe") }
        == .file(path: "\(path)/pipe", .notRegular(found: "a named pipe")))
    #expect(
      try checkpointError { _ = try AppendedFile(path: path) } == .file(path: path, .system(call: "open", code: EISDIR))
    )
    #expect(try checkpointError { _ = try AppendedFile(path: "") } == .file(path: "", .invalidPath))
    #expect(
      try checkpointError { _ = try AppendedFile(path: "\(path)/no/a") } == .file(path: "\(path)/no/a", .notFound))
    let file = try folder.write("a", "x")
    #expect(
      try checkpointError { _ = try AppendedFile(path: file, isNew: true) } == .file(path: file, .taken(by: "a file")))
    #expect(folder.read("a") == Array("x".utf8))
  }
}
