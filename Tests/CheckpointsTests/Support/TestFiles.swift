// Folders and memory for the tests of this target; every folder is deleted with its owner.

import Foundation
import Glibc
import Tensors

@testable import Checkpoints

/// A folder of its own for one test.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "espalier-checkpoints-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    return "\(path)/\(name)"
  }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

  func read(_ name: String) -> [UInt8]? { FileManager.default.contents(atPath: "\(path)/\(name)").map(Array.init) }

  /// Names of what the folder holds, hidden files too.
  var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}

/// Bytes in memory instead of a mapped file, with nothing readable behind their end.
final class MemoryStorage: ByteStorage, @unchecked Sendable {
  let bytes: UnsafeRawBufferPointer
  private let pages: UnsafeMutableRawPointer
  private let pageBytes: Int

  /// Puts the bytes right before a page that cannot be read, so that reading on raises a signal.
  init(_ content: [UInt8]) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let room = (content.count + page - 1) / page * page
    pageBytes = room + page
    pages = mmap(nil, pageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    let start = pages + room - content.count
    content.withUnsafeBytes { if let base = $0.baseAddress { start.copyMemory(from: base, byteCount: $0.count) } }
    mprotect(pages + room, page, PROT_NONE)
    bytes = UnsafeRawBufferPointer(start: start, count: content.count)
  }

  deinit { munmap(pages, pageBytes) }
}

/// The error that `body` throws, nil if none.
func checkpointError(_ body: () throws -> Void) throws -> CheckpointError? {
  do {
    try body()
    return nil
  } catch let error as CheckpointError {
    return error
  }
}

/// Little-endian bytes.
func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }

/// The folder of golden files.
let goldens = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .appendingPathComponent("Goldens").path
