// dataset/list: the datasets in memory.

package import JSON

package enum DatasetList: Method {
  package static let name = "dataset/list"
  package typealias Params = NoParams

  package static func result(_ datasets: [DatasetFacts]) -> JSON { ["datasets": .array(datasets.map(\.json))] }
}
