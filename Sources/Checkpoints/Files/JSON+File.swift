// JSON files of a checkpoint, with errors that name the file.

package import JSON

extension JSON {
  /// Reads the JSON file at `path`.
  static func read(path: String) throws(CheckpointError) -> JSON {
    let file = try MappedFile(path: path, limit: JSONLimits.file.bytes)
    do throws(JSONError) {
      return try parse(file.bytes, limits: .file)
    } catch {
      throw .json(path: path, reason: error.message)
    }
  }

  /// Reads the JSON file at `path`, which must hold an object.
  package static func readObject(path: String) throws(CheckpointError) -> JSONObject {
    let json = try read(path: path)
    guard let object = json.object else {
      throw .json(path: path, reason: "The document is \(json.typeName), not an object.")
    }
    return object
  }
}
