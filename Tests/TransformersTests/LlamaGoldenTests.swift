// The forward pass against PyTorch: hidden states after every layer, and per-token losses, of tiny random models in
// every layout and type that weights come in. The goldens say how they were made (Goldens/llama_goldens.py).

import Checkpoints
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// What went through a model: the hidden state after the embedding and after each layer, and the losses.
struct ForwardResult {
  var hidden: [Float] = []
  var losses: [Double] = []
}

func forward(
  _ model: TestModel, weights: (any WeightSource)? = nil, tokens: [Int32], batch: Batch, compute: Compute,
  observer: LinearInputObserver? = nil
) throws -> ForwardResult {
  let weights = weights ?? model.history.current
  let pass = model.transformer.makeForwardPass(batch: batch, compute: compute)
  let hidden = FloatBuffer(count: batch.tokens * model.transformer.shape.hiddenSize)
  var result = ForwardResult()
  pass.embed(tokens, into: hidden.pointer, batch: batch, weights: weights)
  result.hidden += hidden.readOnly
  for layer in 0..<model.transformer.shape.layers {
    try pass.layer(
      layer, hidden: hidden.pointer, batch: batch, weights: weights, cancellation: Cancellation(), observer: observer)
    result.hidden += hidden.readOnly
  }
  result.losses = try pass.nextTokenLosses(
    hidden: hidden.pointer, tokens: tokens, batch: batch, weights: weights, cancellation: Cancellation())
  return result
}

@Suite struct LlamaGoldenTests {
  static let compute = Result { try Compute(pool: ComputePool(threads: 2)) }
  static let batch = Batch(sequences: 2, length: 19)

  static func tokens(_ golden: Golden) throws -> [Int32] { try golden.numbers("tokens").values.map { Int32($0) } }

  @Test(arguments: TestModel.tiny)
  func agreesWithPyTorch(name: String) throws {
    let model = try TestModel(tiny: name), golden = try TestModel.golden(tiny: name)
    let result = try forward(
      model, tokens: Self.tokens(golden), batch: Self.batch, compute: Self.compute.get())
    let shape = model.transformer.shape
    let hidden = Numbers(result.hidden, shape: [shape.layers + 1, 2, 19, shape.hiddenSize])
    #expect(try golden.difference(hidden, from: "hidden", Tolerance(absolute: 1e-5, relative: 2e-5)) == nil)
    let losses = Numbers(result.losses, shape: [2, 18])
    #expect(try golden.difference(losses, from: "losses", Tolerance(relative: 2e-5)) == nil)
  }

  /// A test of the test: a model with one weight off by a hundredth does not pass.
  @Test(arguments: TestModel.tiny, ["self_attn.k_proj", "mlp.down_proj", "input_layernorm"])
  func smallFaultsShow(name: String, part: String) throws {
    let model = try TestModel(tiny: name), golden = try TestModel.golden(tiny: name)
    let tensor = model.history.current.tensor("model.layers.1.\(part).weight")
    var values = [Float](repeating: 0, count: tensor.rows * tensor.columns)
    for row in 0..<tensor.rows { tensor.readRow(row, into: &values[row * tensor.columns]) }
    values[values.count / 2] += 0.1
    let replaced = MaskedTensor(weights: try #require(TensorView(guarding: values, shape: tensor.weights.shape)))
    let weights = Replacing(
      base: model.history.current, name: "model.layers.1.\(part).weight", replacement: replaced)
    let result = try forward(
      model, weights: weights, tokens: Self.tokens(golden), batch: Self.batch, compute: Self.compute.get())
    let losses = Numbers(result.losses, shape: [2, 18])
    #expect(try golden.difference(losses, from: "losses", Tolerance(relative: 2e-5)) != nil)
  }

  /// Sequences do not see each other, nor does it matter how many go together.
  @Test(arguments: TestModel.tiny)
  func sequencesAreIndependent(name: String) throws {
    let model = try TestModel(tiny: name), compute = try Self.compute.get()
    let tokens = try Self.tokens(try TestModel.golden(tiny: name))
    let together = try forward(model, tokens: tokens, batch: Self.batch, compute: compute).losses
    let alone = try [tokens[..<19], tokens[19...]].flatMap {
      try forward(model, tokens: Array($0), batch: Batch(sequences: 1, length: 19), compute: compute).losses
    }
    #expect(difference(Numbers(together), Numbers(alone), Tolerance(relative: 1e-6)) == nil)
  }

  /// Later tokens do not change what earlier positions predict.
  @Test(arguments: TestModel.tiny)
  func attentionIsCausal(name: String) throws {
    let model = try TestModel(tiny: name), compute = try Self.compute.get()
    let tokens = Array(try Self.tokens(try TestModel.golden(tiny: name))[..<19])
    let whole = try forward(model, tokens: tokens, batch: Batch(sequences: 1, length: 19), compute: compute).losses
    let start = try forward(
      model, tokens: Array(tokens[..<8]), batch: Batch(sequences: 1, length: 8), compute: compute
    ).losses
    #expect(difference(Numbers(start), Numbers(Array(whole[..<7])), Tolerance(relative: 1e-6)) == nil)
  }

  @Test func sameRequestSameBits() throws {
    let model = try TestModel(tiny: "tied-bf16"), compute = try Self.compute.get()
    let tokens = try Self.tokens(try TestModel.golden(tiny: "tied-bf16"))
    let first = try forward(model, tokens: tokens, batch: Self.batch, compute: compute)
    let second = try forward(model, tokens: tokens, batch: Self.batch, compute: compute)
    #expect(first.losses == second.losses && first.hidden == second.hidden)
  }

  /// A pass made for larger batches serves smaller ones, with what an earlier batch left in its memory.
  @Test func workingMemoryIsNoState() throws {
    let model = try TestModel(tiny: "grouped-f32"), compute = try Self.compute.get()
    let tokens = try Self.tokens(try TestModel.golden(tiny: "grouped-f32"))
    let pass = model.transformer.makeForwardPass(batch: Batch(sequences: 4, length: 19), compute: compute)
    let hidden = FloatBuffer(count: 4 * 19 * 24)
    func losses(_ tokens: [Int32], _ batch: Batch) throws -> [Double] {
      pass.embed(tokens, into: hidden.pointer, batch: batch, weights: model.history.current)
      for layer in 0..<2 {
        try pass.layer(
          layer, hidden: hidden.pointer, batch: batch, weights: model.history.current, cancellation: Cancellation(),
          observer: nil)
      }
      return try pass.nextTokenLosses(
        hidden: hidden.pointer, tokens: tokens, batch: batch, weights: model.history.current,
        cancellation: Cancellation())
    }
    _ = try losses(tokens + tokens.reversed(), Batch(sequences: 4, length: 19))
    let expected = try forward(model, tokens: tokens, batch: Self.batch, compute: compute).losses
    let actual = try losses(tokens, Self.batch)
    #expect(difference(Numbers(actual), Numbers(expected), Tolerance(relative: 1e-6)) == nil)
  }

  /// The observer sees each linear map's input before the map: what it would multiply gives the map's output.
  @Test func observerSeesEveryInputInOrder() throws {
    let model = try TestModel(tiny: "grouped-f32")
    let tokens = try Self.tokens(try TestModel.golden(tiny: "grouped-f32"))
    var seen: [LinearInput] = []
    _ = try forward(
      model, tokens: tokens, batch: Self.batch, compute: Self.compute.get(),
      observer: { input, activations, rows in
        seen.append(input)
        #expect(rows == 38)
        #expect(UnsafeBufferPointer(start: activations, count: rows * input.columns).contains { $0 != 0 })
      })
    #expect(seen == (0..<2).flatMap { model.transformer.linearInputs(layer: $0) })
  }

  @Test func cancelledPassThrows() throws {
    let model = try TestModel(tiny: "grouped-f32")
    let pass = model.transformer.makeForwardPass(batch: Batch(sequences: 1, length: 4), compute: try Self.compute.get())
    let hidden = FloatBuffer(count: 4 * 24)
    hidden.values.initialize(repeating: 1)
    let cancellation = Cancellation()
    cancellation.cancel()
    #expect(throws: Cancelled.self) {
      try pass.layer(
        0, hidden: hidden.pointer, batch: Batch(sequences: 1, length: 4), weights: model.history.current,
        cancellation: cancellation, observer: nil)
    }
    #expect(throws: Cancelled.self) {
      try pass.nextTokenLosses(
        hidden: hidden.pointer, tokens: [1, 2, 3, 4], batch: Batch(sequences: 1, length: 4),
        weights: model.history.current, cancellation: cancellation)
    }
  }
}

/// A model's weights with one tensor exchanged.
struct Replacing: WeightSource {
  let base: any WeightSource
  let name: String
  let replacement: MaskedTensor

  func tensor(_ name: String) -> MaskedTensor { name == self.name ? replacement : base.tensor(name) }
}
