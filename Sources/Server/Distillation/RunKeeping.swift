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
  private let checkpoint: DistillStart.CheckpointParam?

  /// - Parameter step: where the run is.
  /// - Throws: `CheckpointError` for a folder that cannot be written.
  init(_ params: DistillStart.Params, step: Int) throws {
    checkpoint = params.checkpoint
    if let checkpoint {
      try RunFolder.make(checkpoint.path)
      try RunFolder.removePartial(in: checkpoint.path)
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
  func note(_ run: DistillationRun, params: JSONObject, values: [(name: String, value: Double)]) throws {
    let wall = wallSeconds()
    for writer in writers {
      try writer.append(step: run.steps, tokens: run.tokens, wallSeconds: wall, values: values)
    }
    guard let checkpoint, run.steps % checkpoint.everySteps == 0 || run.steps == run.options.schedule.steps else {
      return
    }
    _ = try run.save(to: RunFolder.path(checkpoint.path, step: run.steps), state: params, monitor: Monitor())
    try RunFolder.keepNewest(checkpoint.keep, in: checkpoint.path, upTo: run.steps)
  }
}

/// Seconds since 1970.
private func wallSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
