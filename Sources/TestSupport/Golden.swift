// Golden files: tensors that a committed script wrote with a reference implementation, and who wrote them.

import Checkpoints
import OrderedCollections
import Tensors

/// Why a golden cannot be used.
package enum GoldenError: Error, CustomStringConvertible {
  case tensorMissing(name: String, path: String, recipe: String)

  package var description: String {
    switch self {
    case .tensorMissing(let name, let path, let recipe): "\(path) has no tensor \"\(name)\" to compare with. \(recipe)"
    }
  }
}

/// A safetensors file whose metadata say how it was made.
package struct Golden: Sendable {
  package let path: String
  private let file: SafetensorsFile

  /// - Throws: `CheckpointError`.
  package init(_ path: String) throws {
    self.path = path
    file = try SafetensorsFile(path: path)
  }

  package var names: [String] { Array(file.tensors.keys) }

  /// How to make the file again, from its own metadata.
  package var recipe: String {
    let tools = ["python", "torch", "transformers", "gguf", "numpy"]
    let versions = tools.compactMap { tool in file.metadata[tool].map { "\(tool) \($0)" } }
    let generator = file.metadata["generator"] ?? "a script that it does not name"
    return "Written by \(generator) (\(versions.joined(separator: ", "))); run that script to write it again."
  }

  /// - Throws: `GoldenError` if there is no such tensor, or not of plain numbers.
  package func numbers(_ name: String) throws -> Numbers {
    guard let numbers = file.tensors[name].flatMap({ Numbers($0) }) else {
      throw GoldenError.tensorMissing(name: name, path: path, recipe: recipe)
    }
    return numbers
  }

  /// What is wrong with `actual`, with the way to make the golden again, or nil if it agrees.
  package func difference(_ actual: Numbers, from name: String, _ tolerance: Tolerance) throws -> String? {
    TestSupport.difference(actual, try numbers(name), tolerance).map { "\(name): \($0). \(recipe)" }
  }
}
