// distill/start: a run begins, at step 0, and waits to be told to go.

package import JSON

package enum DistillStart: Method {
  package static let name = "distill/start"

  package struct Params: MethodParams {
    /// As they were given, but for the name: what a saved run is made again from.
    package let json: JSONObject
    package let name: String?
    package let student: ModelParam
    /// Nil: what the student was before it was pruned or shrunk.
    package let teacher: ModelParam?
    package let dataset: String
    /// Nil: chosen by what was cut.
    package let objectives: [ObjectiveParam]?
    package let balance: String?
    package let optimizer: OptimizerParam
    package let schedule: ScheduleParam
    package let steps: Int
    /// Nil: about 2048 tokens at once, and 4096 a step.
    package let batch: Int?
    package let accumulation: Int?
    package let precision: String
    package let seed: Int
    package let shuffle: Bool
    package let teacherCache: String
    /// Bytes that activations may take; nil keeps those of all layers.
    package let activationBytes: Int?
    /// 0: never refuse a step for its loss.
    package let explosion: Double
    package let onPolicy: OnPolicyParam?
    package let policy: PolicyParam?
    package let validation: ValidationParam?
    /// A folder for metrics.jsonl and TensorBoard's event files.
    package let log: String?
    package let checkpoint: CheckpointParam?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      var json = fields.members
      for key in ["name", "workDoneToken", "partialResultToken"] { json[key] = nil }
      self.json = json
      name = try fields.optionalName("name")
      student = try ModelParam(try fields.value("student"), at: fields.path(of: "student"))
      teacher = try fields.optionalModel("teacher")
      dataset = try fields.string("dataset")
      objectives = try fields.optionalObjectives("objectives")
      balance = try fields.optionalString("balance", oneOf: ["fixed", "dynamic"])
      optimizer = try fields.section("optimizer", OptimizerParam.init)
      schedule = try fields.section("schedule", ScheduleParam.init)
      steps = try fields.int("steps", in: 1...100_000_000, default: 100)
      batch = try fields.optionalInt("batch", in: 1...4096)
      accumulation = try fields.optionalInt("accumulation", in: 1...4096)
      precision = try fields.precision()
      seed = try fields.int("seed", in: 0...Int.max, default: 0)
      shuffle = try fields.bool("shuffle", default: true)
      teacherCache = try fields.optionalString("teacherCache", oneOf: ["none", "fp32", "bf16"]) ?? "fp32"
      activationBytes = try fields.optionalInt("activationBytes", in: 0...Int.max)
      explosion = try fields.double("explosion", in: 0...1e6, default: 4)
      onPolicy = try fields.optionalFields("onPolicy").map { (section) throws(JSONFieldError) in
        var section = section
        return try OnPolicyParam(&section)
      }
      policy = try fields.optionalFields("policy").map { (section) throws(JSONFieldError) in
        var section = section
        return try PolicyParam(&section)
      }
      validation = try fields.optionalFields("validation").map { (section) throws(JSONFieldError) in
        var section = section
        return try ValidationParam(&section)
      }
      if onPolicy != nil, policy != nil {
        throw fields.error(
          .outOfRange, "onPolicy", expected: "nothing beside `policy`, whose completions are the student's own")
      }
      if onPolicy?.adaptive != nil, validation == nil {
        throw fields.error(
          .missingField, "validation", expected: "an object: the share of the student's own text follows it")
      }
      log = try fields.optionalString("log")
      checkpoint = try CheckpointParam.optional(&fields)
    }
  }

  /// `checkpoint`: {path, everySteps?, keep?}.
  package struct CheckpointParam: Sendable {
    package let path: String
    package let everySteps: Int
    package let keep: Int

    static func optional(_ fields: inout JSONFields) throws(JSONFieldError) -> Self? {
      try fields.optionalFields("checkpoint").map { (section) throws(JSONFieldError) in
        var section = section
        return try Self(&section)
      }
    }

    private init(_ fields: inout JSONFields) throws(JSONFieldError) {
      path = try fields.string("path")
      everySteps = try fields.int("everySteps", in: 1...100_000_000, default: 50)
      keep = try fields.int("keep", in: 1...10_000, default: 2)
      try fields.finish()
    }
  }

  /// `validation`: {dataset, everySteps?}.
  package struct ValidationParam: Sendable {
    package let dataset: String
    package let everySteps: Int

    init(_ fields: inout JSONFields) throws(JSONFieldError) {
      dataset = try fields.string("dataset")
      everySteps = try fields.int("everySteps", in: 1...100_000_000, default: 50)
      try fields.finish()
    }
  }

  /// Why these objectives.
  package struct Choice: Sendable {
    let json: JSON

    package init(recipe: String, reason: String) { json = ["name": JSON(recipe), "reason": JSON(reason)] }
  }

  /// - Parameter objectives: as they are taught, every default filled in.
  package static func result(
    _ run: RunFacts, objectives: [ObjectiveFacts], balance: String, recipe: Choice?, tokensPerStep: Int,
    memoryBytes: Int, seconds: Double
  ) -> JSON {
    var result = run.members
    result["objectives"] = .array(objectives.map(\.json))
    result["balance"] = JSON(balance)
    result["recipe"] = recipe?.json ?? .null
    result["tokensPerStep"] = JSON(tokensPerStep)
    result["memoryBytes"] = JSON(memoryBytes)
    result["seconds"] = JSON(seconds)
    return .object(result)
  }
}
