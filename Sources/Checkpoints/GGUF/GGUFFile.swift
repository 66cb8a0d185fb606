// Reading a GGUF file (ggml/docs/gguf.md, versions 2 and 3, little-endian): metadata, tensor infos, data. Views only.
// Knows the container, not what models mean by it: names, dimensions and metadata are as in the file, but sizes are
// outermost first. Translation is in GGUFArchitecture.swift and GGUFConfiguration.swift.

package import OrderedCollections
package import Tensors

package struct GGUFFile: Sendable {
  /// A tensor's claim on the data, checked.
  package struct Tensor: Sendable {
    package let dtype: DType
    /// Outermost first.
    package let shape: [Int]
    /// From the start of the file.
    package let byteOffset: Int
  }

  package let path: String
  package let version: UInt32
  package let metadata: OrderedDictionary<String, GGUFValue>
  /// In the order of the file's infos.
  package let tensors: OrderedDictionary<String, Tensor>
  package let storage: any ByteStorage

  static let magic: [UInt8] = Array("GGUF".utf8)
  static let versions: ClosedRange<UInt32> = 2...3

  /// What a file may hold at most, far above any known one: the bytes of a file bound its counts already, but what is
  /// read takes more memory than those bytes.
  enum Limits {
    static let entries = 1 << 16
    static let tensors = 1 << 18
    static let nameBytes = 1 << 16
    /// Of one string; chat templates are the longest that there are.
    static let stringBytes = 1 << 24
    /// Strings of one array: tokens and merges.
    static let strings = 1 << 24
    /// Arrays in one array.
    static let arrays = 1 << 10
  }

  /// Maps and checks the file at `path`.
  /// - Throws: `CheckpointError.file` or `.gguf`.
  package init(path: String) throws(CheckpointError) {
    try self.init(storage: MappedFile(path: path), path: path)
  }

  /// Checks a file that is in memory already. `path` is for messages.
  package init(storage: any ByteStorage, path: String) throws(CheckpointError) {
    self.path = path
    self.storage = storage
    do throws(GGUFFault) {
      var reader = GGUFReader(storage.bytes)
      version = try Self.version(&reader)
      // An info takes at least a name's length, a rank, one size, a type and an offset.
      let tensorCount = try reader.count("tensors", size: 8 + 4 + 8 + 4 + 8, limit: Limits.tensors)
      metadata = try Self.metadata(&reader, storage)
      var infos = try GGUFTensorInfos(&reader, count: tensorCount)
      tensors = try infos.placed(
        after: reader.offset, alignment: Self.alignment(metadata), fileBytes: storage.bytes.count)
    } catch {
      throw .gguf(path: path, error)
    }
  }

  private static func version(_ reader: inout GGUFReader) throws(GGUFFault) -> UInt32 {
    let start = Array(reader.bytes.prefix(4))
    guard start == magic else { throw .notGGUF(magic: start) }
    try reader.skip(4, "the magic number")
    let version = try reader.integer(UInt32.self, "the version")
    if versions.contains(version.byteSwapped) { throw .bigEndian }
    guard versions.contains(version) else { throw .version(version) }
    return version
  }

  private static func metadata(
    _ reader: inout GGUFReader, _ storage: any ByteStorage
  ) throws(GGUFFault) -> OrderedDictionary<String, GGUFValue> {
    let count = try reader.count("metadata entries", size: 8 + 4 + 1, limit: Limits.entries)
    var metadata = OrderedDictionary<String, GGUFValue>()
    for index in 0..<count {
      let key = try reader.string("the key of metadata entry \(index)", limit: Limits.nameBytes)
      let type = try valueType(&reader, key)
      let value = try value(&reader, type, key, storage)
      guard metadata.updateValue(value, forKey: key) == nil else { throw .duplicateKey(key) }
    }
    return metadata
  }

  private static func valueType(_ reader: inout GGUFReader, _ key: String) throws(GGUFFault) -> GGUFType {
    let number = try reader.integer(UInt32.self, "the type of \(key)")
    guard let type = GGUFType(rawValue: number) else { throw .valueType(key: key, type: number) }
    return type
  }

  private static func value(
    _ reader: inout GGUFReader, _ type: GGUFType, _ key: String, _ storage: any ByteStorage
  ) throws(GGUFFault) -> GGUFValue {
    if let scalar = try type.scalar(from: &reader, key: key) { return scalar }
    if type == .string {
      return .string(try reader.string("the value of \(key)", limit: Limits.stringBytes))
    }
    return .array(try array(&reader, key, depth: 1, storage))
  }

  /// Arrays of arrays are in the format but in no known file; a few levels are enough.
  private static let nestingLimit = 4

  private static func array(
    _ reader: inout GGUFReader, _ key: String, depth: Int, _ storage: any ByteStorage
  ) throws(GGUFFault) -> GGUFArray {
    guard depth <= nestingLimit else { throw .nesting(key: key, limit: nestingLimit) }
    let type = try valueType(&reader, key)
    let limit =
      switch type {
      case .string: Limits.strings
      case .array: Limits.arrays
      default: Int.max
      }
    let count = try reader.count("elements of \(key)", size: type.size, limit: limit)
    let content: GGUFArray.Content
    switch type {
    case .string:
      var offsets: [Int] = []
      offsets.reserveCapacity(count)
      for index in 0..<count {
        offsets.append(reader.offset)
        _ = try reader.text("element \(index) of \(key)")
      }
      content = .strings(offsets: offsets)
    case .array:
      var arrays: [GGUFArray] = []
      for _ in 0..<count { arrays.append(try array(&reader, key, depth: depth + 1, storage)) }
      content = .arrays(arrays)
    default:
      content = .scalars(type, offset: reader.offset)
      try reader.skip(count * type.size, "the elements of \(key)")
    }
    return GGUFArray(count: count, content: content, storage: storage)
  }

  private static func alignment(_ metadata: OrderedDictionary<String, GGUFValue>) throws(GGUFFault) -> Int {
    guard let value = metadata["general.alignment"] else { return 32 }
    guard let alignment = value.integer, alignment > 0, alignment <= 1 << 20, alignment.nonzeroBitCount == 1 else {
      throw .alignment(found: value.text)
    }
    return alignment
  }
}
