// Sums of gradients over a calibration dataset: against plain sums over training passes, against the gradient of the
// mean loss, and against central differences of it.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct GradientSumsTests {
  static func dataset(_ family: TrainingFamily) throws -> Dataset {
    try Dataset(
      text: family.tokens, sequenceLength: 19, sequences: nil, sampling: .contiguous,
      vocabularySize: family.model.transformer.shape.vocabularySize)
  }

  static func sums(
    _ family: TrainingFamily, tensors: [String], training: GradientTraining? = nil,
    store: StatisticsStore = Engine.store()
  ) throws -> [String: GradientSums] {
    try gradientSums(
      family.model.state, dataset: dataset(family), tensors: tensors, training: training, store: store,
      compute: Engine.compute, monitor: Monitor())
  }

  /// The gradient of every tensor for each batch of sequences, masked, at the given weights.
  static func gradients(_ family: TrainingFamily, _ batches: [Range<Int>]) throws -> [ParameterBlock] {
    let model = family.model.transformer, compute = try Engine.compute, dataset = try dataset(family)
    let parameters = Parameters(model, copying: family.model.history.current, pool: compute.pool)
    return try batches.map { sequences in
      let batch = Batch(sequences: sequences.count, length: 19), tokens = dataset.tokens(ofSequences: sequences)
      let pass = TrainingPass(model, batch: batch, plan: .keepAll(model), compute: compute)
      let block = ParameterBlock(parameters.layout)
      try pass.forward(tokens, batch: batch, weights: parameters, cancellation: Cancellation())
      try pass.backward(
        through: CrossEntropy(
          targets: CrossEntropy.nextTokens(tokens, length: 19), scale: 1 / Float(18 * sequences.count)),
        weights: parameters, into: block, cancellation: Cancellation())
      block.apply(parameters.masks, compute: compute)
      return block
    }
  }

  static func values(_ block: ParameterBlock, _ name: String) -> [Double] {
    (0..<(block.layout.entries[name]?.count ?? 0)).map { Double(block[name][$0]) }
  }

  static let tolerance = Tolerance(absolute: 1e-7, relative: 2e-5)

  @Test(arguments: TrainingFamily.names, [false, true])
  func areThoseOfEachSequence(name: String, masked: Bool) throws {
    let family = try TrainingFamily(name, masked: masked)
    let tensors = Array(family.model.state.prunableTensors.keys)
    let sums = try Self.sums(family, tensors: tensors)
    #expect(Set(sums.keys) == Set(tensors))
    let each = try Self.gradients(family, [0..<1, 1..<2]), mean = try Self.gradients(family, [0..<2])
    for tensor in tensors {
      let own = try #require(sums[tensor])
      #expect(own.samples == 2 && own.steps == 0 && own.movement == nil)
      let (a, b) = (Self.values(each[0], tensor), Self.values(each[1], tensor))
      let sum = Numbers(zip(a, b).map { $0 + $1 }, dtype: .f32)
      let squares = Numbers(zip(a, b).map { $0 * $0 + $1 * $1 }, dtype: .f32)
      #expect(difference(Numbers(own.sum.readOnly), sum, Self.tolerance) == nil, "\(tensor)")
      #expect(difference(Numbers(own.sumOfSquares.readOnly), squares, Self.tolerance) == nil, "\(tensor)")
      let half = Numbers(own.sum.readOnly.map { $0 / 2 })
      let whole = Numbers(Self.values(mean[0], tensor), dtype: .f32)
      #expect(difference(half, whole, Tolerance(absolute: 1e-6, relative: 1e-4)) == nil, "\(tensor)")
      if let mask = family.model.history.current.tensor(tensor).mask {
        #expect(pruned(mask).allSatisfy { own.sum.pointer[$0] == 0 && own.sumOfSquares.pointer[$0] == 0 })
        #expect(!pruned(mask).isEmpty)
      }
    }
  }

  /// Along a direction in one tensor the mean loss falls as the sums say. (`checkGradients` holds single elements to
  /// central differences for every family; this holds the sums to the loss that perplexity measures.)
  @Test(arguments: ["model.layers.0.mlp.gate_proj.weight", "model.layers.1.self_attn.q_proj.weight"])
  func agreeWithCentralDifferences(tensor: String) throws {
    let family = try TrainingFamily("llama3"), model = family.model.transformer, compute = try Engine.compute
    let sums = try #require(try Self.sums(family, tensors: [tensor])[tensor])
    let parameters = Parameters(model, copying: family.model.history.current, pool: compute.pool)
    let batch = Batch(sequences: 2, length: 19), pass = model.makeForwardPass(batch: batch, compute: compute)
    let hidden = FloatBuffer(count: 38 * model.shape.hiddenSize)
    func loss() throws -> Double {
      pass.embed(family.tokens, into: hidden.pointer, batch: batch, weights: parameters)
      for layer in 0..<model.shape.layers {
        try pass.layer(
          layer, hidden: hidden.pointer, batch: batch, weights: parameters, cancellation: Cancellation())
      }
      let losses = try pass.nextTokenLosses(
        hidden: hidden.pointer, tokens: family.tokens, batch: batch, weights: parameters,
        cancellation: Cancellation())
      return losses.reduce(0, +) / Double(losses.count)
    }
    let weights = parameters.block[tensor], before = (0..<sums.sum.count).map { weights[$0] }
    let norm = sums.sum.readOnly.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    let direction = sums.sum.readOnly.map { Double($0) / norm }
    func moved(_ step: Double) throws -> Double {
      for index in before.indices { weights[index] = Float(Double(before[index]) + step * direction[index]) }
      return try loss()
    }
    let step = 0.02, slope = try (moved(step) - moved(-step)) / (2 * step)
    #expect(abs(slope - norm / 2) < 0.01 * norm / 2, "slope \(slope), sum \(norm / 2)")
    #expect(norm > 1e-3)
  }

  /// Training by hand: SGD in double over the gradients of each step.
  @Test func movementIsThatOfSteps() throws {
    let family = try TrainingFamily("llama3", masked: true), tensors = Array(family.model.state.prunableTensors.keys)
    let model = family.model.transformer, compute = try Engine.compute, dataset = try Self.dataset(family)
    let training = GradientTraining(steps: 3, learningRate: 0.05)
    let sums = try Self.sums(family, tensors: tensors, training: training)
    let parameters = Parameters(model, copying: family.model.history.current, pool: compute.pool)
    let batch = Batch(sequences: 1, length: 19)
    let pass = TrainingPass(model, batch: batch, plan: .keepAll(model), compute: compute)
    var expected: [String: (sum: [Double], movement: [Double])] = [:]
    for step in 0..<3 {
      let tokens = dataset.tokens(ofSequences: step % 2..<step % 2 + 1), block = ParameterBlock(parameters.layout)
      try pass.forward(tokens, batch: batch, weights: parameters, cancellation: Cancellation())
      try pass.backward(
        through: CrossEntropy(targets: CrossEntropy.nextTokens(tokens, length: 19), scale: 1 / 18),
        weights: parameters, into: block, cancellation: Cancellation())
      block.apply(parameters.masks, compute: compute)
      for tensor in tensors {
        let g = Self.values(block, tensor), w = Self.values(parameters.block, tensor)
        let zeros = [Double](repeating: 0, count: g.count), old = expected[tensor] ?? (zeros, zeros)
        expected[tensor] = (zip(old.sum, g).map(+), zip(old.movement, zip(w, g)).map { $0 + $1.0 * $1.1 })
      }
      for (name, entry) in parameters.layout.entries {
        for index in 0..<entry.count {
          parameters.block[name][index] = Float(
            Double(parameters.block[name][index]) - 0.05 * Double(block[name][index]))
        }
      }
    }
    let still = try Self.sums(family, tensors: tensors)
    for tensor in tensors {
      let own = try #require(sums[tensor]), movement = try #require(own.movement), hand = try #require(expected[tensor])
      #expect(own.samples == 3 && own.steps == 3)
      let tolerance = Tolerance(absolute: 1e-6, relative: 1e-4)
      #expect(difference(Numbers(own.sum.readOnly), Numbers(hand.sum, dtype: .f32), tolerance) == nil, "\(tensor)")
      #expect(difference(Numbers(movement.readOnly), Numbers(hand.movement, dtype: .f32), tolerance) == nil)
      let unmoved = try #require(still[tensor])
      #expect(difference(Numbers(own.sum.readOnly), Numbers(unmoved.sum.readOnly), tolerance) != nil)
    }
  }

  @Test func adamWMovesOtherwise() throws {
    let family = try TrainingFamily("llama3"), name = "model.layers.0.mlp.up_proj.weight"
    let a = try #require(
      try Self.sums(family, tensors: [name], training: GradientTraining(steps: 3, learningRate: 1e-3))[name])
    let b = try #require(
      try Self.sums(
        family, tensors: [name], training: GradientTraining(steps: 3, learningRate: 1e-3, optimizer: .adamW))[name])
    #expect(!zip(a.sum.readOnly, b.sum.readOnly).allSatisfy { $0 == $1 })
  }

  @Test func areRemembered() throws {
    let family = try TrainingFamily("llama3"), store = Engine.store()
    let names = Array(family.model.state.prunableTensors.keys.prefix(3))
    let first = try Self.sums(family, tensors: [names[0], names[1]], store: store)
    let more = try Self.sums(family, tensors: names, store: store)
    #expect(more[names[0]] === first[names[0]] && more[names[1]] === first[names[1]] && more.count == 3)
    let trained = try Self.sums(
      family, tensors: names, training: GradientTraining(steps: 1, learningRate: 0), store: store)
    #expect(trained[names[0]] !== first[names[0]] && store.count == 6)
    try CalibrationTests.prune(family.model, layer: 1)
    #expect(try Self.sums(family, tensors: names, store: store)[names[0]] !== first[names[0]], "of another revision")
  }

  @Test func comeBackFromDisk() throws {
    let folder = TemporaryFolder(), family = try TrainingFamily("llama3")
    let store = StatisticsStore(memoryBytes: 0, diskBytes: 4 << 20, folder: folder.path)
    let name = "model.layers.0.mlp.up_proj.weight"
    func bits(_ buffer: FloatBuffer?) -> [UInt32]? { buffer?.readOnly.map(\.bitPattern) }
    for training in [nil, GradientTraining(steps: 2, learningRate: 1e-3)] {
      let a = try #require(try Self.sums(family, tensors: [name], training: training, store: store)[name])
      let b = try #require(try Self.sums(family, tensors: [name], training: training, store: store)[name])
      #expect(a !== b && a.samples == b.samples && a.steps == b.steps)
      #expect(bits(a.sum) == bits(b.sum) && bits(a.sumOfSquares) == bits(b.sumOfSquares))
      #expect(bits(a.movement) == bits(b.movement) && (a.movement == nil) == (training == nil))
    }
    #expect(store.counters.hits == 2)
  }

  @Test func refusals() throws {
    let family = try TrainingFamily("llama3")
    #expect(throws: CompressionError.tensorNotFound(name: "x", nearest: [])) { try Self.sums(family, tensors: ["x"]) }
    for (steps, rate) in [(0, 1e-3), (1, -1), (1, .nan), (1, .infinity)] as [(Int, Double)] {
      let error = try #require(throws: TrainingError.self) {
        try Self.sums(family, tensors: [], training: GradientTraining(steps: steps, learningRate: rate))
      }
      #expect(error.kind == "scheduleInvalid")
    }
  }
}
