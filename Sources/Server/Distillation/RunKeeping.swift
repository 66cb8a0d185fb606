// What of a run is kept on disk while it goes: its metrics, and checkpoints every so many steps.

import Checkpoints
import Compression
import Glibc
import JSON
import Tensors
import WireTypes

/// Used on the compute lane only.
final class RunKeeping: @unchecked Sendable {
  private var writers: [any MetricsWriter]
  private let checkpoint: (path: String, everySteps: Int, keep: Int)?

  /// - Parameters:
  ///   - step: where the run is.
  ///   - subfolder: of the folder of checkpoints, where several runs share one.
  /// - Throws: `CheckpointError` for a folder that cannot be written, or in which a run that is not gone on with has left
  ///   checkpoints: they would be taken for this one's.
  init(_ params: DistillStart.Params, step: Int, subfolder: String? = nil) throws {
    checkpoint = params.checkpoint.map { param in
      (param.path + (subfolder.map { "/" + $0 } ?? ""), param.everySteps, param.keep)
    }
    if let path = checkpoint?.path {
      if step == 0, RunFolder.holdsCheckpoints(path) {
        throw CheckpointError.file(path: path, .taken(by: "the checkpoints of a run"))
      }
      try RunFolder.make(path)
      try RunFolder.removePartial(in: path)
    }
    guard let folder = params.log else {
      writers = []
      return
    }
    try RunFolder.make(folder)
    writers = [
      try MetricsLog(path: folder + "/metrics.jsonl", run: params.name ?? "run"),
      try TensorBoardWriter(folder: folder, wallSeconds: wallSeconds(), resumedStep: step > 0 ? step + 1 : nil),
    ]
  }

  /// Gives the files back.
  func close() { writers = [] }

  /// - Throws: `CheckpointError` if the disk refuses; the step is done all the same.
  func note(
    _ run: DistillationRun, params: JSONObject, _ metrics: StepMetrics, _ validations: [Validation]
  ) throws {
    let wall = wallSeconds()
    let before = validations.filter { $0.step < run.steps }, after = validations.filter { $0.step == run.steps }
    for writer in writers {
      for validation in before {
        try writer.append(
          step: validation.step, tokens: run.tokens - metrics.report.tokens, wallSeconds: wall,
          values: validation.values)
      }
      try writer.append(
        step: run.steps, tokens: run.tokens, wallSeconds: wall, values: metrics.values + after.flatMap(\.values))
    }
    guard let checkpoint, run.steps % checkpoint.everySteps == 0 || run.steps == run.options.schedule.steps else {
      return
    }
    _ = try run.save(to: RunFolder.path(checkpoint.path, step: run.steps), state: params, monitor: Monitor())
    try RunFolder.keepNewest(checkpoint.keep, in: checkpoint.path, upTo: run.steps)
  }
}

// MARK: As they go to files

extension StepMetrics {
  fileprivate var values: [(name: String, value: Double)] {
    [("loss", report.loss), ("gradientNorm", report.gradientNorm), ("learningRate", report.learningRate)]
      + parts.map { ("parts/\($0.name)", $0.value) } + rewards.map { ("rewards/\($0.name)", $0.value) }
      + (balance.map { [("balance", $0)] } ?? [])
  }
}

extension Validation {
  fileprivate var values: [(name: String, value: Double)] {
    let named = [
      ("loss", loss), ("perplexity", perplexity), ("meanKL", meanKL), ("sameTopToken", sameTopToken),
      ("ownTextShare", ownTextShare),
    ]
    return named.compactMap { name, value in value.map { ("validation/\(name)", $0) } }
  }
}

/// Seconds since 1970.
private func wallSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
