// model/list: the resident models.

package import JSON

package enum ModelList: Method {
  package static let name = "model/list"
  package typealias Params = NoParams

  package struct Entry: Sendable {
    let json: JSON

    package init(_ facts: ModelFacts, revision: String, branch: String, sparsity: Double) {
      var json = facts.json
      json["revision"] = JSON(revision)
      json["branch"] = JSON(branch)
      json["sparsity"] = JSON(sparsity)
      self.json = json
    }
  }

  package static func result(_ models: [Entry]) -> JSON { ["models": .array(models.map(\.json))] }
}
