// server/status: what the daemon is doing and with what. Answered at once, whatever else runs.

package import JSON

package enum ServerStatus: Method {
  package static let name = "server/status"
  package typealias Params = NoParams

  /// The linear algebra in use; nil until a computation has loaded it.
  package struct Linear: Sendable {
    package let core: String
    package let configuration: String

    package init(core: String, configuration: String) {
      self.core = core
      self.configuration = configuration
    }
  }

  /// Bytes, by what holds them.
  package struct Memory: Sendable {
    package let resident, peakResident, mappedWeights, masks, scores, caches: Int

    package init(resident: Int, peakResident: Int, mappedWeights: Int, masks: Int, scores: Int, caches: Int) {
      self.resident = resident
      self.peakResident = peakResident
      self.mappedWeights = mappedWeights
      self.masks = masks
      self.scores = scores
      self.caches = caches
    }
  }

  package struct Counts: Sendable {
    package let models, datasets, scores, jobs: Int

    package init(models: Int, datasets: Int, scores: Int, jobs: Int) {
      self.models = models
      self.datasets = datasets
      self.scores = scores
      self.jobs = jobs
    }
  }

  package static func result(
    version: String, processId: Int, uptimeSeconds: Double, threads: Int, instructionSet: String, blas: Linear?,
    memory: Memory, counts: Counts, limits: JSON
  ) -> JSON {
    let blas: JSON = blas.map { ["core": JSON($0.core), "configuration": JSON($0.configuration)] } ?? .null
    return [
      "version": JSON(version), "processId": JSON(processId), "uptimeSeconds": JSON(uptimeSeconds),
      "threads": JSON(threads),
      "kernels": ["instructionSet": JSON(instructionSet), "blas": blas],
      "memory": [
        "residentBytes": JSON(memory.resident), "peakResidentBytes": JSON(memory.peakResident),
        "mappedWeightsBytes": JSON(memory.mappedWeights), "maskBytes": JSON(memory.masks),
        "scoresBytes": JSON(memory.scores), "cachesBytes": JSON(memory.caches),
      ],
      "models": JSON(counts.models), "datasets": JSON(counts.datasets), "scores": JSON(counts.scores),
      "jobs": JSON(counts.jobs), "limits": limits,
    ]
  }
}
