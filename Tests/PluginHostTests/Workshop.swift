// Where the tests make plugins: a temporary folder, the C compiler, and nothing of the project but the public header.

import Foundation
import Glibc

/// A folder of one test, removed at the end.
final class Workshop: Sendable {
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "espalier-plugins-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func path(_ name: String) -> String { folder.appending(path: name).path }
  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

  @discardableResult
  func write(_ text: String, to name: String) throws -> String { try write(Data(text.utf8), to: name) }

  /// The file is made anew, so that a library mapped from an older one of that name is left alone.
  @discardableResult
  func write(_ data: Data, to name: String) throws -> String {
    try? FileManager.default.removeItem(atPath: path(name))
    try data.write(to: folder.appending(path: name))
    return path(name)
  }

  /// Compiles C source with `cc` and the header alone into `name`; warnings are errors.
  /// - Parameter marker: the name of a file that the library's constructor makes.
  @discardableResult
  func compile(
    _ source: String, to name: String, flags: [String] = ["-shared", "-fPIC", "-fvisibility=hidden"],
    definitions: [String: String] = [:], marker: String? = nil, includes: String = Project.protocolFolder.path
  ) throws -> String {
    var source = source
    if let marker {
      source += """

        #include <stdio.h>
        __attribute__((constructor)) static void mark(void) {
          FILE *file = fopen("\(path(marker))", "w");
          if (file != NULL) fclose(file);
        }
        """
    }
    let sourcePath = try write(source, to: name + ".c")
    try? FileManager.default.removeItem(atPath: path(name))
    try Self.run(
      "cc",
      ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", includes]
        + definitions.sorted { $0.key < $1.key }.map { "-D\($0.key)=\($0.value)" }
        + flags + ["-o", path(name), sourcePath])
    return path(name)
  }

  @discardableResult
  static func run(_ program: String, _ arguments: [String]) throws -> String {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure(text: "\(program) failed:\n\(output)") }
    return output
  }

  struct Failure: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
  }
}

enum Project {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let protocolFolder = root.appending(path: "protocol")
  static let plugins = root.appending(path: "plugins")
  static func header() throws -> String {
    try String(contentsOf: protocolFolder.appending(path: "espalier_plugin.h"), encoding: .utf8)
  }
}
