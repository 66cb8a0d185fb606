// Previews against plain loops over the real inputs of every linear map, and sizes against counts by hand.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// New weights are half of the kept ones, and a bias is added: nothing like what a mask alone does.
private struct Halving: Compensator {
  let description = CompensatorDescription(
    method: MethodDescription(id: "halving", version: "1", summary: ""), changesBias: true)

  func compensate(
    _ matrix: MatrixInput, kept: UnsafeBufferPointer<UInt8>, budget: Budget?, parameters: [ParameterValue],
    weights: UnsafeMutableBufferPointer<Float>, bias: UnsafeMutableBufferPointer<Float>, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws {
    for index in weights.indices { weights[index] = kept[index] == 1 ? weights[index] / 2 : 0 }
    for index in bias.indices { bias[index] = 0.01 * Float(index + 1) }
  }
}

@Suite struct PreviewTests {
  private static func preview(
    _ state: ModelState, _ changes: [PreviewedChange], _ dataset: Dataset, store: StatisticsStore = Engine.store(),
    monitor: Monitor = Monitor(), diagnostics: Diagnostics = Diagnostics()
  ) throws -> Preview {
    try Compression.preview(
      state, changes: changes, dataset: dataset, store: store, compute: Engine.compute, monitor: monitor,
      diagnostics: diagnostics)
  }

  private static func plan(
    _ state: ModelState, _ target: SparsityTarget, by selector: any Selector = Magnitude(), group: MaskGroup = .matrix,
    modules: [String]? = nil
  ) throws -> PruningPlan {
    PruningPlan(
      method: .selector(Criterion(selector)), target: target, group: group,
      tensors: try state.prunableTensors(matching: modules))
  }

  /// ‖(W' - W)X + b‖² and ‖WX‖² of a tensor by plain loops, on the inputs that the plain model gives.
  private static func naiveError(
    _ model: TestModel, _ dataset: Dataset, tensor: PrunableTensor, new: @escaping (Int, Int) -> Double,
    bias: @escaping (Int) -> Double
  ) throws -> OutputError {
    let naive = try NaiveLlama(model), old = Matrix(model.history.current.tensor(tensor.name))
    let site = try #require(
      zip(CalibrationTests.sites, model.transformer.linearInputs(layer: tensor.layer))
        .first { $0.1.tensors.contains(tensor.name) }?.0)
    var error = OutputError(change: 0, energy: 0)
    for sequence in 0..<dataset.sequences {
      var hidden = naive.embed(dataset.tokens(ofSequences: sequence..<sequence + 1))
      for layer in 0...tensor.layer {
        hidden = naive.layer(layer, hidden) { _, place, input in
          guard layer == tensor.layer, place == site else { return }
          for t in 0..<input.rows {
            for row in 0..<tensor.rows {
              let was = (0..<tensor.columns).reduce(0) { $0 + old[row, $1] * input[t, $1] }
              let is_ = (0..<tensor.columns).reduce(bias(row)) { $0 + new(row, $1) * input[t, $1] }
              error.energy += was * was
              error.change += (is_ - was) * (is_ - was)
            }
          }
        }
      }
    }
    return error
  }

  @Test(arguments: ["grouped-f32", "tied-bf16"])
  func errorsAreThoseOfTheOutputs(name: String) throws {
    let model = try TestModel(tiny: name), state = model.state, dataset = try TestModel.goldenDataset(tiny: name)
    var compensated = try Self.plan(state, .ratio(0.4))
    compensated.compensator = Configured(Halving())
    let plans = [try Self.plan(state, .ratio(0.5)), try Self.plan(state, .pattern(prune: 2, of: 4)), compensated]
    let result = try Self.preview(state, plans.map { .pruning($0) }, dataset)
    #expect(result.changes.count == 3 && result.reusedLayers == 0 && result.neededLayers == 2)
    for (plan, change) in zip(plans, result.changes) {
      let pruned = try pruneAtOnce(
        state, plan: plan, dataset: dataset, store: Engine.store(), compute: Engine.compute, monitor: Monitor(),
        diagnostics: Diagnostics())
      var total = OutputError(change: 0, energy: 0)
      for tensor in change.tensors {
        let new = try #require(pruned.tensors[tensor.name]), prunable = try state.prunableTensor(tensor.name)
        let old = Matrix(state.revision.tensor(tensor.name))
        let expected = try Self.naiveError(model, dataset, tensor: prunable) { row, column in
          if let weights = new.weights { return Double(weights.pointer[row * prunable.columns + column]) }
          return new.mask.isKept(row: row, column: column) ? old[row, column] : 0
        } bias: { row in
          Double(new.bias?[row] ?? 0)
        }
        #expect(abs(tensor.error.relative / expected.relative - 1) < 1e-4, "\(tensor.name)")
        #expect(abs(tensor.error.energy / expected.energy - 1) < 1e-4)
        total = total + expected
      }
      #expect(change.tensors.count == 14)
      #expect(abs(change.error.relative / total.relative - 1) < 1e-4)
    }
  }

  /// More pruning hurts the outputs more; nothing pruned, nothing changed; all pruned, all lost, and it is said.
  @Test func sanity() throws {
    let state = try TestModel(tiny: "grouped-f32").state, dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let diagnostics = Diagnostics()
    let ratios = [0, 0.2, 0.5, 0.8]
    let result = try Self.preview(
      state, ratios.map { .pruning(try Self.plan(state, .ratio($0), by: Wanda(), group: .row)) }, dataset,
      diagnostics: diagnostics)
    let errors = result.changes.map(\.error.relative)
    #expect(errors[0] == 0 && errors.sorted() == errors && Set(errors).count == 4 && errors[3] < 1)
    #expect(diagnostics.all.kept.isEmpty)
    let gone = try Self.preview(state, [.pruning(try Self.plan(state, .ratio(1)))], dataset, diagnostics: diagnostics)
    #expect(gone.changes[0].tensors.allSatisfy { abs($0.error.relative - 1) < 1e-6 && $0.sparsity == 1 })
    #expect(diagnostics.all.kept.map(\.kind) == [String](repeating: "collapsed", count: 14))
    #expect(Set(diagnostics.all.kept.compactMap(\.tensor)).count == 14)
  }

  /// On a revision that is pruned already the error is relative to what that revision says.
  @Test func ofAPrunedRevision() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let name = "model.layers.0.mlp.up_proj.weight"
    let first = MaskEdit(.prune, .rows(tensor: name, [0, 1])), same = try edit(model.state, [first]).masks
    let pruned = model.commit(same)
    let again = try Self.preview(pruned, [.edits([first])], dataset).changes[0]
    #expect(again.error.relative == 0 && again.tensors.map(\.name) == [name])
    let restored = try Self.preview(pruned, [.edits([MaskEdit(.restore, .tensor(name))])], dataset).changes[0]
    let tensor = try pruned.prunableTensor(name)
    let stored = Matrix(MaskedTensor(weights: pruned.revision.tensor(name).weights))
    let expected = try Self.naiveError(model, dataset, tensor: tensor, new: { stored[$0, $1] }, bias: { _ in 0 })
    #expect(abs(restored.error.relative / expected.relative - 1) < 1e-4 && restored.sparsity == 0)
  }

  /// Each tensor loses what the allocation says, and the error is that of the pruning so allocated.
  @Test func allocated() throws {
    let state = try TestModel(tiny: "grouped-f32").state, dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let plan = try Self.plan(state, .ratio(0.5))
    var allocation = AllocationRequest()
    allocation.pins = [("model.layers.0.*", 0.25)]
    let preview = try Self.preview(state, [.pruning(plan, allocation: allocation), .pruning(plan)], dataset)
    let allocated = try plan.allocating(
      allocation, of: state, dataset: nil, store: Engine.store(), compute: Engine.compute, monitor: Monitor(),
      diagnostics: Diagnostics())
    let same = try Self.preview(state, [.pruning(allocated)], dataset).changes[0]
    let (change, even) = (preview.changes[0], preview.changes[1])
    #expect(change.tensors.map(\.sparsity) == same.tensors.map(\.sparsity) && change.error == same.error)
    #expect(change.tensors.filter { $0.name.contains("layers.0.") }.allSatisfy { $0.sparsity == 0.25 })
    #expect(abs(change.sparsity - 0.5) < 1e-3 && change.error != even.error)
  }

  /// Statistics are remembered: nothing is calibrated twice.
  @Test func warm() throws {
    let state = try TestModel(tiny: "grouped-f32").state, dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let store = Engine.store(), change = PreviewedChange.pruning(try Self.plan(state, .ratio(0.5)))
    let cold = try Self.preview(state, [change], dataset, store: store)
    let warm = try Self.preview(state, [change], dataset, store: store)
    #expect(cold.reusedLayers == 0 && warm.reusedLayers == 2 && warm.neededLayers == 2)
    #expect(cold.changes[0].error == warm.changes[0].error, "the same bits")
  }

  @Test func sizesByHand() throws {
    let model = try TestModel(tiny: "grouped-f32"), state = model.state
    let dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let all = state.revision.tensors.values.reduce(0) { $0 + 4 * $1.elementCount }
    let looked = 4 * 67 * 24  // the embedding is looked up; the head is a tensor of its own
    // A row of 24 or 56 weights has 3 or 7 bytes of mask. Half of each matrix of 24 columns and of 56 stays.
    let half = try Self.preview(state, [.pruning(try Self.plan(state, .ratio(0.5)))], dataset).changes[0]
    var bitmask = all, dense = 0
    for tensor in state.prunableTensors.values {
      let kept = tensor.elementCount - tensor.elementCount / 2
      bitmask += 4 * kept + tensor.rows * ((tensor.columns + 7) / 8 + 8) - 4 * tensor.elementCount
      dense += 4 * tensor.elementCount
    }
    #expect(half.modelBytes == FormBytes(dense: all, bitmask: bitmask, shrunk: all) && !half.cutsUnits)
    #expect(half.tensors.reduce(0) { $0 + $1.bytes.dense } == dense)
    #expect(half.bytesPerToken.dense == all - looked && half.bytesPerToken.bitmask == bitmask - looked)
    #expect(half.multiplications.dense == half.multiplications.shrunk)
    // Head 1 of 3 (8 rows of q, 8 columns of o) and two neurons of 56 of layer 1.
    let cut = try Self.preview(
      state, [.edits([MaskEdit(.prune, .heads(layer: 1, [1])), MaskEdit(.prune, .neurons(layer: 1, [0, 55]))])],
      dataset
    ).changes[0]
    let gone = 8 * 24 * 2 + 2 * 24 * 3
    #expect(cut.cutsUnits && cut.modelBytes.dense == all && cut.modelBytes.shrunk == all - 4 * gone)
    #expect(cut.multiplications.dense - cut.multiplications.shrunk == gone)
    #expect(cut.multiplications.dense == dense / 4 + 67 * 24)
    #expect(cut.bytesPerToken.shrunk == all - looked - 4 * gone)
    // A neuron goes with its column of the last map; its rows alone are no unit.
    let down = "model.layers.1.mlp.down_proj.weight", up = "model.layers.1.mlp.up_proj.weight"
    let column = try Self.preview(state, [.edits([MaskEdit(.prune, .columns(tensor: down, [0]))])], dataset).changes[0]
    #expect(column.cutsUnits && column.modelBytes.shrunk == all - 4 * 24 * 3)
    let row = try Self.preview(state, [.edits([MaskEdit(.prune, .rows(tensor: up, [0]))])], dataset).changes[0]
    #expect(!row.cutsUnits && row.modelBytes.shrunk == all)
  }

  /// The form `shrunk` takes what shrinking then leaves, whatever goes with the units or has to stay.
  @Test(arguments: [
    MaskEdit.Place.heads(layer: 0, [0]), .heads(layer: 0, [0, 1]), .heads(layer: 0, [0, 2]),
    .heads(layer: 1, [0, 1, 2, 3]), .neurons(layer: 1, [0, 5]), .layers([1]), .channels([0, 7]),
  ])
  func shrunkIsWhatShrinkingLeaves(place: MaskEdit.Place) throws {
    let dense = try Shrinkable("qwen3"), state = dense.state
    let dataset = try TestModel.goldenDataset(tiny: "qwen3"), edits = [MaskEdit(.prune, place)]
    let looked = try Self.preview(state, [.edits(edits)], dataset).changes[0]
    let masks = try edit(state, edits).masks.mapValues(MaskBlob.init)
    let masked = dense.replacing(Dictionary(uniqueKeysWithValues: masks.map { ($0.key, $0.value) }))
    let small = try masked.shrunk().result.tensors.values.reduce(0) { $0 + $1.weights.view.byteCount }
    #expect(looked.modelBytes.shrunk == small)
    let whole = state.revision.tensors.values.reduce(0) { $0 + $1.weights.view.byteCount }
    #expect(looked.cutsUnits == (small < whole) && looked.modelBytes.dense == whole)
  }

  @Test func wrongInputs() throws {
    let state = try TestModel(tiny: "grouped-f32").state, dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    #expect(throws: CompressionError.self) {
      try Self.preview(state, [.pruning(try Self.plan(state, .pattern(prune: 2, of: 5)))], dataset)
    }
    #expect(throws: CompressionError.self) {
      try Self.preview(state, [.edits([MaskEdit(.prune, .heads(layer: 9, [0]))])], dataset)
    }
    let long = try TestModel.randomDataset(seed: 1, sequences: 1, length: 65)
    #expect(throws: TransformerError.self) {
      try Self.preview(state, [.pruning(try Self.plan(state, .ratio(0.5)))], long)
    }
  }

  @Test func cancelled() throws {
    let state = try TestModel(tiny: "grouped-f32").state
    let dataset = try TestModel.randomDataset(seed: 3, sequences: 130, length: 19)
    for reports in stride(from: 1, through: 15, by: 2) {
      #expect(throws: Cancelled.self) {
        try Self.preview(
          state, [.pruning(try Self.plan(state, .ratio(0.5)))], dataset, monitor: cancelling(afterReports: reports))
      }
    }
  }
}
