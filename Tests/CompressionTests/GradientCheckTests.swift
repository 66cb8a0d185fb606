// The gradient check: every tensor of every family passes, every fault that is put in shows.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct GradientCheckTests {
  static func plan(_ family: TrainingFamily, modules: [String]? = nil) -> GradientCheckPlan {
    var plan = GradientCheckPlan(tokens: Array(family.tokens.prefix(16)))
    plan.modules = modules
    return plan
  }

  static func check(
    _ state: ModelState, _ plan: GradientCheckPlan, monitor: Monitor = Monitor(),
    tampering: (ParameterBlock) -> Void = { _ in }
  ) throws -> GradientCheck {
    try checkGradients(state, plan: plan, compute: Engine.compute, monitor: monitor, tampering: tampering)
  }

  @Test(arguments: TrainingFamily.names, [false, true])
  func everyTensorPasses(name: String, masked: Bool) throws {
    let family = try TrainingFamily(name, masked: masked)
    let result = try Self.check(family.model.state, Self.plan(family))
    #expect(result.tensors.map(\.tensor) == Array(ParameterLayout(family.model.transformer).entries.keys))
    if !masked {
      let expected = try family.golden.numbers("losses").values.prefix(15).reduce(0, +) / 15
      #expect(abs(result.loss - expected) < 1e-5)
    }
    #expect(result.noise > 0 && result.noise < 1e-5)
    for tensor in result.tensors {
      #expect(tensor.passed, "\(tensor)")
      #expect((1...512).contains(tensor.samples) && tensor.step > 0 && tensor.prunedAreZero)
    }
    // The check is sharp but where there is next to no gradient: it allows for less than a hundredth (with kinks a tenth).
    let sharp = family.model.transformer.isSmooth ? 0.01 : 0.1
    let blunt = result.tensors.filter { $0.tolerance >= sharp * abs($0.analytic) }
    #expect(blunt.count < result.tensors.count / 10, "\(blunt)")
    #expect(result.passed)
  }

  /// Weights in bf16, in fp16 and in blocks are copied to fp32 and checked there.
  @Test(arguments: ["tied-bf16", "wide-heads-f16", "blocks-q8-gguf", "blocks-q4-gguf"])
  func anyStorage(name: String) throws {
    let tokens = try TestModel.goldenDataset(tiny: name).tokens(ofSequences: 0..<1)
    let result = try Self.check(TestModel(tiny: name).state, GradientCheckPlan(tokens: tokens))
    #expect(result.passed, "\(result.tensors.filter { !$0.passed })")
  }

  /// What can be wrong with a gradient.
  enum Fault: CaseIterable {
    case tooLarge, turnedRound, leftOut, inOtherPlaces, aTermTooMuch, noNumber

    func spoil(_ values: UnsafeMutableBufferPointer<Float>) {
      let old = Array(values)
      for (index, value) in old.enumerated() {
        switch self {
        case .tooLarge: values[index] = 1.03 * value
        case .turnedRound: values[index] = -value
        case .leftOut: values[index] = 0
        case .inOtherPlaces: values[index] = old[(index + 7) % old.count]
        case .aTermTooMuch: values[index] = value + 0.01
        case .noNumber: values[index] = index == 0 ? .nan : value
        }
      }
    }
  }

  /// A fault in one tensor: that one fails, and only that one.
  @Test(arguments: Fault.allCases)
  func faultsShow(fault: Fault) throws {
    let family = try TrainingFamily("gemma3_text"), layout = ParameterLayout(family.model.transformer)
    for tensor in ["model.layers.1.mlp.gate_proj.weight", "model.layers.0.self_attn.q_norm.weight"] {
      var plan = Self.plan(family)
      plan.samples = 4096  // all: the one that is no number is among them
      let result = try Self.check(family.model.state, plan) { gradients in
        fault.spoil(UnsafeMutableBufferPointer(start: gradients[tensor], count: layout.entries[tensor]?.count ?? 0))
      }
      #expect(!result.passed)
      #expect(result.tensors.filter { !$0.passed }.map(\.tensor) == [tensor])
    }
  }

  /// A gradient where the mask prunes: found although no pruned weight is moved.
  @Test func gradientsOfPrunedWeightsShow() throws {
    let family = try TrainingFamily("llama3", masked: true), tensor = "model.layers.0.mlp.up_proj.weight"
    let mask = try #require(family.model.history.current.tensors[tensor]?.mask?.bits)
    let pruned = try #require((0..<mask.columns).first { !mask.isKept(row: 0, column: $0) })
    let result = try Self.check(family.model.state, Self.plan(family)) { $0[tensor][pruned] = 1e-30 }
    #expect(result.tensors.filter { !$0.passed }.map(\.tensor) == [tensor])
    #expect(result.tensors.first { $0.tensor == tensor }?.prunedAreZero == false)
  }

  @Test func theSameAgain() throws {
    let family = try TrainingFamily("qwen3"), all = try Self.check(family.model.state, Self.plan(family))
    let some = try Self.check(family.model.state, Self.plan(family, modules: ["*.1.mlp.*", "model.norm.weight"]))
    #expect(some.tensors.count == 4 && some.loss == all.loss && some.noise == all.noise)
    #expect(some.tensors == all.tensors.filter { $0.tensor.contains(".1.mlp.") || $0.tensor == "model.norm.weight" })
    var plan = Self.plan(family)
    plan.seed = 1
    #expect(try Self.check(family.model.state, plan).tensors != all.tensors)
    plan.samples = 1
    #expect(try Self.check(family.model.state, plan).tensors.allSatisfy { $0.samples == 1 && $0.passed })
  }

  @Test func refused() throws {
    let family = try TrainingFamily("llama3"), state = family.model.state
    #expect(throws: CompressionError.self) { try Self.check(state, Self.plan(family, modules: ["*.x"])) }
    #expect(throws: TransformerError.tokenOutOfRange(token: 101, position: 1, vocabularySize: 101)) {
      try Self.check(state, GradientCheckPlan(tokens: [1, 101]))
    }
    let long = [Int32](repeating: 1, count: state.transformer.shape.maximumLength + 1)
    #expect(throws: TransformerError.self) { try Self.check(state, GradientCheckPlan(tokens: long)) }
    let name = "model.layers.1.mlp.down_proj.weight"
    var tensors = family.model.history.current.tensors
    let shape = try #require(tensors[name]?.weights.view.shape)
    let broken = [Float](repeating: .nan, count: shape.reduce(1, *))
    tensors[name] = StoredTensor(weights: WeightsBlob(try #require(TensorView(guarding: broken, shape: shape))))
    let history = History(tensors: tensors, operation: Operation(method: "model/load", summary: ""))
    let sick = ModelState(transformer: state.transformer, revision: history.current)
    #expect(throws: CompressionError.nonFiniteLoss(window: 0)) { try Self.check(sick, Self.plan(family)) }
  }

  @Test func cancelled() throws {
    let family = try TrainingFamily("llama3")
    for reports in [1, 2, 5] {
      #expect(throws: Cancelled.self) {
        try Self.check(family.model.state, Self.plan(family), monitor: cancelling(afterReports: reports))
      }
    }
  }
}
