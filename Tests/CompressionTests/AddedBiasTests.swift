// Biases that an edit added to linear maps: statistics, gradients and regions are those of the model with them.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct AddedBiasTests {
  static let map = "model.layers.1.mlp.up_proj.weight"

  /// Adds a bias to a map of layer 1.
  static func addBias(_ model: TestModel, size: Float) throws {
    let rows = model.history.current.tensor(map).rows
    let view = try #require(TensorView(guarding: [Float](repeating: size, count: rows), shape: [rows]))
    var tensors = model.history.current.tensors
    tensors["model.layers.1.mlp.up_proj.bias"] = StoredTensor(weights: WeightsBlob(view), biasOf: map)
    model.history.commit(Operation(method: "prune/run", summary: ""), tensors: tensors)
  }

  @Test func layersBeforeItStayRemembered() throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let store = Engine.store(), dense = try CalibrationTests.calibrated(model.state, dataset, store: store)
    try Self.addBias(model, size: 0.5)
    let after = try CalibrationTests.calibrated(model.state, dataset, store: store)
    #expect(after.reusedLayers == 1)
    let (a, b) = (after.moments(1), dense.moments(1))
    #expect(a[0] == b[0] && a[2] == b[2] && a[3] != b[3], "the input of the last map is behind the bias")
    try Self.addBias(model, size: 0.25)
    #expect(try CalibrationTests.calibrated(model.state, dataset, store: store).reusedLayers == 1)
    _ = try model.history.undo()
    #expect(try CalibrationTests.calibrated(model.state, dataset, store: store).reusedLayers == 2)
  }

  /// A copy of the weights, as training has it, computes with the bias as the revision does.
  @Test func gradientsSeeIt() throws {
    let family = try TrainingFamily("llama3", masked: true), tensors = [Self.map, "model.layers.0.mlp.up_proj.weight"]
    let before = try GradientSumsTests.sums(family, tensors: tensors)
    try Self.addBias(family.model, size: 0.5)
    let after = try GradientSumsTests.sums(family, tensors: tensors)
    let copied = try GradientSumsTests.sums(
      family, tensors: tensors, training: GradientTraining(steps: 2, learningRate: 0))
    for tensor in tensors {
      let (a, b, c) = (try #require(before[tensor]), try #require(after[tensor]), try #require(copied[tensor]))
      #expect(!a.sum.readOnly.elementsEqual(b.sum.readOnly))
      #expect(b.sum.readOnly.elementsEqual(c.sum.readOnly))
    }
  }

  @Test func regionsSeeIt() throws {
    let bare = try RegionTests.Scene("llama3", layer: 1), scene = try RegionTests.Scene("llama3", layer: 1) {
      try Self.addBias($0, size: 0.5)
    }
    let targets = FloatBuffer(count: scene.count), without = FloatBuffer(count: scene.count)
    for (index, value) in try scene.output().enumerated() { targets.pointer[index] = Float(value) }
    for (index, value) in try bare.output().enumerated() { without.pointer[index] = Float(value) }
    func loss(_ targets: FloatBuffer) throws -> Double {
      let region = try BlockRegion(
        scene.model, layer: 1, matrices: [], weights: scene.family.model.history.current,
        inputs: scene.states.hidden, targets: targets, sequences: 2, length: 19, compute: scene.compute,
        cancellation: Cancellation())
      return try region.gradient(0..<2, weights: [], into: [])
    }
    #expect(try loss(targets) == 0)
    #expect(try loss(without) > 1e-6)
  }
}
