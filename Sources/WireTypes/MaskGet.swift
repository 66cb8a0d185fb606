// mask/get: looks at masks: all in numbers, one as a heatmap of densities, or a region bit by bit.

package import JSON

package enum MaskGet: Method {
  package static let name = "mask/get"

  package enum Question: Sendable, Equatable {
    case summary
    case tensor(String)
    case region(String, RegionParam)
    case heatmap(String, GridParam)
  }

  package struct Params: MethodParams {
    package let model: String
    package let revision: String?
    package let question: Question

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      let tensor = try fields.optionalString("tensor")
      let region = try RegionParam.optional("region", &fields)
      let heatmap = try GridParam.optional("heatmap", &fields)
      switch (tensor, region, heatmap) {
      case (nil, nil, nil): question = .summary
      case (let tensor?, nil, nil): question = .tensor(tensor)
      case (let tensor?, let region?, nil): question = .region(tensor, region)
      case (let tensor?, nil, let heatmap?): question = .heatmap(tensor, heatmap)
      default:
        throw fields.error(
          tensor == nil ? .missingField : .outOfRange, "tensor",
          expected: "a tensor with `region` or `heatmap`, not both")
      }
    }
  }

  package static func result(model: String, revision: String, tensors: [TensorSparsity]) -> JSON {
    ["model": JSON(model), "revision": JSON(revision), "tensors": .array(tensors.map(\.json))]
  }

  /// - Parameter bits: the region's rows one after another, each packed eight to a byte from the lowest bit and padded.
  package static func result(
    model: String, revision: String, tensor: TensorSparsity, rows: Int, columns: Int, bits: [UInt8]
  ) -> JSON {
    var result = place(model: model, revision: revision, tensor: tensor)
    result["rows"] = JSON(rows)
    result["columns"] = JSON(columns)
    result["bits"] = .string(base64Text(bits))
    return .object(result)
  }

  /// - Parameter densities: the fraction kept of each cell, row after row.
  package static func result(
    model: String, revision: String, tensor: TensorSparsity, rows: Int, columns: Int, densities: [Double]
  ) -> JSON {
    var result = place(model: model, revision: revision, tensor: tensor)
    result["heatmap"] = ["rows": JSON(rows), "columns": JSON(columns), "densities": JSON(densities)]
    return .object(result)
  }

  /// Which mask is looked at, and what it is like as a whole.
  private static func place(model: String, revision: String, tensor: TensorSparsity) -> JSONObject {
    var place: JSONObject = ["model": JSON(model), "revision": JSON(revision)]
    for (key, value) in tensor.json.object ?? [:] { place[key] = value }
    return place
  }
}
