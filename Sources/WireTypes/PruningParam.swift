// What requests for a pruning have in common: which methods, how they compare weights, how much each tensor loses.

import JSON

package struct PruningParam: Sendable {
  /// The selector or solver.
  package let criterion: CriterionParam
  package let terms: [(name: String, scores: String)]
  package let refinement: MethodParam?
  /// Nil: the method's own.
  package let compensation: [MethodParam]?
  /// Nil: the method's own.
  package let rounds: Int?
  package let allocation: AllocationParam?
  /// Nil: the method's own.
  package let group: String?
  package let ties: String

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    criterion = try CriterionParam(&fields)
    terms = try fields.optionalTerms("terms")
    refinement = try fields.optionalMethod("refinement")
    compensation = try fields.optionalMethods("compensation")
    rounds = try fields.optionalInt("rounds", in: 1...64)
    allocation = try fields.optionalAllocation("allocation")
    group = try fields.optionalString("group", oneOf: groupNames)
    ties = try fields.ties()
  }
}

extension JSONFields {
  /// Member `ties`: `first`, which is the default, or `all`.
  mutating func ties() throws(JSONFieldError) -> String {
    try string("ties", oneOf: ["first", "all"], default: "first")
  }

  /// Handles of scores by the name of the term that they are: `{"reward": "s3"}`.
  mutating func optionalTerms(_ key: String) throws(JSONFieldError) -> [(name: String, scores: String)] {
    guard let members = try optionalObject(key) else { return [] }
    var fields = JSONFields(members: members, at: path(of: key))
    var terms: [(name: String, scores: String)] = []
    for name in members.keys { terms.append((name, try fields.string(name))) }
    return terms
  }
}
