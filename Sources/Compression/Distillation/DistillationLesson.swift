// What a step of distillation teaches: objectives on the logits, what is inside, and the balance between the two.

import Tensors
import Transformers

/// The mean of one loss over a step, in nats or in its own unit, unweighted.
package struct LossPart: Sendable, Equatable {
  package let name: String
  package let value: Double
}

/// The lesson of a `LossPlan`.
final class DistillationLesson: Lesson {
  private let plan: LossPlan
  private let teacher: Teacher?
  private let features: FeatureLosses?
  private let projections: Projections
  private let sites: Set<FeatureSite>
  private let scratch: [RowScratch]
  private let monitor: Monitor
  private let diagnostics: Diagnostics
  private let seed: UInt64
  private let judge: (_ loss: Double) throws -> Void
  private var counted = 0
  /// Rows of the batches so far: each has a seed of its own.
  private var rows = 0
  private var sums: [Double] = []
  private var current: PredictionLoss?
  /// For each batch what rewards say of its rows; empty for none.
  private let policies: [PolicyLoss]
  private var policyMetrics = PolicyMetrics()
  private var batch = 0
  private var total = 0.0
  /// What the losses inside were scaled by in each batch.
  private var balances: [Double] = []

  /// - Parameters:
  ///   - memories: of the feature terms, by index.
  ///   - policies: of each batch of the step, if it learns from rewards.
  ///   - seed: of the step.
  ///   - judge: throws if the loss of the whole step forbids it.
  init(
    _ plan: LossPlan, student: Transformer, teacher: Teacher?, projections: Projections, memories: [Int: FloatBuffer],
    policies: [PolicyLoss] = [], scratch: [RowScratch], seed: UInt64, compute: Compute, monitor: Monitor,
    diagnostics: Diagnostics, judge: @escaping (_ loss: Double) throws -> Void
  ) {
    self.judge = judge
    self.policies = policies
    self.plan = plan
    self.teacher = teacher
    self.projections = projections
    self.scratch = scratch
    self.seed = seed
    self.monitor = monitor
    self.diagnostics = diagnostics
    sites = FeatureLosses.sites(plan)
    features = teacher.flatMap { teacher in
      plan.features.isEmpty
        ? nil
        : FeatureLosses(
          plan, student: student, teacher: teacher, projections: projections, memories: memories, compute: compute,
          monitor: monitor, diagnostics: diagnostics)
    }
  }

  var companion: Companion? { projections.companion }

  func begin(_ batches: [TrainingBatch]) {
    counted = batches.reduce(0) { $0 + $1.counted }
    sums = plan.objectives.map { _ in 0 }
    features?.begin(tokens: counted, sequences: batches.reduce(0) { $0 + $1.batch.sequences }, seed: seed)
  }

  func loss(_ batch: TrainingBatch, cancellation: Cancellation) throws -> any LogitLoss {
    let logits = plan.looksAtBatches ? try teacher?.look(at: batch, sites: sites, cancellation: cancellation) : nil
    let loss = PredictionLoss(
      plan, batch: batch, teacher: logits, policy: policies.isEmpty ? nil : policies[self.batch],
      scale: 1 / Double(counted), seed: seed &+ UInt64(rows), scratch: scratch, monitor: monitor,
      diagnostics: diagnostics)
    rows += batch.batch.tokens
    self.batch += 1
    current = loss
    return loss
  }

  func inner(
    _ batch: TrainingBatch, pass: TrainingPass, logitLoss: Double, cancellation: Cancellation
  ) throws -> InnerGradients? {
    var onLogits = logitLoss / Double(counted)
    if let policy = current?.policy?.metrics {
      policyMetrics += policy
      onLogits += policy.loss
    }
    total += onLogits
    for (index, sum) in (current?.sums ?? []).enumerated() { sums[index] += sum }
    guard let features else { return nil }
    return try features.gradients(batch, pass: pass, cancellation: cancellation) { inside in
      // Of estimates that are below zero nothing is known but that they must not turn the others round.
      let balance = plan.balance == .dynamic && inside > 0 && onLogits > 0 ? onLogits / inside : 1
      balances.append(balance)
      total += balance * inside
      return balance
    }
  }

  func end() throws -> Double {
    if total.isFinite { try judge(total) }
    return total
  }

  /// What the losses inside were scaled by, if that was to be found out: the mean over the batches.
  var balance: Double? {
    plan.balance == .dynamic && !balances.isEmpty ? balances.reduce(0, +) / Double(balances.count) : nil
  }

  /// The policy's loss, and how far the student has moved from where it was drawn from and from the reference.
  private var policyParts: [LossPart] {
    guard !policies.isEmpty else { return [] }
    var parts = [
      LossPart(name: "policy", value: policyMetrics.surrogateLoss),
      LossPart(name: "policy.entropy", value: policyMetrics.meanEntropy),
      LossPart(name: "policy.ratio", value: policyMetrics.meanRatio),
      LossPart(name: "policy.clipped", value: policyMetrics.clippedFraction),
    ]
    if plan.policy?.options.divergenceWeight ?? 0 > 0 {
      parts.append(LossPart(name: "policy.divergence", value: policyMetrics.meanDivergence))
    }
    return parts
  }

  /// The mean of every term over the step.
  var parts: [LossPart] {
    var names: [String: Int] = [:]
    func name(_ id: String) -> String {
      names[id, default: 0] += 1
      return names[id].map { $0 > 1 ? "\(id)#\($0)" : id } ?? id
    }
    let objectives = zip(plan.objectives, sums).map { term, sum in
      LossPart(name: name(term.objective.id), value: sum / Double(counted))
    }
    return policyParts + objectives
      + zip(plan.features, features?.means ?? []).map { term, mean in
        LossPart(name: name("\(term.objective.id).\(term.place.rawValue)"), value: mean)
      }
  }
}
