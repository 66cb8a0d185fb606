// Requests in the order of their arrival, on the lanes where their work belongs. Nothing here knows a method.

import JSON
import JSONRPC
import Tensors
import Threads

/// Work that nobody waits for. It may stop where it likes once `laneIsWanted` is raised: a job waits for its lane.
typealias BackgroundWork = (_ laneIsWanted: Cancellation) -> Void

/// Runs jobs. A job is first prepared on the control lane, as soon as no earlier one stands in its way, and then, if
/// it is more than an answer, worked on in its lane. All is in order of arrival.
final class Scheduler: Sendable {
  /// Requests that may be unanswered at a time.
  static let limit = 1024

  private enum Stage {
    case waiting
    case preparing
    case ready(Lane, @Sendable (Monitor) throws -> JSON)
    case working
  }

  private struct Entry {
    let job: Job
    var stage = Stage.waiting

    var isPrepared: Bool {
      switch stage {
      case .waiting, .preparing: false
      case .ready, .working: true
      }
    }

    /// An entry outlives its answer by a moment, which nobody should see.
    var isUnanswered: Bool { !job.responder.hasAnswered }
  }

  private struct State {
    /// Jobs that others may have to wait for, oldest first.
    var entries: [Entry] = []
    var numbered = 0
    var stopped = false
    var lanes = Lane.allCases.count
    /// Asked for work of the compute lane that nobody waits for, when nothing else is there.
    var background: (@Sendable () -> BackgroundWork?)?
    /// Raised once a job waits for the compute lane while such work is done there.
    var laneIsWanted: Cancellation?
  }

  private let gate = Gate(State())

  init() {
    for lane in Lane.allCases {
      startThread(named: "lane-\(lane.name)") { [self] in
        while let task = nextTask(lane) { task() }
        gate.withLock { $0.lanes -= 1 }
      }
    }
  }

  /// Takes a job.
  /// - Parameter make: makes the job, given a number for its id.
  /// - Throws: `ServerError.tooManyRequests`, `ServerError.shuttingDown`.
  func add(_ make: (_ number: Int) -> Job) throws(ServerError) {
    let refusal: ServerError? = gate.withLock { state in
      if state.stopped { return .shuttingDown }
      guard state.entries.count < Self.limit else { return .tooManyRequests(limit: Self.limit) }
      state.numbered += 1
      state.entries.append(Entry(job: make(state.numbered)))
      return nil
    }
    if let refusal { throw refusal }
  }

  /// Has `next` asked for work whenever the compute lane has no job; it answers at once, nil for none. Asked again
  /// after every change here, so whoever has new work for it ends a job.
  func setBackground(_ next: @escaping @Sendable () -> BackgroundWork?) { gate.withLock { $0.background = next } }

  // MARK: Lanes

  /// Waits for the next piece of work of a lane; nil when the scheduler stops.
  private func nextTask(_ lane: Lane) -> (() -> Void)? {
    let task: (() -> Void)?? = gate.wait { state in
      if state.stopped { return .some(nil) }
      let work = lane == .control ? self.takePreparation(&state) : self.takeWork(lane, &state)
      return (work ?? (lane == .compute ? self.takeBackground(&state) : nil)).map { .some($0) }
    }
    return task ?? nil
  }

  private func takePreparation(_ state: inout State) -> (() -> Void)? {
    for (index, entry) in state.entries.enumerated() {
      guard case .waiting = entry.stage else { continue }
      let earlier = state.entries[..<index]
      guard !earlier.contains(where: { entry.job.access.mustWait(for: $0.job.access, prepared: $0.isPrepared) })
      else { continue }
      state.entries[index].stage = .preparing
      return { self.prepare(entry.job) }
    }
    return nil
  }

  private func takeWork(_ lane: Lane, _ state: inout State) -> (() -> Void)? {
    for (index, entry) in state.entries.enumerated() {
      guard case .ready(lane, let work) = entry.stage else { continue }
      state.entries[index].stage = .working
      return { self.finish(entry.job, Result { try work(entry.job.monitor) }) }
    }
    return nil
  }

  private func takeBackground(_ state: inout State) -> (() -> Void)? {
    guard let work = state.background?() else { return nil }
    let wanted = Cancellation()
    state.laneIsWanted = wanted
    return { work(wanted) }
  }

  private func prepare(_ job: Job) {
    do {
      try job.cancellation.check()
      switch try job.prepare() {
      case .answer(let json): finish(job, .success(json))
      case .work(let lane, let work):
        job.progress.begin()
        let isWanted = gate.withLock { state in
          // Asked under the lock: a cancellation either is seen here or finds the job ready.
          guard !job.cancellation.isCancelled, let index = state.entries.firstIndex(where: { $0.job === job })
          else { return false }
          state.entries[index].stage = .ready(lane, work)
          if lane == .compute { state.laneIsWanted?.cancel() }
          return true
        }
        if !isWanted { throw Cancelled() }
      }
    } catch {
      finish(job, .failure(error))
    }
  }

  /// Answers a job and lets those go on that waited for it. Answering comes first: a client that has its answer may
  /// count on its effects, and one whose next request overtakes nothing loses nothing.
  private func finish(_ job: Job, _ result: Result<JSON, any Error>) {
    job.answer(result)
    gate.withLock { state in state.entries.removeAll { $0.job === job } }
  }

  // MARK: Cancelling

  /// Cancels the unanswered requests that `isMeant` picks. One that waits is answered at once, one that runs as soon
  /// as its work notices.
  @discardableResult
  private func cancel(where isMeant: (Job) -> Bool) -> Int {
    let (found, idle) = gate.withLock { state in
      let meant = state.entries.filter { isMeant($0.job) && $0.isUnanswered }
      let idle = meant.filter { entry in
        switch entry.stage {
        case .waiting, .ready: true
        case .preparing, .working: false
        }
      }
      for entry in meant { entry.job.cancellation.cancel() }
      state.entries.removeAll { entry in idle.contains { $0.job === entry.job } }
      return (meant.count, idle.map(\.job))
    }
    for job in idle { job.answer(.failure(Cancelled())) }
    return found
  }

  /// Cancels the request of that id, if it is unanswered.
  func cancel(request id: RequestID) { cancel { $0.requestID == id } }

  /// Cancels the job of that id.
  /// - Throws: `ServerError.jobNotFound`.
  func cancel(job id: String) throws(ServerError) {
    if cancel(where: { $0.id == id }) == 0 { throw .jobNotFound(job: id) }
  }

  func cancelAll() { cancel { _ in true } }

  /// Takes no more jobs, waits for the lanes to end what they are at, and answers for what does not end in time.
  func stop(within seconds: Double) {
    gate.withLock { $0.stopped = true }
    gate.wait(atMost: seconds) { $0.lanes == 0 ? () : nil }
    for (job, _) in jobs { job.answer(.failure(ServerError.shuttingDown)) }
  }

  /// The unanswered jobs, oldest first, and whether each is being worked on.
  var jobs: [(job: Job, isRunning: Bool)] {
    gate.withLock { state in
      state.entries.filter(\.isUnanswered).map { entry in
        switch entry.stage {
        case .waiting, .ready: (entry.job, false)
        case .preparing, .working: (entry.job, true)
        }
      }
    }
  }
}
