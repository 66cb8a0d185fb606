// model/unload: forgets a model, its revisions and its scores.

package import JSON

package enum ModelUnload: Method {
  package static let name = "model/unload"
  package typealias Params = ModelParams

  package static func result(model: String, discardedScores: [String]) -> JSON {
    ["model": JSON(model), "unloaded": true, "discardedScores": JSON(discardedScores)]
  }
}
