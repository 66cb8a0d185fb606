// A model without the structures that its masks prune whole: smaller matrices, the same function.

package import JSON
package import OrderedCollections
package import Tensors
package import Transformers
package import Workspace

/// How a model is shrunk.
package struct ShrinkOptions: Sendable {
  /// Whether all layers get the same widths, so that other programs can hold the model.
  package let uniform: Bool
  /// Head scores by which cut heads are added back to those that stay; nil for none.
  package let headScores: UnitScores?

  package init(uniform: Bool = false, headScores: UnitScores? = nil) {
    self.uniform = uniform
    self.headScores = headScores
  }
}

/// What shrinking leaves.
package struct ShrunkModel: Sendable {
  package let transformer: Transformer
  /// A config.json for it.
  package let configuration: JSONObject
  /// Whether other programs can read that.
  package let isStandard: Bool
  /// In the order of computation; tensors of which nothing was cut are the old ones.
  package let tensors: OrderedDictionary<String, StoredTensor>
  package let kept: KeptUnits
}

/// Cuts out of `state` every head, neuron, channel and layer of which the masks leave nothing. Other masks go on, over
/// what is left of their tensors. In exact arithmetic the result computes the same, unless heads are added back.
/// - Parameter configuration: the keys of the model's config.json.
/// - Throws: `CompressionError`, `TransformerError`, `Cancelled`.
package func shrink(
  _ state: ModelState, configuration: JSONObject, options: ShrinkOptions, monitor: Monitor, diagnostics: Diagnostics
) throws -> ShrunkModel {
  let model = state.transformer
  let live = LiveUnits(state, diagnostics: diagnostics)
  let kept = live.kept(in: model, uniform: options.uniform, diagnostics: diagnostics)
  if kept.widths == model.widths {
    diagnostics.add(
      Diagnostic(
        .warning, kind: "nothingToShrink",
        "No unit that could be removed is pruned whole; the new model is as large as the old one. Cut units first: "
          + "importance/score with a `unit`, then mask/apply."))
  }
  let shrunk = try ShrunkConfiguration(
    of: configuration, tensorNames: state.revision.tensors.keys, widths: kept.widths)
  let cuts = model.cuts(kept)
  let bytes = cuts.values.reduce(0) { $0 + (state.revision.tensors[$1.source]?.cutBytes($1) ?? 0) }
  try requireMemory(bytes, for: "The smaller model")
  let changed = try options.headScores.map { scores throws(CompressionError) in
    try headResiduals(of: state, kept: kept, scores: scores)
  } ?? [:]
  var addedBiases: [String: String] = [:]
  for (name, tensor) in state.revision.tensors { tensor.biasOf.map { addedBiases[$0] = name } }
  var tensors: OrderedDictionary<String, StoredTensor> = [:]
  for (name, cut) in cuts {
    try monitor.checkCancelled()
    monitor.report(Double(tensors.count) / Double(cuts.count), "cutting \(name)")
    tensors[name] = (changed[cut.source] ?? state.revision.tensors[cut.source])?.cut(cut)
    // A bias that an edit has added goes with the rows of its map.
    if let bias = addedBiases[cut.source], let tensor = state.revision.tensors[bias] {
      tensors[biasName(ofMap: name)] = tensor.cut(
        TensorCut(source: bias, rows: nil, columns: cut.rows), biasOf: name)
    }
  }
  return ShrunkModel(
    transformer: shrunk.transformer, configuration: shrunk.configuration, isStandard: shrunk.isStandard,
    tensors: tensors, kept: kept)
}
