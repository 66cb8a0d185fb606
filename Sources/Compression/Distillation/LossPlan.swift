// What a run teaches: objectives on the next token's distributions, feature objectives at places of the networks, and
// how they are weighed against each other.

import Tensors
package import Transformers

/// A loss on next-token distributions and its part in the whole.
package struct ObjectiveTerm: Sendable {
  package let objective: Configured<any Objective>
  package let weight: Double
  /// What logits are divided by; 1 for objectives that are defined there only.
  package let temperature: Double
  /// Whether the loss is multiplied by T^2, which keeps its gradient's size. (Hinton et al. 2015, section 2.1)
  package let squaresTemperature: Bool

  package init(
    _ objective: Configured<any Objective>, weight: Double = 1, temperature: Double = 1, squaresTemperature: Bool = true
  ) {
    self.objective = objective
    self.weight = weight
    self.temperature = objective.method.description.fixedTemperature ? 1 : temperature
    self.squaresTemperature = squaresTemperature
  }

  /// What the objective's own loss is multiplied with.
  var factor: Double { weight * (squaresTemperature ? temperature * temperature : 1) }
}

/// Where in a network features are taken.
package enum FeaturePlace: String, Sendable, CaseIterable {
  /// What enters the first layer.
  case embedding
  /// What leaves a layer.
  case output
  /// Queries, keys and values as attention sees them, behind norms and rotation.
  case queries, keys, values
}

/// A layer of the student and the one of the teacher that it learns from.
package struct LayerPair: Sendable, Equatable {
  package let student: Int
  package let teacher: Int

  package init(student: Int, teacher: Int) {
    self.student = student
    self.teacher = teacher
  }
}

/// A loss on what is inside and its part in the whole: the mean over its pairs of layers.
package struct FeatureTerm: Sendable {
  package let objective: Configured<any FeatureObjective>
  package let weight: Double
  package let place: FeaturePlace
  /// One pair, of layers 0, for the embedding.
  package let pairs: [LayerPair]

  package init(
    _ objective: Configured<any FeatureObjective>, weight: Double = 1, place: FeaturePlace, pairs: [LayerPair]
  ) {
    self.objective = objective
    self.weight = weight
    self.place = place
    self.pairs = pairs
  }
}

/// How the losses inside are weighed against those on the logits.
package enum LossBalance: String, Sendable, CaseIterable {
  /// By their weights.
  case fixed
  /// What is inside is scaled to be as large as what is on the logits, without a gradient through the scale: alpha =
  /// L_logits / L_inside, batch by batch. (Minitron, Muralidharan et al. 2024, arXiv 2407.14679, section 3)
  case dynamic
}

package struct LossPlan: Sendable {
  package var objectives: [ObjectiveTerm]
  package var features: [FeatureTerm]
  /// Learning from rewards beside them; nil for none.
  package var policy: PolicyPlan?
  package var balance: LossBalance
  /// The entries that student and teacher share at the beginning of their vocabularies.
  package var vocabulary: Int

  package init(
    objectives: [ObjectiveTerm], features: [FeatureTerm] = [], balance: LossBalance = .fixed, vocabulary: Int
  ) {
    self.objectives = objectives
    self.features = features
    self.balance = balance
    self.vocabulary = vocabulary
  }

  package var needsTeacher: Bool {
    !features.isEmpty || policy?.needsTeacher ?? false
      || objectives.contains { $0.objective.method.description.needsTeacher }
  }

  /// Whether the teacher has to look at every batch: for rewards it has looked before.
  var looksAtBatches: Bool {
    !features.isEmpty || objectives.contains { $0.objective.method.description.needsTeacher }
  }

  /// Layers of the student whose activations must be there after its forward pass.
  package var keptLayers: Range<Int>? {
    let layers = features.flatMap { term in
      switch term.place {
      case .queries, .keys, .values: term.pairs.map(\.student)
      case .embedding, .output: [Int]()
      }
    }
    guard let first = layers.min(), let last = layers.max() else { return nil }
    return first..<last + 1
  }

  /// That the plan can be carried out.
  /// - Throws: `TrainingError.planInvalid`.
  package func check(student: Transformer, teacher: Transformer?) throws(TrainingError) {
    func require(_ condition: Bool, _ expected: String) throws(TrainingError) {
      if !condition { throw .planInvalid(expected: expected) }
    }
    try require(!objectives.isEmpty || !features.isEmpty || policy != nil, "at least one objective")
    try require(teacher != nil || !needsTeacher, "a teacher, which one of the objectives needs")
    let shared = min(student.shape.vocabularySize, teacher?.shape.vocabularySize ?? .max)
    try require((1...shared).contains(vocabulary), "a shared vocabulary of 1 to \(shared) tokens")
    for term in objectives {
      try require(term.weight.isFinite && term.weight >= 0, "weights of at least 0, not \(term.weight)")
      try require(
        term.temperature.isFinite && term.temperature > 0, "temperatures above 0, not \(term.temperature)")
    }
    for term in features {
      try require(term.weight.isFinite && term.weight >= 0, "weights of at least 0, not \(term.weight)")
      try require(!term.pairs.isEmpty, "a pair of layers for every feature objective")
      for pair in term.pairs {
        try require(
          (0..<student.shape.layers).contains(pair.student)
            && (0..<(teacher?.shape.layers ?? 0)).contains(pair.teacher),
          "layers of student and teacher, not \(pair.student) and \(pair.teacher)")
      }
    }
    try require(
      balance == .fixed || features.isEmpty || (policy == nil && objectives.contains { $0.weight > 0 }),
      "an objective on logits, and no rewards, where the balance is dynamic: what is inside is scaled to its loss")
    guard policy == nil else { return }
    let total = objectives.reduce(0) { $0 + $1.weight } + features.reduce(0) { $0 + $1.weight }
    try require(total > 0, "at least one weight above 0")
  }
}
