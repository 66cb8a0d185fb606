// Runs of distillation for tests: tiny models of different widths and vocabularies, bundled and made-up objectives, and
// what a run consists of, bit by bit.

import Checkpoints
import OrderedCollections
import PluginHost
import Synchronization
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Compression

/// The bundled methods, loaded once.
enum Bundled {
  private static let registry = Result {
    let services = PluginServices(
      log: { _, _, _ in },
      parallelFor: { count, body in Engine.pool.parallelFor(count) { index, _ in body(index) } },
      linearAlgebra: { () throws(BLASError) in try LinearAlgebra(pool: Engine.pool) })
    let registry = PluginRegistry(services: services)
    let folder = try #require(PluginSearch.executableFolder())
    registry.discover(PluginSearch(folders: [.init(path: folder, prefix: "libespalier-")]))
    return registry
  }

  private static func values(
    _ method: MethodDescription, _ changes: [String: ParameterValue]
  ) -> OrderedDictionary<String, ParameterValue> {
    OrderedDictionary(uniqueKeysWithValues: method.parameters.map { ($0.name, changes[$0.name] ?? $0.defaultValue) })
  }

  static func objective(
    _ id: String, _ changes: [String: ParameterValue] = [:]
  ) throws -> Configured<any Objective> {
    let objective = try registry.get().objective(id: id)
    return Configured(objective, parameters: values(objective.description.method, changes))
  }

  static func feature(
    _ id: String, _ changes: [String: ParameterValue] = [:]
  ) throws -> Configured<any FeatureObjective> {
    let objective = try registry.get().featureObjective(id: id)
    return Configured(objective, parameters: values(objective.description.method, changes))
  }

  static func reward(_ id: String, _ changes: [String: ParameterValue] = [:]) throws -> RewardRule {
    let reward = try registry.get().reward(id: id)
    return RewardRule(reward, parameters: values(reward.description.method, changes))
  }
}

/// All that a run is made of.
struct RunBench {
  /// The entries that the tiny models share.
  static let shared = 95

  var student: ModelState
  var teacher: ModelState?
  var tokenizer: Tokenizer
  var dataset: Dataset
  var plan: LossPlan
  var options: RunOptions
  var store = Engine.store()

  /// llama3, half of it pruned, learns from llama-linear: other widths, other vocabulary, one layer less.
  init(
    _ objectives: [ObjectiveTerm], features: [FeatureTerm] = [], balance: LossBalance = .fixed, masked: Bool = true
  ) throws {
    let family = try TrainingFamily("llama3", masked: masked)
    student = family.model.state
    teacher = try TestModel(tiny: "llama-linear").state
    tokenizer = family.model.checkpoint.tokenizer
    dataset = try Self.dataset(sequences: 6, seed: 4)
    plan = LossPlan(objectives: objectives, features: features, balance: balance, vocabulary: Self.shared)
    options = RunOptions(
      schedule: try Schedule(.constant, learningRate: 2e-3, steps: 1000), batch: 2, accumulation: 2, seed: 5)
    options.training = TrainingFamily.options
  }

  static func dataset(sequences: Int, seed: UInt64) throws -> Dataset {
    var random = Seeded(seed)
    let tokens = (0..<sequences * 19).map { _ in Int32(random.int(in: 0...shared - 1)) }
    return try Dataset(
      text: tokens, sequenceLength: 19, sequences: nil, sampling: .contiguous, vocabularySize: shared)
  }

  func run() throws -> DistillationRun {
    try DistillationRun(
      student: student, teacher: teacher, tokenizer: tokenizer, dataset: dataset, plan: plan, options: options,
      store: store, compute: Engine.compute)
  }
}

extension ObjectiveTerm {
  static func forward(_ temperature: Double = 2, weight: Double = 1) throws -> ObjectiveTerm {
    ObjectiveTerm(try Bundled.objective("forward-kl"), weight: weight, temperature: temperature)
  }
}

extension FeatureTerm {
  static func of(
    _ id: String, _ place: FeaturePlace, _ pairs: (Int, Int)..., weight: Double = 1,
    changes: [String: ParameterValue] = [:]
  ) throws -> FeatureTerm {
    FeatureTerm(
      try Bundled.feature(id, changes), weight: weight, place: place,
      pairs: pairs.map { LayerPair(student: $0.0, teacher: $0.1) })
  }
}

extension DistillationRun {
  @discardableResult
  func step(_ cancellation: Cancellation = Cancellation()) throws -> StepMetrics {
    try step(monitor: Monitor(cancellation: cancellation), diagnostics: Diagnostics())
  }

  /// Everything that going on depends on.
  var bits: [[UInt32]] {
    var blocks = [trainer.parameters.block, trainer.optimizer.first, trainer.optimizer.second].map(\.values)
    var counts = [steps, tokens, trainer.optimizer.steps, recentLoss.steps]
    if let companion = projections.companion {
      blocks += [companion.parameters.block, companion.optimizer.first, companion.optimizer.second].map(\.values)
      counts.append(companion.optimizer.steps)
    }
    blocks += memories.sorted { $0.key < $1.key }.map(\.value)
    let mean = recentLoss.sum.bitPattern
    return blocks.map { $0.readOnly.map(\.bitPattern) }
      + [counts.map { UInt32($0) }, [UInt32(truncatingIfNeeded: mean), UInt32(mean >> 32)]]
  }
}

/// What goes wrong with an objective or a reward, and when.
final class Trouble: Sendable {
  enum Kind: Sendable, CaseIterable { case throwing, lossNaN, gradientNaN, exploding, cancelling }

  struct Problem: Error {}

  let cancellation = Cancellation()
  private let state = Mutex<(kind: Kind?, calls: Int)>((nil, 0))

  /// Lets `kind` happen from the call after `calls` more on.
  func arm(_ kind: Kind, after calls: Int) { state.withLock { $0 = (kind, calls) } }
  func disarm() { state.withLock { $0 = (nil, 0) } }

  func happening() -> Kind? {
    state.withLock { state in
      guard state.kind != nil else { return nil }
      state.calls -= 1
      return state.calls < 0 ? state.kind : nil
    }
  }
}

/// An objective that is another one until there is trouble.
struct TroubledObjective: Objective {
  let inner: any Objective
  let trouble: Trouble

  var description: ObjectiveDescription { inner.description }

  func evaluate(
    _ prediction: Prediction, parameters: [ParameterValue], gradient: UnsafeMutablePointer<Float>, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws -> Double {
    let loss = try inner.evaluate(
      prediction, parameters: parameters, gradient: gradient, monitor: monitor, diagnostics: diagnostics)
    switch trouble.happening() {
    case nil: return loss
    case .throwing: throw Trouble.Problem()
    case .lossNaN: return .nan
    case .gradientNaN:
      gradient[3] = .nan
      return loss
    case .exploding: return 100 * loss + 100
    case .cancelling:
      trouble.cancellation.cancel()
      return loss
    }
  }
}
