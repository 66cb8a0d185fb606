// distill/status, pause, resume, fork, commit, save, stop: what can be done with a run besides taking steps.

package import JSON

package enum DistillStatus: Method {
  package static let name = "distill/status"

  package struct Params: MethodParams {
    /// Nil: all of them.
    package let run: String?
    /// Of how many of its last steps the metrics are wanted.
    package let history: Int

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      run = try fields.optionalString("run")
      history = try fields.int("history", in: 0...10_000, default: 1)
    }
  }

  package static func run(_ run: RunFacts, history: [StepFacts]) -> JSON {
    var members = run.members
    members["history"] = .array(history.map(\.json))
    return .object(members)
  }

  package static func result(_ runs: [JSON]) -> JSON { ["runs": .array(runs)] }
}

package enum DistillPause: Method {
  package static let name = "distill/pause"
  package typealias Params = RunParams

  package static func result(_ run: RunFacts) -> JSON { run.json }
}

package enum DistillResume: Method {
  package static let name = "distill/resume"

  package struct Params: MethodParams {
    package let run: String
    /// Where it pauses again; nil: when all its steps are done.
    package let untilStep: Int?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      run = try fields.string("run")
      untilStep = try fields.optionalInt("untilStep", in: 1...100_000_000)
    }
  }

  package static func result(_ run: RunFacts) -> JSON { run.json }
}

package enum DistillFork: Method {
  package static let name = "distill/fork"

  package struct Params: MethodParams {
    package let run: String
    package let name: String?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      run = try fields.string("run")
      name = try fields.optionalName("name")
    }
  }

  package static func result(_ fork: RunFacts, seconds: Double) -> JSON {
    var result = fork.members
    result["seconds"] = JSON(seconds)
    return .object(result)
  }
}

package enum DistillCommit: Method {
  package static let name = "distill/commit"
  package typealias Params = RunParams

  package static func result(
    _ run: RunFacts, model: String, revision: String, parent: String, seconds: Double
  ) -> JSON {
    var result: JSONObject = [
      "model": JSON(model), "revision": JSON(revision), "parent": JSON(parent), "seconds": JSON(seconds),
    ]
    for key in ["run", "step", "sparsity"] { result[key] = run.members[key] }
    return .object(result)
  }
}

package enum DistillSave: Method {
  package static let name = "distill/save"

  package struct Params: MethodParams {
    package let run: String
    package let path: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      run = try fields.string("run")
      path = try fields.string("path")
    }
  }

  package static func result(_ run: RunFacts, path: String, bytes: Int, seconds: Double) -> JSON {
    [
      "run": run.members["run"] ?? .null, "step": run.members["step"] ?? .null, "path": JSON(path),
      "bytes": JSON(bytes), "seconds": JSON(seconds),
    ]
  }
}

package enum DistillStop: Method {
  package static let name = "distill/stop"
  package typealias Params = RunParams

  package static func result(_ run: RunFacts) -> JSON { run.json }
}
