// model/export: writes a revision to disk in a format that other programs read.

package import JSON

package enum ModelExport: Method {
  package static let name = "model/export"

  package struct Params: MethodParams {
    package let model: String
    package let revision: String?
    /// The folder to be written.
    package let path: String
    /// Whether files that are there may be replaced.
    package let overwrite: Bool

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      path = try fields.string("path")
      _ = try fields.string("format", oneOf: ["hf"])
      overwrite = try fields.bool("overwrite", default: false)
    }
  }

  package static func result(
    path: String, revision: String, files: [(name: String, bytes: Int)], seconds: Double
  ) -> JSON {
    [
      "path": JSON(path), "revision": JSON(revision),
      "files": .array(files.map { ["name": JSON($0.name), "bytes": JSON($0.bytes)] }),
      "bytes": JSON(files.reduce(0) { $0 + $1.bytes }), "seconds": JSON(seconds),
    ]
  }
}
