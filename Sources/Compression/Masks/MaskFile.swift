// Masks on disk: a safetensors file with one U8 tensor per masked tensor, `[rows, ceil(columns / 8)]`, eight weights
// to a byte, lowest bit first, 1 = kept; the metadata say where the masks came from.

import Checkpoints
package import OrderedCollections
package import Tensors
import Workspace

package enum MaskFile {
  private static let format = "espalier-mask"
  private static let version = "1"

  /// Writes every mask of `state`, atomically.
  /// - Parameter provenance: goes into the metadata as it is.
  /// - Throws: `CheckpointError` if the file cannot be written; an old file is then intact.
  /// - Returns: tensors and bytes written.
  package static func save(
    _ state: ModelState, to path: String, provenance: OrderedDictionary<String, String>
  ) throws -> (tensors: Int, bytes: Int) {
    var metadata = ["format": format, "version": version, "packing": "1 bit a weight, lowest bit first, 1 = kept"]
    for (key, value) in provenance { metadata[key] = value }
    var entries: [SafetensorsEntry] = []
    for (name, tensor) in state.revision.tensors {
      guard let bits = tensor.mask?.bits else { continue }
      entries.append(
        SafetensorsEntry(name: name, dtype: .u8, shape: [bits.rows, bits.rowBytes], bytes: bits.bytes))
    }
    try SafetensorsWriter.write(entries, metadata: metadata, to: path)
    return (entries.count, entries.reduce(0) { $0 + $1.shape.reduce(1, *) })
  }

  /// Reads masks for the prunable tensors of `state`. Tensors that the file does not name keep every weight.
  /// - Throws: `CheckpointError` if the file is not sound; `CompressionError.maskFileMismatch` if it does not fit.
  package static func load(
    _ path: String, for state: ModelState
  ) throws -> (masks: OrderedDictionary<String, MaskBits>, metadata: [String: String]) {
    let file = try SafetensorsFile(path: path)
    func mismatch(_ reason: String) -> CompressionError { .maskFileMismatch(path: path, reason: reason) }
    if let format = file.metadata["format"], format != Self.format {
      throw mismatch("its format is \"\(format)\", expected \"\(Self.format)\"")
    }
    if let version = file.metadata["version"], version != Self.version {
      throw mismatch("its version is \"\(version)\", this program reads version \(Self.version)")
    }
    guard !file.tensors.isEmpty || file.metadata["format"] == Self.format else { throw mismatch("it holds no masks") }
    let shapes = state.maskShapes
    var masks: OrderedDictionary<String, MaskBits> = [:]
    for (name, view) in file.tensors {
      guard let tensor = shapes[name] else {
        throw mismatch("it has a mask for \"\(name)\", which is no prunable tensor of this model")
      }
      let expected = [tensor.rows, MaskBits.rowBytes(columns: tensor.columns)]
      guard view.dtype == .u8, view.shape == expected,
        let bits = MaskBits(rows: tensor.rows, columns: tensor.columns, bytes: Array(view.bytes))
      else {
        throw mismatch("its \"\(name)\" is \(view.dtype) of shape \(view.shape), expected u8 of shape \(expected)")
      }
      masks[name] = bits
    }
    return (masks, file.metadata)
  }
}
