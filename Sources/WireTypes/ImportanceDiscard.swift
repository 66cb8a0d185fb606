// importance/discard: forgets scores and frees their memory.

package import JSON

package enum ImportanceDiscard: Method {
  package static let name = "importance/discard"

  package struct Params: MethodParams {
    package let scores: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) { scores = try fields.string("scores") }
  }

  package static func result(scores: String) -> JSON { ["scores": JSON(scores), "discarded": true] }
}
