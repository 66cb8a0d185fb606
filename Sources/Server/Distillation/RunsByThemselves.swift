// Runs that go on by themselves: one step at a time, in turns, whenever the compute lane has nothing else to do.

import Compression
import JSONRPC
import Synchronization
import Tensors
import WireTypes

extension ServerContext {
  /// A step of the next run that wants one; nil if none does.
  func backgroundStep() -> BackgroundWork? {
    let wanting = runs.all.map(\.value).filter(\.wantsStep)
    guard !wanting.isEmpty else { return nil }
    let run = turns.withLock { turn in
      turn += 1
      return wanting[turn % wanting.count]
    }
    return { self.takeStep(run, laneIsWanted: $0) }
  }

  private func takeStep(_ run: LoadedRun, laneIsWanted: Cancellation) {
    let diagnostics = Diagnostics()
    do {
      let facts = try run.step(
        monitor: Monitor(cancellation: run.cancellation), laneIsWanted: laneIsWanted, diagnostics: diagnostics)
      let params = RunProgress.params(run: run.name, state: run.phase.rawValue, facts)
      try? outbox.send(
        latest: Notification(method: RunProgress.name, params: params).json, key: "run \(run.name)")
    } catch is Cancelled {
      // The run is being stopped, or its validation gave way.
    } catch {
      log(.error, "The run \(run.name) has stopped: \(ResponseError(error).message)")
    }
    for diagnostic in diagnostics.all.kept where run.isNews(diagnostic) {
      log(diagnostic.severity.level, "\(run.name): \(diagnostic.message)")
    }
  }
}

extension Diagnostic.Severity {
  fileprivate var level: LogMessage.Level {
    switch self {
    case .error: .error
    case .warning: .warning
    case .information: .info
    }
  }
}
