// server/status, job/list, job/cancel: what the daemon is at. Never waits for work.

import Compression
import Glibc
import JSON
import Tensors
import WireTypes
import Workspace

let statusRoutes = [
  Route(ServerStatus.self) { _, context in .answer(status(of: context)) },
  Route(JobList.self) { _, context in
    .answer(
      JobList.result(
        context.scheduler.jobs.filter { $0.job.method != JobList.name }.map { job, isRunning in
          let progress = job.progress.snapshot
          return JobList.Job(
            job: job.id, method: job.method, model: job.model, running: isRunning,
            percentage: Int(progress.fraction * 100), message: progress.message,
            seconds: monotonicSeconds() - job.progress.started)
        }))
  },
  Route(JobCancel.self) { params, context in
    try context.scheduler.cancel(job: params.job)
    return .answer(JobCancel.result(job: params.job))
  },
]

private func status(of context: ServerContext) -> JSON {
  let process = processMemory()
  let models = context.models.all.map(\.value), scores = context.scores.all.map(\.value)
  let unitScores = context.unitScores.all.map(\.value)
  let memory = ServerStatus.Memory(
    resident: process.resident, peakResident: process.peak,
    mappedWeights: models.reduce(0) { $0 + $1.weightsBytes }, masks: models.reduce(0) { $0 + $1.maskBytes },
    scores: scores.reduce(0) { $0 + $1.bytes } + unitScores.reduce(0) { $0 + $1.bytes },
    caches: context.statistics.bytes)
  let blas = context.computeIfLoaded?.blas
  return ServerStatus.result(
    version: espalierVersion, processId: Int(getpid()), uptimeSeconds: monotonicSeconds() - context.started,
    threads: context.threads, instructionSet: Compute.instructionSet,
    blas: blas.map { ServerStatus.Linear(core: $0.coreName, configuration: $0.configuration) }, memory: memory,
    counts: ServerStatus.Counts(
      models: models.count, datasets: context.datasets.names.count, scores: scores.count + unitScores.count,
      jobs: context.scheduler.jobs.filter { $0.job.method != ServerStatus.name }.count),
    limits: context.wireLimits)
}
