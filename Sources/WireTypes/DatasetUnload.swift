// dataset/unload: forgets a dataset.

package import JSON

package enum DatasetUnload: Method {
  package static let name = "dataset/unload"

  package struct Params: MethodParams {
    package let dataset: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) { dataset = try fields.string("dataset") }
  }

  package static func result(dataset: String) -> JSON { ["dataset": JSON(dataset), "unloaded": true] }
}
