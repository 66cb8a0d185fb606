// How distill/start names what is taught: objectives with their weights, temperatures and places.

import JSON

/// One of `objectives`: {plugin, parameters?, weight?, temperature?, temperatureScale?, place?, layers?}.
package struct ObjectiveParam: Sendable {
  package let method: MethodParam
  package let weight: Double
  /// Nil where it was left out: those of feature objectives have none.
  package let temperature: Double?
  package let squaresTemperature: Bool?
  /// Of feature objectives.
  package let place: String?
  /// [student's layer, teacher's layer] each; nil for the usual ones.
  package let layers: [(student: Int, teacher: Int)]?
  /// Where it is, for messages.
  package let path: String

  package static let places = ["embedding", "output", "queries", "keys", "values"]

  init(_ json: JSON, at path: String) throws(JSONFieldError) {
    self.path = path
    guard json.object != nil else {
      method = try MethodParam(json, at: path)
      weight = 1
      (temperature, squaresTemperature, place, layers) = (nil, nil, nil, nil)
      return
    }
    var fields = try JSONFields(json, at: path)
    method = try MethodParam(&fields)
    weight = try fields.double("weight", in: 0...1e6, default: 1)
    temperature = try fields.optionalDouble("temperature", in: 0.01...100)
    squaresTemperature = try fields.optionalString("temperatureScale", oneOf: ["squared", "none"])
      .map { $0 == "squared" }
    place = try fields.optionalString("place", oneOf: Self.places)
    var pairs: [(student: Int, teacher: Int)]?
    if let list = try fields.optionalArray("layers") {
      var read: [(student: Int, teacher: Int)] = []
      for element in list {
        guard let pair = element.array, pair.count == 2, let student = pair[0].integer, let teacher = pair[1].integer,
          (0...4095).contains(student), (0...4095).contains(teacher)
        else {
          throw fields.error(
            .outOfRange, "layers", expected: "pairs [student's layer, teacher's layer] of numbers from 0")
        }
        read.append((student, teacher))
      }
      guard (1...256).contains(read.count) else {
        throw fields.error(.outOfRange, "layers", expected: "1 to 256 pairs of layers")
      }
      pairs = read
    }
    layers = pairs
    try fields.finish()
  }
}

/// A model and a revision of it: the model's name, or {model, revision?}.
package struct ModelParam: Sendable {
  package let model: String
  package let revision: String?

  init(_ json: JSON, at path: String) throws(JSONFieldError) {
    if let model = json.string {
      self.model = model
      revision = nil
      return
    }
    guard json.object != nil else {
      throw JSONFieldError(
        .wrongType, path: path, expected: "a model's name, or an object with model and revision", given: json)
    }
    var fields = try JSONFields(json, at: path)
    model = try fields.string("model")
    revision = try fields.optionalString("revision")
    try fields.finish()
  }
}

/// AdamW in a request.
package struct OptimizerParam: Sendable {
  package let beta1: Double
  package let beta2: Double
  package let epsilon: Double
  package let weightDecay: Double
  /// 0: no clipping.
  package let maximumNorm: Double

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    _ = try fields.optionalString("name", oneOf: ["adamw"])
    beta1 = try fields.double("beta1", in: 0...0.999999, default: 0.9)
    beta2 = try fields.double("beta2", in: 0...0.999999, default: 0.95)
    epsilon = try fields.double("epsilon", in: 1e-12...1, default: 1e-8)
    weightDecay = try fields.double("weightDecay", in: 0...10, default: 0)
    maximumNorm = try fields.double("maximumNorm", in: 0...1e9, default: 1)
  }
}

/// A learning rate schedule in a request.
package struct ScheduleParam: Sendable {
  package let shape: String
  package let learningRate: Double
  /// Nil: a twentieth of the steps.
  package let warmupSteps: Int?
  package let minimum: Double
  package let decaySteps: Int?

  package static let shapes = ["constant", "linear", "cosine", "warmup-stable-decay"]

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    shape = try fields.optionalString("shape", oneOf: Self.shapes) ?? "cosine"
    learningRate = try fields.double("learningRate", in: 0...10, default: 1e-4)
    warmupSteps = try fields.optionalInt("warmupSteps", in: 0...100_000_000)
    minimum = try fields.double("minimum", in: 0...1, default: 0.1)
    decaySteps = try fields.optionalInt("decaySteps", in: 0...100_000_000)
  }
}

extension JSONFields {
  mutating func optionalModel(_ key: String) throws(JSONFieldError) -> ModelParam? {
    guard let json = optionalValue(key) else { return nil }
    return try ModelParam(json, at: path(of: key))
  }

  /// Objectives, at least one; nil if the member was left out.
  mutating func optionalObjectives(_ key: String) throws(JSONFieldError) -> [ObjectiveParam]? {
    guard let json = optionalValue(key) else { return nil }
    let elements = json.array ?? [json]
    guard (1...32).contains(elements.count) else {
      throw error(.outOfRange, key, expected: "1 to 32 objectives; leave it out to have them chosen")
    }
    var objectives: [ObjectiveParam] = []
    for (index, element) in elements.enumerated() {
      objectives.append(
        try ObjectiveParam(element, at: json.array == nil ? path(of: key) : "\(path(of: key))[\(index)]"))
    }
    return objectives
  }

  /// The members of `key`, or defaults if it was left out.
  mutating func section<Value>(
    _ key: String, _ read: (inout JSONFields) throws(JSONFieldError) -> Value
  ) throws(JSONFieldError) -> Value {
    var section = try optionalFields(key) ?? JSONFields(members: [:], at: path(of: key))
    let value = try read(&section)
    try section.finish()
    return value
  }
}
