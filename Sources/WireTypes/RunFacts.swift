// What the protocol says of a run: where it stands, what it teaches, and what each step did.

package import JSON

/// Where a run stands.
package struct RunFacts: Sendable {
  let members: JSONObject

  package var json: JSON { .object(members) }

  /// - Parameters:
  ///   - state: `waiting`, `running`, `finished` or `failed`.
  ///   - failure: why it cannot go on, as kind and message.
  package init(
    run: String, state: String, student: (model: String, revision: String),
    teacher: (model: String, revision: String)?, dataset: String, step: Int, steps: Int, epoch: Double, tokens: Int,
    sparsity: Double, forkedFrom: (run: String, step: Int)?, failure: (kind: String, message: String)?
  ) {
    func place(_ model: (model: String, revision: String)) -> JSON {
      ["model": JSON(model.model), "revision": JSON(model.revision)]
    }
    members = [
      "run": JSON(run), "state": JSON(state), "student": place(student), "teacher": teacher.map(place) ?? .null,
      "dataset": JSON(dataset), "step": JSON(step), "steps": JSON(steps), "epoch": JSON(epoch),
      "tokens": JSON(tokens), "sparsity": JSON(sparsity),
      "forkedFrom": forkedFrom.map { ["run": JSON($0.run), "step": JSON($0.step)] } ?? .null,
      "failure": failure.map { ["kind": JSON($0.kind), "message": JSON($0.message)] } ?? .null,
    ]
  }
}

/// An objective as a run teaches it.
package struct ObjectiveFacts: Sendable {
  let json: JSON

  /// - Parameters:
  ///   - temperature, temperatureScale: of those on the logits.
  ///   - place, layers: of those inside.
  package init(
    plugin: String, weight: Double, parameters: JSONObject, temperature: Double? = nil, temperatureScale: String? = nil,
    place: String? = nil, layers: [(student: Int, teacher: Int)]? = nil
  ) {
    var members: JSONObject = [
      "plugin": JSON(plugin), "weight": JSON(weight), "parameters": .object(parameters),
    ]
    if let temperature { members["temperature"] = JSON(temperature) }
    if let temperatureScale { members["temperatureScale"] = JSON(temperatureScale) }
    if let place { members["place"] = JSON(place) }
    if let layers { members["layers"] = .array(layers.map { .array([JSON($0.student), JSON($0.teacher)]) }) }
    json = .object(members)
  }
}

/// What a validation of a run's student found.
package struct ValidationFacts: Sendable {
  package let json: JSON

  /// - Parameters:
  ///   - loss: mean cross-entropy, in nats.
  ///   - meanKL, sameTopToken: against the teacher; nil without one of the same vocabulary.
  ///   - ownTextShare: nil unless it adapts.
  package init(
    step: Int, loss: Double, perplexity: Double, meanKL: Double?, sameTopToken: Double?, ownTextShare: Double?
  ) {
    json = [
      "step": JSON(step), "loss": wireNumber(loss), "perplexity": wireNumber(perplexity),
      "meanKL": meanKL.map(wireNumber) ?? .null, "sameTopToken": sameTopToken.map { JSON($0) } ?? .null,
      "ownTextShare": ownTextShare.map { JSON($0) } ?? .null,
    ]
  }
}

/// What a step did.
package struct StepFacts: Sendable {
  package let json: JSON
  /// Those of the step.
  package let validations: [ValidationFacts]

  /// - Parameters:
  ///   - loss: as it is minimised, in nats, before the step.
  ///   - parts: of each objective, unweighted.
  ///   - rewards: what they said, if the run learns from any.
  ///   - validations: before the step, if one was due, and after it.
  ///   - secondsLeft: until all steps are done; nil while nobody can say.
  package init(
    step: Int, epoch: Double, loss: Double, parts: [(name: String, value: Double)],
    rewards: [(name: String, value: Double)], validations: [ValidationFacts], balance: Double?, gradientNorm: Double,
    learningRate: Double, tokens: Int, totalTokens: Int, tokensPerSecond: Double, secondsLeft: Double?,
    teacherReused: Double, sparsity: Double, residentBytes: Int, seconds: Double
  ) {
    self.validations = validations
    json = [
      "step": JSON(step), "epoch": JSON(epoch), "loss": wireNumber(loss),
      "parts": .object(JSONObject(parts.map { ($0.name, wireNumber($0.value)) })),
      "rewards": .object(JSONObject(rewards.map { ($0.name, wireNumber($0.value)) })),
      "validations": .array(validations.map(\.json)), "balance": balance.map(wireNumber) ?? .null,
      "gradientNorm": wireNumber(gradientNorm), "learningRate": JSON(learningRate), "tokens": JSON(tokens), "totalTokens": JSON(totalTokens),
      "tokensPerSecond": JSON(tokensPerSecond), "secondsLeft": secondsLeft.map(wireNumber) ?? .null,
      "teacherReused": JSON(teacherReused), "sparsity": JSON(sparsity), "residentBytes": JSON(residentBytes),
      "seconds": JSON(seconds),
    ]
  }
}

/// What is sent after each step of a run that goes by itself.
package enum RunProgress {
  package static let name = "distill/progress"

  package static func params(run: String, state: String, _ step: StepFacts) -> JSON {
    ["run": JSON(run), "state": JSON(state), "metrics": step.json]
  }
}

/// Parameters of methods that take just a run.
package struct RunParams: MethodParams {
  package let run: String

  package init(_ fields: inout JSONFields) throws(JSONFieldError) { run = try fields.string("run") }
}
