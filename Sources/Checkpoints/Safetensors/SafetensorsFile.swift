// Reading one safetensors file: eight bytes of header length, a JSON header, the data. Views, never copies.
// At least as strict as the reference implementation (safetensors/src/tensor.rs): the tensors tile the data exactly,
// so no byte of a file is outside of what its header says.

import JSON
package import OrderedCollections
package import Tensors

/// The tensors of one safetensors file.
package struct SafetensorsFile: Sendable {
  /// In the order of their data.
  package let tensors: OrderedDictionary<String, TensorView>
  /// The strings under `__metadata__`.
  package let metadata: [String: String]

  /// Bytes that a header may have at most, as in the reference implementation.
  static let headerLimit: UInt64 = 100_000_000

  /// Maps and checks the file at `path`.
  /// - Throws: `CheckpointError.file` or `.safetensors`.
  package init(path: String) throws(CheckpointError) {
    try self.init(storage: MappedFile(path: path), path: path)
  }

  /// Checks a file that is in memory already. `path` is for messages.
  package init(storage: any ByteStorage, path: String) throws(CheckpointError) {
    do throws(SafetensorsFault) {
      let header = try Self.headerBytes(of: storage.bytes)
      let json: JSON
      do throws(JSONError) {
        json = try JSON.parse(header, limits: .safetensorsHeader)
      } catch {
        throw SafetensorsFault.headerNotJSON(reason: error.message)
      }
      var members = json.object ?? [:]
      metadata = try Self.metadata(members.removeValue(forKey: "__metadata__"))
      tensors = try SafetensorsLayout(members).views(of: storage, dataOffset: 8 + header.count)
    } catch {
      throw .safetensors(path: path, error)
    }
  }

  private static func headerBytes(
    of file: UnsafeRawBufferPointer
  ) throws(SafetensorsFault) -> UnsafeRawBufferPointer {
    guard file.count >= 8 else { throw .tooShort(bytes: file.count) }
    let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
    guard length <= headerLimit else { throw .headerTooLarge(bytes: length) }
    guard length <= file.count - 8 else { throw .headerPastEnd(headerBytes: length, fileBytes: file.count) }
    let header = UnsafeRawBufferPointer(rebasing: file[8..<8 + Int(length)])
    guard let first = header.first else { throw .headerNotJSON(reason: "The header is empty.") }
    guard first == UInt8(ascii: "{") else { throw .headerStart(first) }
    return header
  }

  private static func metadata(_ json: JSON?) throws(SafetensorsFault) -> [String: String] {
    guard let json else { return [:] }
    guard let members = json.object else { throw .metadata(key: nil, found: json.typeName) }
    var metadata: [String: String] = [:]
    for (key, value) in members {
      guard let text = value.string else { throw .metadata(key: key, found: value.typeName) }
      metadata[key] = text
    }
    return metadata
  }
}

extension JSONLimits {
  /// A header nests three deep: the map, an entry, its shape.
  fileprivate static let safetensorsHeader = JSONLimits(
    depth: 8, bytes: Int(SafetensorsFile.headerLimit), nodes: JSONLimits.file.nodes)
}
