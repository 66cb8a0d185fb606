// A model opened the way the daemon opens one: checkpoint, arithmetic, check that they fit, first revision.

package import Checkpoints
import OrderedCollections
package import Transformers
package import Workspace

/// A model with its history. The tiny ones are goldens of TransformersTests; any other path will do as well.
package struct TestModel: Sendable {
  package let checkpoint: Checkpoint
  package let transformer: Transformer
  package let history: History

  /// The names of the tiny models: two layers, a vocabulary of 67, with what PyTorch computes for them beside.
  package static let tiny = [
    "grouped-f32", "tied-bf16", "wide-heads-f16", "grouped-f32-gguf", "blocks-q8-gguf", "blocks-q4-gguf",
  ]

  /// The names of the tiny models of every family: odd sizes, a vocabulary of 101 or 117, with what PyTorch computes
  /// for them, forward and backward, beside.
  package static let families = [
    "llama3", "llama-linear", "mistral", "qwen2", "qwen2-window", "qwen3", "gemma3_text", "gpt2", "opt",
  ]

  /// - Throws: `CheckpointError`, `TransformerError`.
  package init(path: String) throws {
    checkpoint = try Checkpoint.open(path: path)
    let loaded = try loadTransformer(checkpoint)
    transformer = loaded.transformer
    history = History(
      tensors: loaded.tensors.mapValues { StoredTensor(weights: WeightsBlob($0)) },
      operation: Operation(method: "model/load", summary: "loaded"))
  }

  package init(tiny name: String) throws { try self.init(path: Self.path(tiny: name)) }

  package static func path(tiny name: String) -> String {
    let folder = Repository.goldens(of: "TransformersTests")
    return name.hasSuffix("gguf") ? "\(folder)/\(name).gguf" : "\(folder)/\(name)"
  }

  package static func golden(tiny name: String) throws -> Golden {
    try Golden("\(Repository.goldens(of: "TransformersTests"))/\(name).golden.safetensors")
  }
}
