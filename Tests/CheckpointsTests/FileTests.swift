// Mapping files, and writing files and folders whole or not at all.

import Foundation
import Testing

@testable import Checkpoints

private struct Refused: Error {}

@Suite struct MappedFileTests {
  @Test func mapsTheBytes() throws {
    let folder = try TemporaryFolder()
    let file = try MappedFile(path: folder.write("a", [1, 2, 3]))
    #expect(Array(file.bytes) == [1, 2, 3])
    #expect(try MappedFile(path: folder.write("empty", [])).bytes.isEmpty)
  }

  @Test func survivesDeletionOfTheFile() throws {
    let folder = try TemporaryFolder()
    let file = try MappedFile(path: folder.write("a", "still here"))
    try FileManager.default.removeItem(atPath: file.path)
    #expect(Array(file.bytes) == Array("still here".utf8))
  }

  @Test func refusesWhatIsNoFile() throws {
    let folder = try TemporaryFolder()
    mkfifo("\(folder.path)/pipe", 0o600)
    let path = folder.path
    #expect(try checkpointError { _ = try MappedFile(path: path) } == .file(path: path, .notRegular(found: "a folder")))
    // Opening a pipe must not wait for a writer.
    #expect(
      try checkpointError { _ = try MappedFile(path: "\(path)/pipe") }
        == .file(path: "\(path)/pipe", .notRegular(found: "a named pipe")))
    #expect(
      try checkpointError { _ = try MappedFile(path: "/dev/zero") }
        == .file(path: "/dev/zero", .notRegular(found: "a device")))
    #expect(try checkpointError { _ = try MappedFile(path: "\(path)/no") } == .file(path: "\(path)/no", .notFound))
    #expect(try checkpointError { _ = try MappedFile(path: "") } == .file(path: "", .invalidPath))
    #expect(
      try checkpointError { _ = try MappedFile(path: "/dev/null\0x") } == .file(path: "/dev/null\0x", .invalidPath))
    let file = try folder.write("a", "x")
    #expect(
      try checkpointError { _ = try MappedFile(path: "\(file)/b") }
        == .file(path: "\(file)/b", .system(call: "open", code: ENOTDIR)))
    #expect(
      try checkpointError { _ = try MappedFile(path: file, limit: 0) }
        == .file(path: file, .tooLarge(bytes: 1, limit: 0)))
  }
}

@Suite struct AtomicFileTests {
  @Test func replacesTheOldFile() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("a", "old")
    try AtomicFile.write(to: path) { file in
      try file.write(Array("new ".utf8))
      #expect(folder.read("a") == Array("old".utf8))
      try file.write(Array("content".utf8))
      #expect(file.byteCount == 11)
    }
    #expect(folder.read("a") == Array("new content".utf8))
    #expect(folder.names == ["a"])
  }

  @Test func keepsTheOldFileWhenWritingFails() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("a", "old")
    #expect(throws: Refused.self) {
      try AtomicFile.write(to: path) { file in
        try file.write([1, 2, 3])
        throw Refused()
      }
    }
    #expect(folder.read("a") == Array("old".utf8))
    #expect(folder.names == ["a"])
  }

  @Test(arguments: ["no/such/folder/a", "..", ".", "", "/"])
  func refusesPaths(_ path: String) throws {
    let folder = try TemporaryFolder()
    let whole = path.isEmpty || path == "/" ? path : "\(folder.path)/\(path)"
    #expect(throws: CheckpointError.self) { try AtomicFile.write(to: whole) { _ in } }
    #expect(folder.names.isEmpty)
  }

  @Test func refusesFoldersAndDevices() throws {
    let folder = try TemporaryFolder()
    mkfifo("\(folder.path)/pipe", 0o600)
    for path in [folder.path, "\(folder.path)/pipe", "/dev/null"] {
      #expect(throws: CheckpointError.self) { try AtomicFile.write(to: path) { _ in } }
    }
    #expect(folder.names == ["pipe"])
  }

  @Test func namesMayBeLong() throws {
    let folder = try TemporaryFolder()
    let name = String(repeating: "ä", count: 120)
    try AtomicFile.write(to: "\(folder.path)/\(name)") { try $0.write([7]) }
    #expect(folder.read(name) == [7])
  }
}

@Suite struct AtomicFolderTests {
  private func fill(_ folder: AtomicFolder) throws {
    try folder.write("a") { try $0.write([1]) }
    try folder.write("b") { try $0.write([2, 2]) }
  }

  @Test func appearsWhole() throws {
    let parent = try TemporaryFolder()
    let path = "\(parent.path)/model"
    try AtomicFolder.write(to: path + "/") { folder in
      try fill(folder)
      #expect(!FileManager.default.fileExists(atPath: path))
      #expect(folder.files.map(\.byteCount) == [1, 2])
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: path).sorted() == ["a", "b"])
    #expect(parent.names == ["model"])
  }

  @Test func leavesNothingWhenWritingFails() throws {
    let parent = try TemporaryFolder()
    #expect(throws: Refused.self) {
      try AtomicFolder.write(to: "\(parent.path)/model") { folder in
        try fill(folder)
        throw Refused()
      }
    }
    #expect(parent.names.isEmpty)
  }

  @Test func keepsWhatIsThere() throws {
    let parent = try TemporaryFolder()
    let path = "\(parent.path)/model"
    try AtomicFolder.write(to: path, fill)
    #expect(
      try checkpointError { try AtomicFolder.write(to: path, fill) }
        == .file(path: path, .taken(by: "a folder that is not empty")))
    #expect(throws: Refused.self) {
      try AtomicFolder.write(to: path, replacing: true) { folder in
        try folder.write("c") { try $0.write([3]) }
        throw Refused()
      }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: path).sorted() == ["a", "b"])
    let file = try parent.write("file", "x")
    #expect(try checkpointError { try AtomicFolder.write(to: file, fill) } == .file(path: file, .taken(by: "a file")))
    #expect(parent.names == ["file", "model"])
  }

  @Test func replacesAFolderOfFiles() throws {
    let parent = try TemporaryFolder()
    let path = "\(parent.path)/model"
    try AtomicFolder.write(to: path, fill)
    try AtomicFolder.write(to: path, replacing: true) { try $0.write("c") { try $0.write([3]) } }
    #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["c"])
    #expect(parent.names == ["model"])
    // A folder with folders is somebody's home, not an export.
    try FileManager.default.createDirectory(atPath: "\(path)/deeper", withIntermediateDirectories: false)
    #expect(throws: CheckpointError.self) { try AtomicFolder.write(to: path, replacing: true, fill) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: path).sorted() == ["c", "deeper"])
    #expect(parent.names == ["model"])
  }

  @Test func replacesAnEmptyFolder() throws {
    let parent = try TemporaryFolder()
    try AtomicFolder.write(to: parent.path, fill)
    #expect(parent.names == ["a", "b"])
  }

  @Test(arguments: ["", ".", "..", "a/b", "../a", "a\0b", "..\u{2F}\u{301}a"])
  func refusesNames(_ name: String) throws {
    let parent = try TemporaryFolder()
    #expect(throws: CheckpointError.self) {
      try AtomicFolder.write(to: "\(parent.path)/model") { try $0.write(name) { _ in } }
    }
    #expect(parent.names.isEmpty)
  }
}
