// prune/preview: what a pruning or edits would do.

import Checkpoints
import Compression
import JSON
import OrderedCollections
import Tensors
import WireTypes
import Workspace

let previewRoutes = [
  Route(
    PrunePreview.self, model: \.model,
    access: { params in
      guard case .pruning(let change) = params.change else {
        return .reading(.model(params.model), .dataset(params.dataset))
      }
      return .reading(.model(params.model), .dataset(params.dataset), .plugins).reading(terms: change.pruning.terms)
    }, prepare: preview)
]

private func preview(_ params: PrunePreview.Params, _ context: ServerContext) throws -> Plan {
  let model = try context.model(params.model)
  let state = try model.state(params.revision)
  let dataset = try context.uniformDataset(params.dataset)
  let changes = try context.changes(params, of: model, state)
  let compute = try context.compute()
  return .work(.compute) { monitor in
    let start = monotonicSeconds(), diagnostics = Diagnostics(tensors: state.prunableTensors.keys)
    let result = try Compression.preview(
      state, changes: changes.map(\.change), dataset: dataset, store: context.statistics, compute: compute,
      monitor: monitor, diagnostics: diagnostics)
    try model.checkpoint.requireIntact()
    return PrunePreview.result(
      model: params.model, revision: state.revision.id, dataset: params.dataset,
      previews: zip(changes, result.changes).map { PrunePreview.Preview($0.name, $1) },
      statistics: StatisticsFacts(reusedLayers: result.reusedLayers, neededLayers: result.neededLayers),
      diagnostics: diagnostics.json, seconds: monotonicSeconds() - start)
  }
}

extension ServerContext {
  /// The changes that a request is about, each with what it is called.
  fileprivate func changes(
    _ params: PrunePreview.Params, of model: LoadedModel, _ state: ModelState
  ) throws -> [(name: String, change: PreviewedChange)] {
    switch params.change {
    case .edits(let edits): return [("edits", .edits(edits.compactMap(Compression.MaskEdit.init)))]
    case .pruning(let change):
      let allocation = try change.pruning.allocation.map { try self.allocation($0, of: model) }
      return try change.targets.map { target in
        let plan = try plan(change.pruning, target: try SparsityTarget(target), of: model, state)
        if let fit = plan.blockCompensator { throw CompressionError.blockFitNotPreviewed(plugin: fit.id) }
        return (plan.target.description, .pruning(plan, allocation: allocation))
      }
    }
  }
}

extension PrunePreview.Preview {
  fileprivate init(_ target: String, _ change: ChangePreview) {
    let perToken = change.bytesPerToken, multiplications = change.multiplications, cuts = change.cutsUnits
    func forms(_ bytes: FormBytes) -> PrunePreview.Forms {
      PrunePreview.Forms(dense: bytes.dense, bitmask: bytes.bitmask, shrunk: cuts ? bytes.shrunk : nil)
    }
    func ratio(_ dense: Int, _ form: Int) -> Double { Double(dense) / Double(max(1, form)) }
    self.init(
      target: target, sparsity: change.sparsity, outputError: change.error.relative, bytes: forms(change.modelBytes),
      decoding: PrunePreview.Speedups(
        bitmask: ratio(perToken.dense, perToken.bitmask), shrunk: cuts ? ratio(perToken.dense, perToken.shrunk) : nil),
      forward: PrunePreview.Speedups(
        bitmask: 1, shrunk: cuts ? ratio(multiplications.dense, multiplications.shrunk) : nil),
      tensors: change.tensors.map {
        PrunePreview.Tensor(
          tensor: $0.name, sparsity: $0.sparsity, outputError: $0.error.relative, bytes: forms($0.bytes))
      })
  }
}
