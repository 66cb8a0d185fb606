// A run that the server holds: the distillation itself, which only the compute lane touches, and what everybody may
// know of it at any moment.

import Checkpoints
import Compression
import JSON
import JSONRPC
import Synchronization
import Tensors
import WireTypes
import Workspace

final class LoadedRun: Sendable {
  /// Where it stands.
  enum Phase: String, Sendable { case waiting, running, finished, failed }

  private struct State {
    var phase = Phase.waiting
    /// Where a run that goes by itself pauses.
    var until = 0
    var step = 0
    var epoch = 0.0
    var tokens = 0
    var history: [StepFacts] = []
    var failure: (kind: String, message: String)?
    /// Seconds of a step, a running mean.
    var pace: Double?
    /// How often the validation that is due has given way.
    var gaveWay = 0
    /// Messages that the client has got while it went by itself.
    var said: Set<String> = []
  }

  /// Of the last steps as many are remembered.
  private static let historyLimit = 10_000
  /// Different messages that a run sends while it goes by itself.
  private static let saidLimit = 1000
  /// As often a validation gives way, and is then made to its end, or a busy client would keep the run where it is.
  private static let patience = 3

  let name: String
  let student: LoadedModel
  let teacher: LoadedModel?
  let dataset: String
  let run: DistillationRun
  /// What it was started with.
  let params: JSONObject
  /// What is kept of it on disk; forks keep nothing.
  private let keeping: RunKeeping?
  let forkedFrom: (run: String, step: Int)?
  /// Raised when the run is stopped, so that a step under way ends.
  let cancellation = Cancellation()
  private let sparsity: Double
  private let state: Mutex<State>

  init(
    _ run: DistillationRun, name: String, student: LoadedModel, teacher: LoadedModel?, dataset: String,
    params: JSONObject, keeping: RunKeeping? = nil, forkedFrom: LoadedRun? = nil
  ) {
    self.run = run
    self.keeping = keeping
    // Whoever loads it is to find these revisions, whatever is current then.
    var params = params
    params["student"] = ["model": JSON(student.name), "revision": JSON(run.student.revision.id)]
    if let teacher, let state = run.teacher {
      params["teacher"] = ["model": JSON(teacher.name), "revision": JSON(state.revision.id)]
    }
    self.params = params
    self.name = name
    self.student = student
    self.teacher = teacher
    self.dataset = dataset
    self.forkedFrom = forkedFrom.map { ($0.name, run.steps) }
    sparsity = run.student.revision.sparsity
    var state = State()
    state.step = run.steps
    state.epoch = run.epochs
    state.tokens = run.tokens
    state.phase = run.steps >= run.options.schedule.steps ? .finished : .waiting
    if let forkedFrom { state.history = forkedFrom.state.withLock { $0.history } }
    self.state = Mutex(state)
  }

  var phase: Phase { state.withLock { $0.phase } }
  var steps: Int { run.options.schedule.steps }

  var facts: RunFacts {
    let now = state.withLock { $0 }
    return RunFacts(
      run: name, state: now.phase.rawValue, student: (student.name, run.student.revision.id),
      teacher: teacher.flatMap { model in run.teacher.map { (model.name, $0.revision.id) } }, dataset: dataset,
      step: now.step, steps: steps, epoch: now.epoch, tokens: now.tokens, sparsity: sparsity, forkedFrom: forkedFrom,
      failure: now.failure)
  }

  func history(_ count: Int) -> [StepFacts] { state.withLock { Array($0.history.suffix(count)) } }

  // MARK: Going by itself

  /// - Parameter until: the step where it pauses; nil: the last.
  func resume(until: Int?) {
    state.withLock { state in
      guard state.step < steps else { return }
      state.until = min(until ?? steps, steps)
      if state.until > state.step {
        state.phase = .running
        state.failure = nil
      }
    }
  }

  func pause() {
    state.withLock { if $0.phase == .running { $0.phase = .waiting } }
  }

  /// Whether it wants to take a step by itself.
  var wantsStep: Bool { state.withLock { $0.phase == .running } && !cancellation.isCancelled }

  /// Whether to tell the client of what a step by itself found: each message once.
  func isNews(_ diagnostic: Diagnostic) -> Bool {
    state.withLock { $0.said.count < Self.saidLimit && $0.said.insert(diagnostic.message).inserted }
  }

  // MARK: On the compute lane

  /// Gives back what the run holds on disk.
  func end() { keeping?.close() }

  /// Takes a step and remembers what it did.
  /// - Parameter laneIsWanted: a flag to which validations give way; they stay due. Not the one behind the step at which
  ///   the run comes to rest.
  /// - Throws: as `DistillationRun.step`, and `FileFault.changedInUse`; what means that the run cannot go on like this is
  ///   remembered too. That a step which was taken cannot be validated or written down is remembered likewise, and is a
  ///   diagnostic.
  func step(monitor: Monitor, laneIsWanted: Cancellation? = nil, diagnostics: Diagnostics) throws -> StepFacts {
    let start = monotonicSeconds(), before: Validation?, metrics: StepMetrics
    do {
      try student.checkpoint.requireIntact()
      try teacher?.checkpoint.requireIntact()
      before = try validate(monitor: monitor, givingWayTo: laneIsWanted, diagnostics: diagnostics)
      metrics = try run.step(monitor: monitor, diagnostics: diagnostics)
      try student.checkpoint.requireIntact()
      try teacher?.checkpoint.requireIntact()
    } catch {
      if !(error is Cancelled) { fail(error) }
      throw error
    }
    let rests = state.withLock { run.steps >= $0.until }
    let after = Result {
      try validate(monitor: monitor, givingWayTo: rests ? nil : laneIsWanted, diagnostics: diagnostics)
    }
    let validations = [before, try? after.get()].compactMap(\.self)
    let facts = note(metrics, validations, seconds: monotonicSeconds() - start)
    func words(_ missing: String, _ error: any Error) -> String {
      "Step \(metrics.step) was taken, and not \(missing): \(ResponseError(error).message)"
    }
    if case .failure(let error) = after, !(error is Cancelled) {
      fail(error)
      diagnostics.add(Diagnostic(.error, kind: "stepNotValidated", words("validated", error)))
    }
    do {
      try keeping?.note(run, params: params, metrics, validations)
    } catch {
      fail(error)
      diagnostics.add(Diagnostic(.error, kind: "stepNotKept", words("written down", error)))
    }
    return facts
  }

  /// Validates the student if that is due.
  /// - Parameter laneIsWanted: the validation gives way to it, a few times.
  /// - Throws: as `DistillationRun.validate`; `Cancelled` if it gave way.
  private func validate(
    monitor: Monitor, givingWayTo laneIsWanted: Cancellation?, diagnostics: Diagnostics
  ) throws -> Validation? {
    var cancellation = monitor.cancellation
    if let laneIsWanted, state.withLock({ $0.gaveWay < Self.patience }) {
      cancellation = Cancellation(following: monitor.cancellation, laneIsWanted)
    }
    do {
      let result = try run.validate(monitor: Monitor(cancellation: cancellation), diagnostics: diagnostics)
      if result != nil { state.withLock { $0.gaveWay = 0 } }
      return result
    } catch {
      if error is Cancelled, !monitor.cancellation.isCancelled { state.withLock { $0.gaveWay += 1 } }
      throw error
    }
  }

  /// Goes no further by itself, until somebody has it take a step.
  private func fail(_ error: any Error) {
    let response = ResponseError(error)
    state.withLock { state in
      state.phase = .failed
      state.failure = (response.kind ?? "unknown", response.message)
    }
  }

  private func note(_ metrics: StepMetrics, _ validations: [Validation], seconds: Double) -> StepFacts {
    let (done, epochs, tokens) = (run.steps, run.epochs, run.tokens)
    return state.withLock { state in
      state.pace = state.pace.map { 0.9 * $0 + 0.1 * seconds } ?? seconds
      let facts = StepFacts(
        step: metrics.step, epoch: epochs, loss: metrics.report.loss,
        parts: metrics.parts.map { ($0.name, $0.value) }, rewards: metrics.rewards.map { ($0.name, $0.value) },
        validations: validations.map(\.facts), balance: metrics.balance, gradientNorm: metrics.report.gradientNorm,
        learningRate: metrics.report.learningRate,
        tokens: metrics.report.tokens, totalTokens: tokens,
        tokensPerSecond: Double(metrics.report.tokens) / max(1e-9, seconds),
        secondsLeft: state.pace.map { $0 * Double(max(0, steps - done)) },
        teacherReused: Double(metrics.teacherReused) / Double(max(1, metrics.sequences)), sparsity: sparsity,
        residentBytes: processMemory().resident, seconds: seconds)
      state.step = done
      state.epoch = epochs
      state.tokens = tokens
      state.failure = nil
      state.history.append(facts)
      if state.history.count > Self.historyLimit { state.history.removeFirst(Self.historyLimit / 10) }
      switch state.phase {
      case .running: if done >= state.until { state.phase = done >= steps ? .finished : .waiting }
      case .waiting, .failed, .finished: state.phase = done >= steps ? .finished : .waiting
      }
      return facts
    }
  }
}

extension Validation {
  fileprivate var facts: ValidationFacts {
    ValidationFacts(
      step: step, loss: loss, perplexity: perplexity, meanKL: meanKL, sameTopToken: sameTopToken,
      ownTextShare: ownTextShare)
  }
}
