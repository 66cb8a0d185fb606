// Writing safetensors: header first, then the tensors one after the other as their producers give them, so that a
// model of any size passes through in pieces. The same entries and metadata always give the same bytes.

import JSON
package import Tensors

/// A tensor to be written.
package struct SafetensorsEntry: Sendable {
  /// Takes the next piece of a tensor's data.
  package typealias Sink = (UnsafeRawBufferPointer) throws -> Void

  package let name: String
  package let dtype: DType
  package let shape: [Int]
  /// Calls the sink with the row-major little-endian data, in pieces of any size, front to back.
  package let produce: @Sendable (Sink) throws -> Void

  package init(
    name: String, dtype: DType, shape: [Int], produce: @escaping @Sendable (Sink) throws -> Void
  ) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.produce = produce
  }

  package init(name: String, dtype: DType, shape: [Int], bytes: [UInt8]) {
    self.init(name: name, dtype: dtype, shape: shape) { sink in try bytes.withUnsafeBytes(sink) }
  }
}

package enum SafetensorsWriter {
  /// Writes a safetensors file at `path`, whole or not at all (`AtomicFile`).
  /// - Throws: as `write(_:metadata:into:monitor:)`, and `CheckpointError.file`.
  package static func write(
    _ entries: [SafetensorsEntry], metadata: [String: String] = [:], to path: String, monitor: Monitor = Monitor()
  ) throws {
    try AtomicFile.write(to: path) { file in try write(entries, metadata: metadata, into: file, monitor: monitor) }
  }

  /// Writes safetensors into an open file.
  ///
  /// Tensors are ordered as the reference implementation orders them, larger elements first and then by name, which
  /// aligns each to its element size; the header is padded with spaces to a multiple of 8.
  /// - Throws: `CheckpointError.writing`, what a producer throws, `Cancelled`, `CheckpointError.file`.
  package static func write(
    _ entries: [SafetensorsEntry], metadata: [String: String] = [:], into file: OutputFile,
    monitor: Monitor = Monitor()
  ) throws {
    let placed = try placed(entries)
    try file.write(header(placed, metadata: metadata))
    let total = max(placed.last?.end ?? 0, 1)
    for (entry, begin, end) in placed {
      monitor.report(Double(begin) / Double(total), "writing \(entry.name)")
      var left = end - begin
      try entry.produce { piece in
        try monitor.checkCancelled()
        guard piece.count <= left else {
          throw CheckpointError.writing(
            tensor: entry.name, .byteCount(expected: end - begin, produced: end - begin - left + piece.count))
        }
        left -= piece.count
        try file.write(piece)
      }
      guard left == 0 else {
        throw CheckpointError.writing(
          tensor: entry.name, .byteCount(expected: end - begin, produced: end - begin - left))
      }
    }
    monitor.report(1, "written")
  }

  /// An entry and the place of its data behind the header.
  private typealias Placed = (entry: SafetensorsEntry, begin: Int, end: Int)

  private static func placed(_ entries: [SafetensorsEntry]) throws(CheckpointError) -> [Placed] {
    let ordered = entries.sorted { a, b in
      a.dtype.blockBytes != b.dtype.blockBytes
        ? a.dtype.blockBytes > b.dtype.blockBytes : a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
    }
    var placed: [Placed] = []
    var names: Set<String> = []
    var begin = 0
    for entry in ordered {
      guard entry.name != "__metadata__" else { throw .writing(tensor: entry.name, .reservedName) }
      guard names.insert(entry.name).inserted else { throw .writing(tensor: entry.name, .nameTwice) }
      guard entry.dtype.safetensorsName != nil else {
        throw .writing(tensor: entry.name, .unsupportedType(entry.dtype))
      }
      guard let bytes = TensorView.elementCount(of: entry.shape).flatMap(entry.dtype.byteCount(elements:)),
        case (let end, let overflow) = begin.addingReportingOverflow(bytes), !overflow
      else { throw .writing(tensor: entry.name, .shape(entry.shape)) }
      placed.append((entry, begin, end))
      begin = end
    }
    return placed
  }

  /// Length and text of the header, padded.
  private static func header(
    _ placed: [Placed], metadata: [String: String]
  ) throws(CheckpointError) -> [UInt8] {
    var members = JSONObject()
    if !metadata.isEmpty {
      let sorted = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      members["__metadata__"] = .object(JSONObject(sorted.map { ($0.key, JSON($0.value)) }))
    }
    for (entry, begin, end) in placed {
      members[entry.name] = [
        "dtype": JSON(entry.dtype.safetensorsName), "shape": JSON(entry.shape), "data_offsets": JSON([begin, end]),
      ]
    }
    var text: [UInt8]
    do throws(JSONError) {
      text = try JSON.object(members).serialized()
    } catch {
      throw .json(path: "header of a safetensors file", reason: error.message)
    }
    text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    guard text.count <= SafetensorsFile.headerLimit else {
      throw .writing(tensor: placed.first?.entry.name ?? "", .headerTooLarge(bytes: text.count))
    }
    return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
  }
}
