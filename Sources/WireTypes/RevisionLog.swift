// revision/log: the graph of a model's revisions.

package import JSON

package enum RevisionLog: Method {
  package static let name = "revision/log"
  package typealias Params = ModelParams

  package struct Entry: Sendable {
    let json: JSON

    package init(
      revision: String, parent: String?, method: String, summary: String, details: [(name: String, value: String)],
      sparsity: Double
    ) {
      json = [
        "revision": JSON(revision), "parent": JSON(parent), "method": JSON(method), "summary": JSON(summary),
        "details": .object(JSONObject(details.map { ($0.name, JSON($0.value)) })), "sparsity": JSON(sparsity),
      ]
    }
  }

  package static func result(
    _ place: PlaceFacts, branches: [(name: String, revision: String)], revisions: [Entry]
  ) -> JSON {
    var result = place.json
    result["current"] = result["revision"]
    result["branches"] = .object(JSONObject(branches.map { ($0.name, JSON($0.revision)) }))
    result["revisions"] = .array(revisions.map(\.json))
    return result
  }
}
