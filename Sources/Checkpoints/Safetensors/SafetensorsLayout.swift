// What a safetensors header claims about its tensors, and the proof that the claims fit each other and the file.

import JSON
import OrderedCollections
import Tensors

/// The entries of a header, by the place of their data.
struct SafetensorsLayout {
  private struct Entry {
    let name: String
    let type: String
    let dtype: DType
    let shape: [Int]
    /// Where the data begins and ends, counted from the end of the header.
    let begin: Int
    let end: Int
  }

  private let entries: [Entry]

  init(_ members: JSONObject) throws(SafetensorsFault) {
    var entries: [Entry] = []
    entries.reserveCapacity(members.count)
    for (name, value) in members { entries.append(try Self.entry(name, value)) }
    entries.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
    self.entries = entries
  }

  /// The tensors, whose data must cover everything from `dataOffset` to the end of `storage` once.
  func views(
    of storage: any ByteStorage, dataOffset: Int
  ) throws(SafetensorsFault) -> OrderedDictionary<String, TensorView> {
    let dataBytes = storage.bytes.count - dataOffset
    var views = OrderedDictionary<String, TensorView>(minimumCapacity: entries.count)
    var covered = 0
    var previous = ""
    for entry in entries {
      guard entry.begin >= covered else {
        throw .overlap(tensor: entry.name, with: previous, expected: covered, begin: entry.begin)
      }
      guard entry.begin == covered else { throw .hole(tensor: entry.name, expected: covered, begin: entry.begin) }
      guard entry.end <= dataBytes else {
        throw .pastEnd(tensor: entry.name, end: entry.end, dataBytes: dataBytes)
      }
      guard let expected = try Self.byteCount(of: entry) else {
        throw .overflow(tensor: entry.name, shape: entry.shape)
      }
      guard expected == entry.end - entry.begin,
        let view = TensorView(
          storage: storage, byteOffset: dataOffset + entry.begin, dtype: entry.dtype, shape: entry.shape)
      else {
        throw .byteCount(
          tensor: entry.name, shape: entry.shape, type: entry.type, expected: expected,
          found: entry.end - entry.begin)
      }
      guard views.updateValue(view, forKey: entry.name) == nil else { throw .ambiguousName(entry.name) }
      covered = entry.end
      previous = entry.name
    }
    guard covered == dataBytes else { throw .trailingBytes(dataBytes - covered) }
    return views
  }

  /// Nil if the product is not representable.
  private static func byteCount(of entry: Entry) throws(SafetensorsFault) -> Int? {
    guard entry.shape.allSatisfy({ $0 >= 1 }) else { throw .size(tensor: entry.name, shape: entry.shape) }
    return TensorView.elementCount(of: entry.shape).flatMap(entry.dtype.byteCount(elements:))
  }

  private static func entry(_ name: String, _ value: JSON) throws(SafetensorsFault) -> Entry {
    guard let members = value.object else {
      throw .entry(tensor: name, field: "entry", expected: "an object with dtype, shape and data_offsets")
    }
    for (field, _) in members where !["dtype", "shape", "data_offsets"].contains(field) {
      throw .unknownField(tensor: name, field: field)
    }
    guard let type = members["dtype"]?.string else { throw .entry(tensor: name, field: "dtype", expected: "a string") }
    guard let dtype = DType(safetensorsName: type) else { throw .unknownType(tensor: name, type: type) }
    guard let shape = integers(members["shape"]), shape.count <= 16 else {
      throw .entry(tensor: name, field: "shape", expected: "an array of at most 16 integers")
    }
    guard let offsets = integers(members["data_offsets"]), offsets.count == 2, offsets[0] >= 0 else {
      throw .entry(tensor: name, field: "data_offsets", expected: "two integers from 0 up")
    }
    guard offsets[0] <= offsets[1] else { throw .reversedOffsets(tensor: name, begin: offsets[0], end: offsets[1]) }
    return Entry(name: name, type: type, dtype: dtype, shape: shape, begin: offsets[0], end: offsets[1])
  }

  private static func integers(_ json: JSON?) -> [Int]? {
    guard let array = json?.array else { return nil }
    let integers = array.compactMap(\.integer)
    return integers.count == array.count ? integers : nil
  }
}

extension DType {
  /// The types of the format that Espalier has; not its 8-bit floats, its complex numbers, and its unsigned integers
  /// of more than 8 bits.
  static let safetensorsNames: [(name: String, dtype: DType)] = [
    ("F64", .f64), ("F32", .f32), ("F16", .f16), ("BF16", .bf16),
    ("I64", .i64), ("I32", .i32), ("I16", .i16), ("I8", .i8), ("U8", .u8), ("BOOL", .bool),
  ]

  init?(safetensorsName name: String) {
    guard let match = Self.safetensorsNames.first(where: { $0.name == name }) else { return nil }
    self = match.dtype
  }

  /// Nil for the block-quantised types, which the format does not have.
  var safetensorsName: String? { Self.safetensorsNames.first { $0.dtype == self }?.name }
}
