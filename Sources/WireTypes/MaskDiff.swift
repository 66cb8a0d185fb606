// mask/diff: what two revisions prune differently.

package import JSON

package enum MaskDiff: Method {
  package static let name = "mask/diff"

  package struct Params: MethodParams {
    package let model: String
    package let from: String
    /// Nil: the current revision.
    package let to: String?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      from = try fields.string("from")
      to = try fields.optionalString("to")
    }
  }

  package struct Tensor: Sendable {
    let json: JSON

    package init(tensor: String, pruned: Int, restored: Int, agreement: Double, prunedOverlap: Double) {
      json = [
        "tensor": JSON(tensor), "pruned": JSON(pruned), "restored": JSON(restored), "agreement": JSON(agreement),
        "prunedOverlap": JSON(prunedOverlap),
      ]
    }
  }

  /// - Parameter tensors: those that differ.
  package static func result(
    model: String, from: String, to: String, pruned: Int, restored: Int, tensors: [Tensor]
  ) -> JSON {
    [
      "model": JSON(model), "from": JSON(from), "to": JSON(to), "pruned": JSON(pruned), "restored": JSON(restored),
      "tensors": .array(tensors.map(\.json)),
    ]
  }
}
