// A block by itself: the gradients of the norm of its output and of its distance to another against central
// differences.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct RegionTests {
  /// A family's layer with what enters it for two sequences of 19 tokens.
  struct Scene {
    let family: TrainingFamily
    let layer: Int
    let compute: Compute
    let parameters: Parameters
    let states: DatasetStates
    private let pass: ForwardPass

    var model: Transformer { family.model.transformer }
    var count: Int { states.hidden.count }

    /// - Parameter change: made to the model first.
    init(
      _ name: String, layer: Int, masked: Bool = false, change: (TestModel) throws -> Void = { _ in }
    ) throws {
      family = try TrainingFamily(name, masked: masked)
      try change(family.model)
      self.layer = layer
      compute = try Engine.compute
      let model = family.model.transformer
      parameters = Parameters(model, copying: family.model.history.current, pool: compute.pool)
      pass = model.makeForwardPass(batch: Batch(sequences: 2, length: 19), compute: compute)
      states = try DatasetStates(model, dataset: try GradientSumsTests.dataset(family), compute: compute)
      states.embed(weights: parameters)
      for before in 0..<layer {
        try states.advance(through: before, weights: parameters, cancellation: Cancellation())
      }
    }

    /// The layer's output at the present weights, by the forward pass.
    func output() throws -> [Double] {
      let hidden = FloatBuffer(count: count)
      hidden.pointer.update(from: states.hidden.pointer, count: count)
      try pass.layer(
        layer, hidden: hidden.pointer, batch: Batch(sequences: 2, length: 19), weights: parameters,
        cancellation: Cancellation())
      return (0..<count).map { Double(hidden.pointer[$0]) }
    }

    /// The slope of `loss` along `gradient` in one tensor by central differences, and what `gradient` says it is.
    func slopes(
      _ tensor: String, _ gradient: [Double], step: Double = 0.02, loss: ([Double]) -> Double
    ) throws -> (numeric: Double, analytic: Double) {
      let weights = parameters.block[tensor], before = gradient.indices.map { weights[$0] }
      let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
      defer { for index in before.indices { weights[index] = before[index] } }
      func moved(_ step: Double) throws -> Double {
        for index in before.indices { weights[index] = Float(Double(before[index]) + step * gradient[index] / norm) }
        return loss(try output())
      }
      return (try (moved(step) - moved(-step)) / (2 * step), norm)
    }
  }

  static func norm(_ values: some Sequence<Double>) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  @Test(arguments: ["llama3", "qwen2", "qwen3", "gemma3_text", "gpt2"], [0, 1])
  func regionalGradientsAgreeWithCentralDifferences(name: String, layer: Int) throws {
    let scene = try Scene(name, layer: layer), half = scene.count / 2
    let tensors = scene.family.model.state.prunableTensors.values.filter { $0.layer == layer }
    let sums = try regionalGradients(
      scene.family.model.state, dataset: GradientSumsTests.dataset(scene.family), tensors: tensors,
      store: Engine.store(), compute: scene.compute, monitor: Monitor())
    #expect(sums.count == tensors.count)
    for tensor in tensors {
      let own = try #require(sums[tensor.name])
      #expect(own.samples == 2 && own.steps == 0 && own.movement == nil)
      let slopes = try scene.slopes(tensor.name, own.sum.readOnly.map(Double.init)) {
        Self.norm($0[..<half]) + Self.norm($0[half...])
      }
      #expect(abs(slopes.numeric - slopes.analytic) < 0.01 * slopes.analytic, "\(tensor.name): \(slopes)")
      #expect(slopes.analytic > 1e-3)
      #expect(zip(own.sum.readOnly, own.sumOfSquares.readOnly).allSatisfy { $1 >= 0.49 * $0 * $0 }, "two sequences")
    }
  }

  /// A layer on states that are given is the same as on the way through the model; what is remembered comes again.
  @Test func wayThroughTheModel() throws {
    let scene = try Scene("llama3", layer: 1, masked: true), store = Engine.store()
    let tensors = Array(scene.family.model.state.prunableTensors.values)
    let dataset = try GradientSumsTests.dataset(scene.family), state = scene.family.model.state
    func sums(_ tensors: [PrunableTensor]) throws -> [String: GradientSums] {
      try regionalGradients(
        state, dataset: dataset, tensors: tensors, store: store, compute: scene.compute, monitor: Monitor())
    }
    let all = try sums(tensors), names = tensors.filter { $0.layer == 1 }.map(\.name)
    let given = try regionalGradients(
      ofLayer: 1, of: scene.model, entering: scene.states.hidden.pointer, sequences: 2, length: 19,
      weights: state.revision, tensors: names, compute: scene.compute, cancellation: Cancellation())
    #expect(all.count == tensors.count && given.count == names.count)
    for name in names {
      let (a, b) = (try #require(all[name]), try #require(given[name]))
      #expect(a.sum.readOnly.elementsEqual(b.sum.readOnly))
      #expect(a.sumOfSquares.readOnly.elementsEqual(b.sumOfSquares.readOnly))
      if let mask = state.revision.tensor(name).mask {
        #expect(!pruned(mask).isEmpty && pruned(mask).allSatisfy { a.sum.pointer[$0] == 0 })
      }
    }
    let again = try sums(tensors)
    #expect(tensors.allSatisfy { again[$0.name] === all[$0.name] })
  }

  @Test(arguments: ["llama3", "qwen2", "gemma3_text", "gpt2"])
  func regionAgreesWithCentralDifferences(name: String) throws {
    let layer = 1, scene = try Scene(name, layer: layer)
    let matrices = scene.family.model.state.prunableTensors.values.filter { $0.layer == layer }.map(\.name)
    var random = Seeded(4)
    let noise = random.floats(scene.count, scale: 0.3), dense = try scene.output()
    let targets = FloatBuffer(count: scene.count)
    for index in noise.indices { targets.pointer[index] = Float(dense[index]) + noise[index] }
    let region = try BlockRegion(
      scene.model, layer: layer, matrices: matrices, weights: scene.family.model.history.current,
      inputs: scene.states.hidden, targets: targets, sequences: 2, length: 19, compute: scene.compute,
      cancellation: Cancellation())
    let layout = scene.parameters.layout
    func gradient(_ range: Range<Int>) throws -> (loss: Double, gradients: [FloatBuffer]) {
      let buffers = try matrices.map { FloatBuffer(count: try #require(layout.entries[$0]).count) }
      let loss = try region.gradient(
        range, weights: matrices.map { UnsafePointer(scene.parameters.block[$0]) }, into: buffers.map(\.pointer))
      return (loss, buffers)
    }
    func distance(_ output: [Double]) -> Double {
      output.indices.reduce(0) { sum, index in
        let difference = output[index] - Double(targets.pointer[index])
        return sum + difference * difference
      } / Double(scene.count)
    }
    #expect(region.samples == 2)
    let whole = try gradient(0..<2)
    #expect(abs(whole.loss - distance(dense)) < 1e-6)
    for (matrix, values) in zip(matrices, whole.gradients) {
      let slopes = try scene.slopes(matrix, values.readOnly.map(Double.init), loss: distance)
      #expect(abs(slopes.numeric - slopes.analytic) < 0.02 * slopes.analytic, "\(matrix): \(slopes)")
    }
    // Parts are halves of the whole, and weights that move change the loss.
    let parts = try [gradient(0..<1), gradient(1..<2)]
    #expect(abs((parts[0].loss + parts[1].loss) / 2 - whole.loss) < 1e-6)
    let sum = zip(parts[0].gradients[0].readOnly, parts[1].gradients[0].readOnly).map { ($0 + $1) / 2 }
    let tolerance = Tolerance(absolute: 1e-7, relative: 1e-4)
    #expect(difference(Numbers(sum), Numbers(whole.gradients[0].readOnly), tolerance) == nil)
    scene.parameters.block[matrices[0]][3] += 1
    #expect(try gradient(0..<2).loss != whole.loss)
    #expect(throws: Cancelled.self) {
      let cancellation = Cancellation()
      cancellation.cancel()
      let cancelled = try BlockRegion(
        scene.model, layer: layer, matrices: [], weights: scene.family.model.history.current,
        inputs: scene.states.hidden, targets: targets, sequences: 2, length: 19, compute: scene.compute,
        cancellation: cancellation)
      _ = try cancelled.gradient(0..<2, weights: [], into: [])
    }
  }
}
