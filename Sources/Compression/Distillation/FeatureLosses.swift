// Feature objectives over one batch: what student and teacher have inside, compared pair by pair of layers, and the
// gradients that go back into the student's layers.

import Tensors
import Transformers

/// The feature terms of a plan over one step.
final class FeatureLosses {
  private let plan: LossPlan
  private let student: Transformer
  private let teacher: Teacher
  private let projections: Projections
  private let memories: [Int: FloatBuffer]
  private let compute: Compute
  private let monitor: Monitor
  private let diagnostics: Diagnostics
  /// Of the whole step: positions that count, and sequences.
  private var tokens = 0, sequences = 0
  private var seed: UInt64 = 0
  /// Of each term, over the step so far: the mean over its pairs.
  private(set) var means: [Double] = []

  init(
    _ plan: LossPlan, student: Transformer, teacher: Teacher, projections: Projections, memories: [Int: FloatBuffer],
    compute: Compute, monitor: Monitor, diagnostics: Diagnostics
  ) {
    self.plan = plan
    self.student = student
    self.teacher = teacher
    self.projections = projections
    self.memories = memories
    self.compute = compute
    self.monitor = monitor
    self.diagnostics = diagnostics
  }

  func begin(tokens: Int, sequences: Int, seed: UInt64) {
    (self.tokens, self.sequences, self.seed) = (tokens, sequences, seed)
    means = plan.features.map { _ in 0 }
  }

  /// Where the teacher is to be looked at.
  static func sites(_ plan: LossPlan) -> Set<FeatureSite> {
    Set(plan.features.flatMap { term in term.pairs.map { FeatureSite(place: term.place, layer: $0.teacher) } })
  }

  /// The gradients of all terms on what `pass` has inside.
  /// - Parameter scale: what all of it is multiplied with, given the sum of the terms' losses of this batch.
  /// - Throws: `Cancelled`, what an objective throws.
  func gradients(
    _ batch: TrainingBatch, pass: TrainingPass, cancellation: Cancellation, scale: (_ loss: Double) -> Double
  ) throws -> InnerGradients {
    let counted = batch.targets.map { UInt8($0 >= 0 ? 1 : 0) }
    var found: [Compared] = []
    var loss = 0.0
    for (index, term) in plan.features.enumerated() where term.weight > 0 {
      for pair in term.pairs {
        let compared = try compare(index, term, pair, batch, counted, pass: pass, cancellation: cancellation)
        means[index] += compared.loss * compared.part
        loss += term.weight * compared.loss * compared.part
        found.append(compared)
      }
    }
    let common = scale(loss)
    var inner = InnerGradients()
    for compared in found {
      try add(compared, times: common, rows: batch.batch.tokens, to: &inner, cancellation: cancellation)
    }
    try cancellation.check()
    return inner
  }

  /// What comparing one pair of layers gave.
  private struct Compared {
    let term: FeatureTerm
    let layer: Int
    let loss: Double
    /// What the loss is multiplied with in the term's mean over the whole step.
    let part: Double
    /// The student's own features, and the gradient on what was compared, which is their projection if there is one.
    let features: FloatBuffer
    let gradient: FloatBuffer
    let map: Projection?
  }

  private func compare(
    _ index: Int, _ term: FeatureTerm, _ pair: LayerPair, _ batch: TrainingBatch, _ counted: [UInt8],
    pass: TrainingPass, cancellation: Cancellation
  ) throws -> Compared {
    let N = batch.batch.tokens, slice = student.slice(term.place, layer: pair.student)
    let other = teacher.state.transformer.slice(term.place, layer: pair.teacher)
    let features = FloatBuffer(count: N * slice.width)
    slice.read(
      into: features.pointer, from: source(term.place, layer: pair.student, pass: pass), rows: N, compute: compute)
    let map = projections.maps[index]
    var seen = features
    if let map {
      seen = FloatBuffer(count: N * map.outputs)
      try projections.forward(map, seen, features.pointer, rows: N, cancellation: cancellation)
    }
    let gradient = FloatBuffer(count: seen.count)
    let none = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)
    let loss = try counted.withUnsafeBufferPointer { counted in
      guard let first = counted.baseAddress else { return 0.0 }
      return try term.objective.method.compare(
        Features(
          lengths: batch.batch.lengths, studentWidth: map?.outputs ?? slice.width, teacherWidth: other.width,
          heads: slice.heads == other.heads ? slice.heads : 1, student: seen.pointer,
          teacher: teacher.features(FeatureSite(place: term.place, layer: pair.teacher)), counted: first,
          seed: seed &+ UInt64(index) << 32, memory: memories[index]?.values ?? none),
        parameters: term.objective.values, gradient: gradient.values, monitor: monitor, diagnostics: diagnostics)
    }
    let count = term.objective.method.description.isPerSequence ? sequences : tokens
    return Compared(
      term: term, layer: pair.student, loss: loss, part: 1 / Double(count * term.pairs.count), features: features,
      gradient: gradient, map: map)
  }

  private func source(_ place: FeaturePlace, layer: Int, pass: TrainingPass) -> UnsafePointer<Float> {
    switch place {
    case .embedding: return pass.state(enteringLayer: 0)
    case .output: return pass.state(enteringLayer: layer + 1)
    case .queries, .keys, .values:
      guard let projections = pass.projections(ofLayer: layer) else {
        preconditionFailure("a layer without activations; the plan says which are to be kept")
      }
      return projections
    }
  }

  /// Adds the gradient, times the part of its term and `common`, where it belongs.
  private func add(
    _ compared: Compared, times common: Double, rows: Int, to inner: inout InnerGradients, cancellation: Cancellation
  ) throws(Cancelled) {
    let place = compared.term.place, layer = compared.layer, slice = student.slice(place, layer: layer)
    let factor = Float(compared.term.weight * compared.part * common)
    compute.pool.parallelRanges(compared.gradient.count, grain: 1 << 14) { range, _ in
      for i in range { compared.gradient.pointer[i] *= factor }
    }
    var gradient = compared.gradient
    if let map = compared.map {
      gradient = FloatBuffer(count: rows * map.inputs)
      try projections.backward(
        map, gradient, compared.gradient, compared.features.pointer, rows: rows, cancellation: cancellation)
    }
    let sum: FloatBuffer
    switch place {
    case .embedding, .output:
      let key = place == .embedding ? 0 : layer + 1
      sum = inner.states[key] ?? FloatBuffer(zeros: rows * slice.stride)
      inner.states[key] = sum
    case .queries, .keys, .values:
      sum = inner.projections[layer] ?? FloatBuffer(zeros: rows * slice.stride)
      inner.projections[layer] = sum
    }
    compute.pool.parallelRanges(rows, grain: 64) { [gradient] range, _ in
      for row in range {
        Compute.axpy(
          sum.pointer + row * slice.stride + slice.column, 1, gradient.pointer + row * slice.width, count: slice.width)
      }
    }
  }
}

extension FloatBuffer {
  fileprivate convenience init(zeros count: Int) {
    self.init(count: count)
    values.initialize(repeating: 0)
  }
}
