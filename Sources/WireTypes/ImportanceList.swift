// importance/list: the scores in memory.

package import JSON

package enum ImportanceList: Method {
  package static let name = "importance/list"
  package typealias Params = NoParams

  package static func result(_ scores: [ScoresFacts]) -> JSON { ["scores": .array(scores.map(\.json))] }
}
