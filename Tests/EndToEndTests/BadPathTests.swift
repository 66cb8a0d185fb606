// Writing where nothing can be written, and reading masks that are none: the old file is intact, nothing is left
// behind, the revision is what it was.

import Foundation
import JSON
import PipeClient
import TestSupport
import Testing

@Suite(.enabled(if: Program.isBuilt, "espalier is not built"))
struct BadPathTests {
  /// A folder with a file `old`, a folder `full` with a file in it, and a named pipe.
  private static func place() -> TemporaryFolder {
    let folder = TemporaryFolder()
    _ = folder.write("old", Array("precious".utf8))
    mkdir(folder.file("full"), 0o700)
    _ = folder.write("full/old", Array("precious".utf8))
    mkfifo(folder.file("pipe"), 0o600)
    return folder
  }

  /// What must still be there, and nothing else.
  private static func expectUntouched(_ folder: TemporaryFolder, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(TemporaryFolder.names(in: folder.path) == ["full", "old", "pipe"], sourceLocation: sourceLocation)
    #expect(TemporaryFolder.names(in: folder.file("full")) == ["old"], sourceLocation: sourceLocation)
    #expect(TemporaryFolder.read(folder.file("old")) == Array("precious".utf8), sourceLocation: sourceLocation)
    #expect(TemporaryFolder.read(folder.file("full/old")) == Array("precious".utf8), sourceLocation: sourceLocation)
  }

  /// A path below the folder, or an absolute one, and how it is refused.
  @Test(arguments: [
    ("full", "fileNotRegular"), ("pipe", "fileNotRegular"), ("none/masks", "fileNotFound"),
    ("old/masks", "fileSystem"), ("old/", "fileSystem"), ("..", "pathInvalid"), ("/", "pathInvalid"),
    ("/dev/full", "fileNotRegular"), ("/dev/null", "fileNotRegular"), ("/proc/masks", "fileNotFound"),
    ("a\u{0}b", "pathInvalid"), (String(repeating: "x", count: 300), "fileSystem"),
  ])
  func saveMasks(path: String, kind: String) throws {
    let folder = Self.place()
    let path = path.hasPrefix("/") ? path : folder.file(path)
    try Patient.shared.get().expectRefusal(
      .failed(kind), of: "mask/save", ["model": "tiny", "path": JSON(path)])
    Self.expectUntouched(folder)
  }

  @Test(arguments: [
    ("old", false, "pathTaken"), ("old", true, "pathTaken"), ("full", false, "pathTaken"), ("pipe", true, "pathTaken"),
    ("none/model", false, "fileNotFound"), ("old/model", false, "fileSystem"), ("..", true, "pathInvalid"),
    ("/dev/full", true, "pathTaken"), ("/proc/model", false, "fileNotFound"),
  ])
  func export(path: String, overwrite: Bool, kind: String) throws {
    let folder = Self.place()
    let path = path.hasPrefix("/") ? path : folder.file(path)
    try Patient.shared.get().expectRefusal(
      .failed(kind), of: "model/export",
      ["model": "tiny", "path": JSON(path), "format": "hf", "overwrite": JSON(overwrite)])
    Self.expectUntouched(folder)
  }

  /// Writing begins well and then fails, for files may have one block only.
  @Test func noRoom() throws {
    let folder = Self.place()
    let program = try #require(Program.path)
    let client = try Client(
      starting: ProcessCommand(
        executable: "/bin/sh", arguments: ["-c", "ulimit -f 1; exec '\(program)' serve"], environment: [:], isQuiet: true))
    try client.initialize()
    _ = try client.call("model/load", ["source": JSON(Patient.model), "name": "tiny"], within: 60)
    let edit: JSON = ["layer": 0, "heads": [0], "op": "prune"]
    _ = try client.call("mask/edit", ["model": "tiny", "edits": [edit]], within: 60)
    for path in ["old", "new"] {
      #expect(
        try client.refusal("mask/save", ["model": "tiny", "path": JSON(folder.file(path))]) == .failed("fileSystem"))
    }
    #expect(
      try client.refusal(
        "model/export", ["model": "tiny", "path": JSON(folder.file("full")), "format": "hf", "overwrite": true])
        == .failed("fileSystem"))
    Self.expectUntouched(folder)
    #expect(try client.call("revision/log", ["model": "tiny"], within: 60)["current"] == "r1")
    #expect(try client.end(within: 30) == .exited(0))
  }

  /// What is in a file that is no mask of the model.
  @Test(arguments: ["nothing", "noise", "weights", "half of a mask", "another model's mask", "a folder", "no file"])
  func loadMasks(what: String) throws {
    let patient = try Patient.shared.get()
    let folder = TemporaryFolder()
    let path = folder.file("masks")
    let kind: String
    switch what {
    case "nothing":
      _ = folder.write("masks", [])
      kind = "invalidSafetensors"
    case "noise":
      _ = folder.write("masks", (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7919) })
      kind = "invalidSafetensors"
    case "weights":
      _ = folder.write("masks", TemporaryFolder.read("\(Patient.model)/model.safetensors") ?? [])
      kind = "maskFileMismatch"
    case "half of a mask":
      #expect(try patient.client.refusal("mask/save", ["model": "tiny", "path": JSON(path)]) == nil)
      let whole = TemporaryFolder.read(path) ?? []
      _ = folder.write("masks", Array(whole.prefix(whole.count / 2)))
      kind = "invalidSafetensors"
    case "another model's mask":
      let program = try Program.run(
        [
          "call", "--load", "builtin:sapling", "mask/edit",
          #"{"model": "sapling", "edits": [{"layer": 0, "heads": [0], "op": "prune"}]}"#, "mask/save",
          #"{"model": "sapling", "path": "\#(path)"}"#,
        ])
      #expect(program.code == 0)
      kind = "maskFileMismatch"
    case "a folder":
      mkdir(path, 0o700)
      kind = "fileNotRegular"
    default: kind = "fileNotFound"
    }
    try patient.expectRefusal(.failed(kind), of: "mask/load", ["model": "tiny", "path": JSON(path)])
  }
}
