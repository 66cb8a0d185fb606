// Biases that edits added, in a Hugging Face folder: what the family's configuration can say of them, or a refusal.

import Checkpoints
import JSON
import OrderedCollections
import Tensors
import Transformers
import Workspace

/// The switches of a Llama configuration, each for all maps of one half of a block.
private let switches: [(key: String, sites: Set<String>)] = [
  ("attention_bias", ["attention", "attentionOutput"]), ("mlp_bias", ["mlp", "mlpDown"]),
]

extension ModelState {
  /// Turns on the switches that the added biases need, and says which maps then need a bias of zeros, with its size.
  /// - Throws: `CompressionError.biasesNotExportable` for families whose configuration has no such switches.
  func describeAddedBiases(
    in configuration: inout JSONObject
  ) throws(CompressionError) -> OrderedDictionary<String, Int> {
    let biased = Set(revision.tensors.values.compactMap(\.biasOf))
    guard !biased.isEmpty else { return [:] }
    guard configuration["model_type"]?.string == "llama" else {
      throw .biasesNotExportable(
        modelType: configuration["model_type"]?.string ?? "unnamed", tensor: biased.min() ?? "")
    }
    var zeros: OrderedDictionary<String, Int> = [:]
    let inputs = (0..<transformer.shape.layers).flatMap(transformer.linearInputs)
    for (key, sites) in switches {
      let maps = inputs.filter { sites.contains($0.site) }.flatMap(\.tensors)
      guard maps.contains(where: biased.contains) else { continue }
      configuration[key] = true
      for map in maps where !biased.contains(map) {
        zeros[biasName(ofMap: map)] = revision.tensors[map]?.weights.view.rows
      }
    }
    return zeros
  }
}

extension SafetensorsEntry {
  /// A vector of zeros.
  init(zeros count: Int, name: String) {
    self.init(name: name, dtype: .f32, shape: [count]) { sink in
      try [Float](repeating: 0, count: count).withUnsafeBytes(sink)
    }
  }
}
