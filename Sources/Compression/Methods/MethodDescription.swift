// Who a method is and what it asks for: what is common to all kinds.

/// The identity and the needs of a method.
package struct MethodDescription: Sendable, Equatable {
  /// Kebab-case word of the field, unique among the loaded plugins: `magnitude`, `sparsegpt`.
  package let id: String
  package let version: String
  package let summary: String
  /// What it needs to know, at most.
  package let statistics: StatisticsNeed
  package let parameters: [ParameterDescription]

  package init(
    id: String, version: String, summary: String, statistics: StatisticsNeed = .none,
    parameters: [ParameterDescription] = []
  ) {
    self.id = id
    self.version = version
    self.summary = summary
    self.statistics = statistics
    self.parameters = parameters
  }
}

/// A kind of method, in the words of the protocol.
package enum MethodKind: String, Sendable, CaseIterable {
  case selector
  case unitSelector = "unit-selector"
  case solver
  case compensator
  case blockCompensator = "block-compensator"
  case refiner
  case allocator
  case objective
  case featureObjective = "feature-objective"
  case reward
}
