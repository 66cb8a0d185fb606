// The values of GGUF metadata. Arrays stay in the mapped file and are read element by element: a vocabulary of
// hundreds of thousands of strings costs one offset per string until somebody asks for one.

import Tensors

/// A metadata value; integers and floats of all widths are widened.
package enum GGUFValue: Sendable {
  case unsigned(UInt64)
  case signed(Int64)
  case float(Double)
  case bool(Bool)
  case string(String)
  case array(GGUFArray)

  /// What a message calls the value.
  package var typeName: String {
    switch self {
    case .unsigned, .signed: "an integer"
    case .float: "a float"
    case .bool: "a boolean"
    case .string: "a string"
    case .array(let array): "an array of \(array.count) elements"
    }
  }

  /// The value as a message shows it.
  package var text: String {
    switch self {
    case .unsigned(let value): String(value)
    case .signed(let value): String(value)
    case .float(let value): String(value)
    case .bool(let value): String(value)
    case .string(let value): "\"\(value)\""
    case .array: typeName
    }
  }

  /// The value of an integer of either kind, if an Int holds it.
  package var integer: Int? {
    switch self {
    case .unsigned(let value): Int(exactly: value)
    case .signed(let value): Int(exactly: value)
    default: nil
    }
  }
}

/// An array of a GGUF file.
package struct GGUFArray: Sendable {
  enum Content: Sendable {
    /// Elements of a fixed size, one after the other from `offset` on.
    case scalars(GGUFType, offset: Int)
    /// Where the length of each string lies.
    case strings(offsets: [Int])
    case arrays([GGUFArray])
  }

  package let count: Int
  let content: Content
  let storage: any ByteStorage

  /// Calls `body` with the bytes of each string, which may not be UTF-8.
  /// - Returns: false, without any call, if this is no array of strings.
  func forEachString<E: Error>(_ body: (Int, UnsafeRawBufferPointer) throws(E) -> Void) throws(E) -> Bool {
    guard case .strings(let offsets) = content else { return false }
    let bytes = storage.bytes
    for (index, offset) in offsets.enumerated() {
      // The length was checked when the file was read.
      let length = Int(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
      try body(index, UnsafeRawBufferPointer(rebasing: bytes[offset + 8..<offset + 8 + length]))
    }
    return true
  }

  /// The elements if all are integers that an Int holds, or nil.
  package var integers: [Int]? {
    guard case .scalars(let type, let offset) = content, type.isInteger else { return nil }
    var reader = GGUFReader(storage.bytes)
    var integers: [Int] = []
    integers.reserveCapacity(count)
    guard (try? reader.skip(offset, "")) != nil else { return nil }
    for _ in 0..<count {
      guard let value = try? type.scalar(from: &reader, key: ""), let integer = value.integer else { return nil }
      integers.append(integer)
    }
    return integers
  }
}

/// The value types of the format, by their numbers.
enum GGUFType: UInt32, Sendable {
  case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

  /// Bytes of an element; the least an element can take for strings and arrays.
  var size: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64: 8
    case .string: 8
    case .array: 12
    }
  }

  var isInteger: Bool {
    switch self {
    case .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64: true
    case .float32, .float64, .bool, .string, .array: false
    }
  }

  /// Reads a value that is neither string nor array; nil for those.
  func scalar(from reader: inout GGUFReader, key: String) throws(GGUFFault) -> GGUFValue? {
    switch self {
    case .uint8: return .unsigned(UInt64(try reader.integer(UInt8.self, "the value of \(key)")))
    case .uint16: return .unsigned(UInt64(try reader.integer(UInt16.self, "the value of \(key)")))
    case .uint32: return .unsigned(UInt64(try reader.integer(UInt32.self, "the value of \(key)")))
    case .uint64: return .unsigned(try reader.integer(UInt64.self, "the value of \(key)"))
    case .int8: return .signed(Int64(try reader.integer(Int8.self, "the value of \(key)")))
    case .int16: return .signed(Int64(try reader.integer(Int16.self, "the value of \(key)")))
    case .int32: return .signed(Int64(try reader.integer(Int32.self, "the value of \(key)")))
    case .int64: return .signed(try reader.integer(Int64.self, "the value of \(key)"))
    case .float32: return .float(Double(Float(bitPattern: try reader.integer(UInt32.self, "the value of \(key)"))))
    case .float64: return .float(Double(bitPattern: try reader.integer(UInt64.self, "the value of \(key)")))
    case .bool:
      let byte = try reader.integer(UInt8.self, "the value of \(key)")
      guard byte <= 1 else { throw .boolean(key: key, byte: byte) }
      return .bool(byte == 1)
    case .string, .array: return nil
    }
  }
}
