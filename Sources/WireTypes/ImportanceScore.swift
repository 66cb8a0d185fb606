// importance/score: lets a plugin score a model's weights, and keeps the scores under a handle.

package import JSON

package enum ImportanceScore: Method {
  package static let name = "importance/score"

  package struct Params: MethodParams {
    package let model: String
    package let revision: String?
    package let criterion: CriterionParam
    package let terms: [(name: String, scores: String)]
    package let training: TrainingParam?
    /// `weight`, or a unit that is cut out whole.
    package let unit: String
    /// What scores by the plugin `reward` go by; nil for all others.
    package let reward: RewardScoringParam?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      criterion = try CriterionParam(&fields)
      terms = try fields.optionalTerms("terms")
      if var members = try fields.optionalFields("training") {
        training = try TrainingParam(&members)
      } else {
        training = nil
      }
      unit = try fields.string("unit", oneOf: ["weight"] + unitNames, default: "weight")
      if var members = try fields.optionalFields("reward") {
        guard criterion.plugin == "reward" else {
          throw fields.error(.outOfRange, "reward", expected: "nothing unless `plugin` is \"reward\"")
        }
        reward = try RewardScoringParam(&members)
        try members.finish()
      } else {
        reward = nil
      }
    }
  }

  package struct Tensor: Sendable {
    let json: JSON

    /// - Parameter quantiles: by their fractions, as (0.5, median).
    package init(
      tensor: String, minimum: Float, maximum: Float, mean: Double, quantiles: [(fraction: Double, value: Float)],
      histogram: [Int]
    ) {
      json = [
        "tensor": JSON(tensor), "minimum": wireNumber(minimum), "maximum": wireNumber(maximum),
        "mean": wireNumber(mean),
        "quantiles": .object(JSONObject(quantiles.map { ("\($0.fraction)", wireNumber($0.value)) })),
        "histogram": JSON(histogram),
      ]
    }
  }

  /// - Parameters:
  ///   - tensors: of scores of weights.
  ///   - units: of scores of units; nil for those of weights.
  ///   - reward: of scores that go by rewards.
  package static func result(
    _ scores: ScoresFacts, statistics: StatisticsFacts, tensors: [Tensor] = [], units: [UnitGroupFacts]? = nil,
    reward: RewardFacts? = nil, diagnostics: JSON, seconds: Double
  ) -> JSON {
    var result = scores.json
    statistics.add(to: &result)
    result["diagnostics"] = diagnostics
    result["seconds"] = JSON(seconds)
    result["tensors"] = .array(tensors.map(\.json))
    if let units { result["units"] = .array(units.map { $0.json(nil) }) }
    if let reward { result["reward"] = reward.json }
    return result
  }
}

/// What a client knows of scores.
package struct ScoresFacts: Sendable {
  let json: JSON

  package init(
    scores: String, model: String, revision: String, plugin: String, parameters: [(name: String, value: JSON)],
    dataset: String?, group: String, bytes: Int, unit: String = "weight"
  ) {
    json = [
      "scores": JSON(scores), "model": JSON(model), "revision": JSON(revision), "plugin": JSON(plugin),
      "parameters": .object(JSONObject(parameters.map { ($0.name, $0.value) })), "datasetDigest": JSON(dataset),
      "unit": JSON(unit), "group": JSON(group), "bytes": JSON(bytes),
    ]
  }
}
