// mask/undo and mask/redo: steps back and forth between revisions.

package import JSON

package enum MaskUndo: Method {
  package static let name = "mask/undo"
  package typealias Params = ModelParams

  package static func result(_ place: PlaceFacts, undone: String) -> JSON {
    var result = place.json
    result["undone"] = JSON(undone)
    return result
  }
}

package enum MaskRedo: Method {
  package static let name = "mask/redo"
  package typealias Params = ModelParams

  package static func result(_ place: PlaceFacts) -> JSON {
    var result = place.json
    result["redone"] = result["revision"]
    return result
  }
}

/// Where a model is on its graph of revisions.
package struct PlaceFacts: Sendable {
  let json: JSON

  package init(model: String, revision: String, branch: String, canUndo: Bool, canRedo: Bool) {
    json = [
      "model": JSON(model), "revision": JSON(revision), "branch": JSON(branch), "canUndo": JSON(canUndo),
      "canRedo": JSON(canRedo),
    ]
  }
}
