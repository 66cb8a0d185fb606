// importance/compare: how far two scores agree, in rank and in the masks that they give.

package import JSON

package enum ImportanceCompare: Method {
  package static let name = "importance/compare"

  package struct Params: MethodParams {
    package let a: String
    package let b: String
    package let target: SparsityParam
    /// Nil: each score's own.
    package let group: String?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      a = try fields.string("a")
      b = try fields.string("b")
      target = try SparsityParam(&fields)
      group = try fields.optionalString("group", oneOf: groupNames)
    }
  }

  /// Agreement on one tensor, or the mean over all.
  package struct Agreement: Sendable {
    let json: JSON

    package init(tensor: String?, rankCorrelation: Double, maskAgreement: Double, prunedOverlap: Double) {
      var json: JSONObject = tensor.map { ["tensor": JSON($0)] } ?? [:]
      json["rankCorrelation"] = wireNumber(rankCorrelation)
      json["maskAgreement"] = wireNumber(maskAgreement)
      json["prunedOverlap"] = wireNumber(prunedOverlap)
      self.json = .object(json)
    }
  }

  package static func result(
    a: String, b: String, target: String, tensors: [Agreement], mean: Agreement, seconds: Double
  ) -> JSON {
    [
      "a": JSON(a), "b": JSON(b), "target": JSON(target), "mean": mean.json, "tensors": .array(tensors.map(\.json)),
      "seconds": JSON(seconds),
    ]
  }
}
