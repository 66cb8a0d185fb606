// Objectives on next-token distributions as one loss over rows of logits: softmax, temperatures, weights and the one
// division are done here, so that an objective is a formula and nothing else.

import Synchronization
import Tensors
import Transformers

/// The weighted sum of objectives over the rows of one batch that count.
final class PredictionLoss: LogitLoss {
  private let terms: [ObjectiveTerm]
  private let values: [[ParameterValue]]
  private let batch: TrainingBatch
  private let teacher: TeacherLogits?
  private let shared: Int
  /// 1 / positions that count in the whole step.
  private let scale: Double
  private let seed: UInt64
  private let scratch: [RowScratch]
  private let monitor: Monitor
  private let diagnostics: Diagnostics
  /// What rewards say of the rows, if this is learning from rewards; its weights divide by what the step is divided by.
  let policy: PolicyLoss?
  /// The sum over rows of each term's own loss, in nats.
  private(set) var sums: [Double]

  /// - Parameter seed: of the batch's first row; rows count on from it.
  init(
    _ plan: LossPlan, batch: TrainingBatch, teacher: TeacherLogits?, policy: PolicyLoss?, scale: Double, seed: UInt64,
    scratch: [RowScratch], monitor: Monitor, diagnostics: Diagnostics
  ) {
    terms = plan.objectives
    values = terms.map(\.objective.values)
    self.batch = batch
    self.teacher = teacher
    self.policy = policy
    shared = plan.vocabulary
    self.scale = scale
    self.seed = seed
    self.scratch = scratch
    self.monitor = monitor
    self.diagnostics = diagnostics
    sums = terms.map { _ in 0 }
  }

  /// The sum of the losses as they are minimised.
  var total: Double { zip(sums, terms).reduce(0) { $0 + $1.0 * $1.1.factor } }

  func overwriteWithGradient(
    _ logits: UnsafeMutablePointer<Float>, rows: Range<Int>, vocabulary V: Int, compute: Compute,
    cancellation: Cancellation
  ) throws -> Double {
    let expected = try teacher?.logits(ofRows: rows, cancellation: cancellation)
    let teacherWidth = teacher?.vocabulary ?? 0, count = terms.count
    var losses = [Double](repeating: 0, count: rows.count * count)
    let failure = Mutex<(row: Int, error: any Error)?>(nil)
    losses.withUnsafeMutableBufferPointer { losses in
      compute.pool.parallelFor(rows.count, cancellation: cancellation) { row, worker in
        let z = logits + row * V, number = rows.lowerBound + row
        do {
          let results = UnsafeMutableBufferPointer(rebasing: losses[row * count..<(row + 1) * count])
          try overwrite(
            z, row: number, vocabulary: V, teacher: expected.map { $0 + row * teacherWidth }, scratch[worker], results)
        } catch {
          failure.withLock { if $0.map({ number < $0.row }) ?? true { $0 = (number, error) } }
        }
      }
    }
    try cancellation.check()
    if let failure = failure.withLock({ $0 }) { throw failure.error }
    let before = total
    for row in 0..<rows.count {
      for term in 0..<count { sums[term] += losses[row * count + term] }
    }
    return total - before
  }

  /// Turns the V logits of a row into the gradient. `losses` has a place for each term.
  private func overwrite(
    _ z: UnsafeMutablePointer<Float>, row: Int, vocabulary V: Int, teacher: UnsafePointer<Float>?,
    _ scratch: RowScratch, _ losses: UnsafeMutableBufferPointer<Double>
  ) throws {
    let target = batch.targets[row]
    scratch.sum.update(repeating: 0, count: V)
    var temperature = Double.nan
    // A student may write tokens that its teacher does not have.
    let isShared = (0..<Int32(shared)).contains(target)
    for (place, term) in terms.enumerated() where term.weight > 0 && isShared {
      if term.temperature != temperature {
        temperature = term.temperature
        scratch.student.fill(z, count: shared, temperature: temperature)
        if let teacher { scratch.teacher.fill(teacher, count: shared, temperature: temperature) }
      }
      let needsTeacher = term.objective.method.description.needsTeacher
      losses[place] = try term.objective.method.evaluate(
        Prediction(
          vocabulary: shared, target: Int(target), student: scratch.student.distribution,
          teacher: needsTeacher ? scratch.teacher.distribution : nil, seed: seed &+ UInt64(row)),
        parameters: values[place], gradient: scratch.gradient, monitor: monitor, diagnostics: diagnostics)
      let factor = Float(term.factor / term.temperature * scale)
      Compute.axpy(scratch.sum, factor, scratch.gradient, count: shared)
    }
    if let policy, policy.rows[row] != nil {
      // Over all that the student can say: so it was drawn, and so its reference was asked.
      scratch.student.fill(z, count: V, temperature: policy.options.temperature)
      scratch.gradient.update(repeating: 0, count: V)
      _ = policy.add(row: row, scratch.student.distribution, vocabulary: V, to: scratch.gradient)
      Compute.axpy(scratch.sum, Float(1 / policy.options.temperature), scratch.gradient, count: V)
    }
    z.update(from: scratch.sum, count: V)
  }
}

/// What a thread works in for one row of V logits.
final class RowScratch: Sendable {
  /// A distribution and its logarithm.
  struct Pair: Sendable {
    private let logs, probabilities: FloatBuffer

    init(_ vocabulary: Int) {
      logs = FloatBuffer(count: vocabulary)
      probabilities = FloatBuffer(count: vocabulary)
    }

    var distribution: Prediction.Distribution {
      Prediction.Distribution(logProbabilities: logs.pointer, probabilities: probabilities.pointer)
    }

    func fill(_ logits: UnsafePointer<Float>, count: Int, temperature: Double) {
      Compute.distribution(
        logProbabilities: logs.pointer, probabilities: probabilities.pointer, logits, count: count,
        temperature: Float(temperature))
    }
  }

  let student, teacher: Pair
  private let gradients, sums: FloatBuffer
  /// The gradient of one term, and of all.
  var gradient: UnsafeMutablePointer<Float> { gradients.pointer }
  var sum: UnsafeMutablePointer<Float> { sums.pointer }

  init(vocabulary: Int) {
    student = Pair(vocabulary)
    teacher = Pair(vocabulary)
    gradients = FloatBuffer(count: vocabulary)
    sums = FloatBuffer(count: vocabulary)
  }
}
