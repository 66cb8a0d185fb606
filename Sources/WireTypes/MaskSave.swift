// mask/save: writes a revision's masks to a safetensors file.

package import JSON

package enum MaskSave: Method {
  package static let name = "mask/save"

  package struct Params: MethodParams {
    package let model: String
    package let revision: String?
    package let path: String

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      path = try fields.string("path")
    }
  }

  package static func result(path: String, revision: String, tensors: Int, bytes: Int) -> JSON {
    ["path": JSON(path), "revision": JSON(revision), "tensors": JSON(tensors), "bytes": JSON(bytes)]
  }
}
