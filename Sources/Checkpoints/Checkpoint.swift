// A model on disk: configuration, tensors, tokenizer, from a Hugging Face folder or a GGUF file. Whatever the source,
// names and configuration keys are those of Hugging Face. Does not know what an architecture does with them.

package import JSON
package import OrderedCollections
package import Tensors

package enum CheckpointFormat: String, Sendable {
  case huggingFace, gguf
}

/// An opened checkpoint. Weights stay mapped as long as any of its views lives.
package struct Checkpoint: Sendable {
  package let format: CheckpointFormat
  /// Absolute, without symbolic links.
  package let path: String
  /// Keys and values as in config.json.
  package let configuration: JSONObject
  /// By their Hugging Face names, in natural order: embedding, layers, norm, head.
  package let tensors: OrderedDictionary<String, TensorView>
  /// The file's own names by the Hugging Face names, where the two differ in kind (GGUF); empty otherwise.
  package let storedNames: [String: String]
  package let tokenizer: Tokenizer
  /// What an export in Hugging Face layout must carry besides config.json and weights.
  package let companionFiles: [CompanionFile]

  /// Checks that no weights were lost since the checkpoint was opened, as far as they have been read.
  /// - Throws: `FileFault.changedInUse`.
  package func requireIntact() throws(CheckpointError) {
    guard tensors.values.allSatisfy({ $0.storage.isIntact }) else { throw .file(path: path, .changedInUse) }
  }

  /// Opens the checkpoint at `path`: a folder in Hugging Face layout, or a GGUF file.
  ///
  /// Everything but the values of the weights is read and checked.
  /// - Throws: `CheckpointError`, also for whatever is wrong with the tokenizer.
  package static func open(path: String) throws(CheckpointError) -> Checkpoint {
    switch try FileSystem.kind(of: path) {
    case nil: throw .file(path: path, .notFound)
    case .folder: return try openFolder(try FileSystem.resolved(path))
    case .file: return try openFile(try FileSystem.resolved(path))
    case .other(let found): throw .file(path: path, .notRegular(found: found))
    }
  }

  private static func openFile(_ path: String) throws(CheckpointError) -> Checkpoint {
    let file = try MappedFile(path: path)
    if path.hasSuffix(".gguf") || file.bytes.starts(with: GGUFFile.magic) {
      return try openGGUF(GGUFFile(storage: file, path: path))
    }
    throw .layout(path: path, fault(of: file, path: path))
  }

  /// What a file is that is no GGUF file.
  private static func fault(of file: MappedFile, path: String) -> LayoutFault {
    let start = Array(file.bytes.prefix(16))
    if path.hasSuffix(".safetensors") || path.hasSuffix(".safetensors.index.json") { return .loneSafetensors }
    // Pickle protocols 2 and up begin with 0x80; PyTorch wraps them in a zip archive.
    if isPickleName(path) || start.starts(with: Array("PK".utf8)) || start.first == 0x80 {
      return .pickle(file: path)
    }
    if start.isEmpty { return .unrecognised(found: "an empty file") }
    let bytes = start.prefix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    return .unrecognised(found: "a file that begins with the bytes \(bytes)")
  }

  static func isPickleName(_ name: String) -> Bool {
    [".pt", ".pth", ".bin", ".pkl", ".ckpt"].contains { name.hasSuffix($0) }
  }
}
