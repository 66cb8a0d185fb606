// distill/recipe: pruning and teaching in turns, in one request, each stage a revision.

import Glibc
package import JSON

package enum DistillRecipe: Method {
  package static let name = "distill/recipe"

  /// One thing that is done to the model.
  package enum Stage: Sendable {
    case prune(PruneRun.Params)
    case teach(DistillStart.Params)
    /// The masks stay, the weights are again those of a revision. (Frankle and Carbin 2019, Frankle et al. 2020)
    case rewind(revision: String)
  }

  package struct Params: MethodParams {
    package let model: String
    package let stages: [Stage]

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      let listed = try fields.optionalFieldsArray("stages"), rounds = try fields.optionalFields("rounds")
      switch (listed, rounds) {
      case (let listed?, nil):
        guard (1...64).contains(listed.count) else {
          throw fields.error(.outOfRange, "stages", expected: "1 to 64 stages")
        }
        var stages: [Stage] = []
        for stage in listed { stages.append(try Self.stage(stage, model: model)) }
        self.stages = stages
      case (nil, var rounds?):
        stages = try Self.stages(&rounds, model: model)
        try rounds.finish()
      case (nil, nil): throw fields.error(.missingField, "stages", expected: "either `stages` or `rounds`")
      case (_?, _?): throw fields.error(.outOfRange, "rounds", expected: "either `stages` or `rounds`, not both")
      }
    }

    /// {prune: {...}}, {teach: {...}} or {rewind: {revision}}.
    private static func stage(_ given: JSONFields, model: String) throws(JSONFieldError) -> Stage {
      var fields = given
      let words = ["prune", "teach", "rewind"].filter { fields.has($0) }
      guard words.count == 1 else {
        throw JSONFieldError(
          .outOfRange, path: fields.path, expected: "exactly one of prune, teach and rewind",
          given: .object(fields.members))
      }
      var inner = try fields.fields(words[0])
      try fields.finish()
      switch words[0] {
      case "prune": return .prune(try read(inner, adding: ["model": JSON(model)]))
      case "teach": return .teach(try read(inner, adding: ["student": JSON(model)]))
      default:
        let revision = try inner.string("revision")
        try inner.finish()
        return .rewind(revision: revision)
      }
    }

    /// {sparsity, count?, prune, teach, rewind?}: as many rounds as it takes to prune at most a third of what is left
    /// in each, unless `count` says how many.
    private static func stages(_ fields: inout JSONFields, model: String) throws(JSONFieldError) -> [Stage] {
      let sparsity = try fields.double("sparsity", in: 0.01...0.999)
      var atLeast = 1, left = 2.0 / 3
      while 1 - left < sparsity - 1e-9 { (atLeast, left) = (atLeast + 1, left * 2 / 3) }
      let count = try fields.int("count", in: 1...32, default: atLeast)
      let prune = try fields.fields("prune"), teach = try fields.fields("teach")
      let rewind = try fields.optionalString("rewind")
      var stages: [Stage] = []
      for round in 1...count {
        // The same share of what is left in every round.
        let now = round == count ? sparsity : 1 - pow(1 - sparsity, Double(round) / Double(count))
        stages.append(.prune(try read(prune, adding: ["model": JSON(model), "sparsity": JSON(now)])))
        if let rewind { stages.append(.rewind(revision: rewind)) }
        stages.append(.teach(try read(teach, adding: ["student": JSON(model)])))
      }
      return stages
    }

    /// The parameters of another method, whose members that the recipe says itself may not be given.
    private static func read<Inner: MethodParams>(
      _ fields: JSONFields, adding own: JSONObject
    ) throws(JSONFieldError) -> Inner {
      var members = fields.members
      for (key, value) in own {
        guard !fields.has(key) else {
          throw fields.error(.outOfRange, key, expected: "nothing: the recipe says it")
        }
        members[key] = value
      }
      var all = JSONFields(members: members, at: fields.path)
      let params = try Inner(&all)
      try all.finish()
      return params
    }
  }

  /// A stage that was done.
  package struct StageFacts: Sendable {
    let json: JSON

    /// - Parameters:
    ///   - metrics: of the last step of a stage that teaches.
    ///   - validations: those of all its steps.
    package init(
      stage: String, revision: String, sparsity: Double, metrics: StepFacts?, validations: [ValidationFacts],
      seconds: Double
    ) {
      json = [
        "stage": JSON(stage), "revision": JSON(revision), "sparsity": JSON(sparsity),
        "metrics": metrics?.json ?? .null, "validations": .array(validations.map(\.json)), "seconds": JSON(seconds),
      ]
    }

    package var value: JSON { json }
  }

  package static func result(
    model: String, revision: String, sparsity: Double, stages: [StageFacts], diagnostics: JSON, seconds: Double
  ) -> JSON {
    [
      "model": JSON(model), "revision": JSON(revision), "sparsity": JSON(sparsity),
      "stages": .array(stages.map(\.json)), "diagnostics": diagnostics, "seconds": JSON(seconds),
    ]
  }
}
