// The direction of imports: every file of every target, held against one table. ARCHITECTURE.md tells the same in words.

import Foundation
import Testing
import TestSupport

/// What each target may import of this package. Nothing but this, and only downwards.
private let layers: [(target: String, mayImport: Set<String>)] = [
  ("espalier", ["Benchmark", "JSON", "JSONRPC", "PipeClient", "Server"]),
  (
    "Benchmark",
    [
      "BuiltinModels", "Checkpoints", "Compression", "JSON", "PipeClient", "PluginHost", "Tensors", "Threads",
      "Transformers", "Workspace",
    ]
  ),
  ("PipeClient", ["JSON", "JSONRPC", "Threads"]),
  (
    "Server",
    [
      "BuiltinModels", "CSystem", "Checkpoints", "Compression", "JSON", "JSONRPC", "PluginHost", "Tensors", "Threads",
      "Transformers", "WireTypes", "Workspace",
    ]
  ),
  ("WireTypes", ["JSON", "JSONRPC"]),
  ("JSONRPC", ["JSON", "Threads"]),
  ("PluginHost", ["CPluginABI", "Compression", "Tensors", "Threads"]),
  ("Compression", ["Checkpoints", "JSON", "Tensors", "Transformers", "Workspace"]),
  ("TestSupport", ["Checkpoints", "JSON", "Tensors", "Transformers", "Workspace"]),
  ("Workspace", ["CMD", "Checkpoints", "Tensors"]),
  ("Transformers", ["Checkpoints", "JSON", "Tensors"]),
  ("Checkpoints", ["CPCRE2", "CSystem", "CUTF8Proc", "JSON", "Tensors"]),
  ("BuiltinModels", []),
  ("JSON", ["CJSONC"]),
  ("Tensors", ["CKernels", "CSystem", "Threads"]),
  ("Threads", ["CSystem"]),
]

/// Targets of C: they import nothing of the package.
private let foundations: Set<String> = ["CJSONC", "CKernels", "CMD", "CPCRE2", "CPluginABI", "CSystem", "CUTF8Proc"]

/// What an import line names: `import X`, `package import X`, `@testable import X`.
private func importedModules(_ text: String) -> [String] {
  text.split(separator: "\n").compactMap { line in
    let words = line.split(separator: " ")
    guard let place = words.firstIndex(of: "import"), words.count == place + 2,
      words[..<place].allSatisfy({ ["package", "public", "internal", "private"].contains($0) || $0.hasPrefix("@") })
    else { return nil }
    return String(words[place + 1])
  }
}

/// The imports of `text` that a file of `target` must not have.
private func forbiddenImports(_ text: String, target: String) -> [String] {
  let own = Set(layers.map(\.target)).union(foundations)
  let allowed = layers.first { $0.target == target }?.mayImport ?? []
  return importedModules(text).filter { module in
    if module == "Foundation" { return true }
    return own.contains(module) && !allowed.contains(module)
  }
}

private func files(under folder: String, ending: String) -> [String] {
  let walk = FileManager.default.enumerator(atPath: folder)
  return (walk?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(ending) }.map { folder + "/" + $0 }
}

@Suite struct LayerTests {
  @Test func theTablePointsDownOnly() {
    let order = layers.map(\.target)
    for (place, layer) in layers.enumerated() {
      for module in layer.mayImport where !foundations.contains(module) {
        let below = order.firstIndex(of: module)
        #expect(below.map { $0 > place } == true, "\(layer.target) may import \(module), which is not below it")
      }
    }
  }

  @Test func everyTargetIsInTheTable() throws {
    let folders = try FileManager.default.contentsOfDirectory(atPath: Repository.root + "/Sources")
    #expect(Set(folders) == Set(layers.map(\.target)).union(foundations))
  }

  @Test(arguments: layers.map(\.target))
  func importsPointDown(target: String) throws {
    let sources = files(under: "\(Repository.root)/Sources/\(target)", ending: ".swift")
    #expect(!sources.isEmpty)
    for path in sources {
      let forbidden = forbiddenImports(try String(contentsOfFile: path, encoding: .utf8), target: target)
      #expect(forbidden.isEmpty, "\(path) imports \(forbidden.joined(separator: ", "))")
    }
  }

  @Test(arguments: [
    ("import Server", ["Server"]), ("package import WireTypes", ["WireTypes"]), ("import Foundation", ["Foundation"]),
    ("@testable import CKernels", ["CKernels"]), ("import Tensors\nimport Glibc", []), ("// import Server", []),
  ])
  func aForbiddenImportIsCaught(text: String, caught: [String]) {
    #expect(forbiddenImports(text, target: "Compression") == caught)
  }

  @Test func oneTargetStandsInFrontOfEachForeignLibrary() {
    let owners = [
      "CKernels": "Tensors", "CJSONC": "JSON", "CPluginABI": "PluginHost", "CPCRE2": "Checkpoints",
      "CUTF8Proc": "Checkpoints", "CMD": "Workspace",
    ]
    for (library, owner) in owners {
      #expect(layers.filter { $0.mayImport.contains(library) }.map(\.target) == [owner])
    }
  }
}

@Suite struct FileTests {
  /// Swift and C of the program, the plugins and the tests.
  private static let sources = ["Sources", "plugins", "Tests"].flatMap { folder in
    [".swift", ".c", ".h"].flatMap { files(under: "\(Repository.root)/\(folder)", ending: $0) }
  }

  @Test func everyFileBeginsWithWhatItIs() throws {
    for path in Self.sources where !path.hasSuffix("shim.h") {
      let start = try String(contentsOfFile: path, encoding: .utf8).prefix(2)
      #expect(start == "//" || start == "/*", "\(path) has no header comment")
    }
  }

  @Test func noFileIsLongerThanAnIdea() throws {
    for path in Self.sources {
      let lines = try String(contentsOfFile: path, encoding: .utf8).split(
        separator: "\n", omittingEmptySubsequences: false)
      #expect(lines.count <= 500, "\(path) has \(lines.count) lines")
    }
  }
}
