// Every family against PyTorch and transformers: hidden states, losses, and the gradient of every tensor, of one tiny
// random model each. The goldens say how they were made (Goldens/family_goldens.py).

import Checkpoints
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// A tiny model of a family, and what PyTorch computes for it.
struct Family {
  static let names = TestModel.families
  static let batch = Batch(sequences: 2, length: 19)
  static let compute = Result { try Compute(pool: ComputePool(threads: 2)) }

  let model: TestModel
  let golden: Golden
  let tokens: [Int32]

  init(_ name: String) throws {
    model = try TestModel(tiny: name)
    golden = try TestModel.golden(tiny: name)
    tokens = try golden.numbers("tokens").values.map { Int32($0) }
  }

  /// The mean of the 36 losses.
  var crossEntropy: CrossEntropy {
    CrossEntropy(targets: CrossEntropy.nextTokens(tokens, length: Self.batch.length), scale: 1 / 36)
  }

  /// Loss and gradients of a backward pass over the golden's tokens.
  func gradients(
    plan: ActivationPlan? = nil, parameters: Parameters? = nil
  ) throws -> (loss: Double, gradients: ParameterBlock) {
    let compute = try Self.compute.get(), transformer = model.transformer
    let parameters = parameters ?? Parameters(transformer, copying: model.history.current, pool: compute.pool)
    let gradients = ParameterBlock(parameters.layout)
    let pass = TrainingPass(
      transformer, batch: Self.batch, plan: plan ?? .keepAll(transformer), compute: compute)
    try pass.forward(tokens, batch: Self.batch, weights: parameters, cancellation: Cancellation())
    let loss = try pass.backward(
      through: crossEntropy, weights: parameters, into: gradients, cancellation: Cancellation())
    return (loss / 36, gradients)
  }

  /// How far a gradient is from the golden's: ‖a - b‖ / ‖b‖.
  func gradientError(
    _ gradients: ParameterBlock, _ name: String, from prefix: String = "gradient."
  ) throws -> Double {
    let stored = try golden.numbers(prefix + name)
    // Gradients come as [outputs, inputs], the golden's as the checkpoint stores the weights.
    let isTransposed = model.transformer.isTransposedInHuggingFace(name)
    let rows = stored.shape[0], columns = stored.shape.count > 1 ? stored.shape[1] : 1
    let ours = gradients[name]
    var difference = 0.0, norm = 0.0
    for row in 0..<rows {
      for column in 0..<columns {
        let expected = stored.values[row * columns + column]
        let actual = Double(ours[isTransposed ? column * rows + row : row * columns + column])
        difference += (actual - expected) * (actual - expected)
        norm += expected * expected
      }
    }
    // What is zero in exact arithmetic (the key bias of OPT) is noise on both sides.
    return (difference / max(norm, 1e-7)).squareRoot()
  }
}

@Suite struct FamilyGoldenTests {
  @Test(arguments: Family.names)
  func forwardAgrees(name: String) throws {
    let family = try Family(name), shape = family.model.transformer.shape
    let result = try forward(
      family.model, tokens: family.tokens, batch: Family.batch, compute: Family.compute.get())
    let hidden = Numbers(result.hidden, shape: [shape.layers + 1, 2, 19, shape.hiddenSize])
    #expect(try family.golden.difference(hidden, from: "hidden", Tolerance(absolute: 1e-5, relative: 2e-5)) == nil)
    let losses = Numbers(result.losses, shape: [2, 18])
    #expect(try family.golden.difference(losses, from: "losses", Tolerance(relative: 2e-5)) == nil)
  }

  @Test(arguments: Family.names)
  func everyGradientAgrees(name: String) throws {
    let family = try Family(name)
    let (loss, gradients) = try family.gradients()
    let losses = try family.golden.numbers("losses").values
    #expect(abs(loss - losses.reduce(0, +) / 36) < 2e-5 * loss)
    for tensor in gradients.layout.entries.keys {
      #expect(try family.gradientError(gradients, tensor) < 1e-4, "\(tensor)")
    }
    let stored = Set(family.golden.names.filter { $0.hasPrefix("gradient.") }.map { String($0.dropFirst(9)) })
    #expect(stored == Set(gradients.layout.entries.keys))
  }

  /// Whatever is computed again comes out the same to the bit.
  @Test(arguments: Family.names, [0, 1, 2])
  func recomputedActivationsGiveTheSameBits(name: String, keptLayers: Int) throws {
    let family = try Family(name)
    let kept = try family.gradients(), again = try family.gradients(plan: ActivationPlan(keptLayers: keptLayers))
    #expect(kept.loss == again.loss)
    #expect(Array(kept.gradients.values.readOnly) == Array(again.gradients.values.readOnly))
  }

  /// A test of the test: one weight off by a tenth shows in the gradients.
  @Test(arguments: Family.names)
  func smallFaultsShow(name: String) throws {
    let family = try Family(name), compute = try Family.compute.get()
    let parameters = Parameters(family.model.transformer, copying: family.model.history.current, pool: compute.pool)
    let tensor = family.model.transformer.linearInputs(layer: 1)[1].tensors[0]
    parameters.block[tensor][7] += 0.1
    let (_, gradients) = try family.gradients(parameters: parameters)
    #expect(try family.gradientError(gradients, tensor) > 1e-4)
  }
}
