// What a GGUF file claims about its tensors, and the proof that the claims fit each other and the file.

import OrderedCollections
import Tensors

/// The tensor infos of a file, not yet placed.
struct GGUFTensorInfos {
  private struct Info {
    let name: String
    let dtype: DType
    let shape: [Int]
    let byteCount: Int
    /// From the start of the data section.
    let offset: UInt64
  }

  private var infos: [Info] = []

  init(_ reader: inout GGUFReader, count: Int) throws(GGUFFault) {
    infos.reserveCapacity(count)
    for index in 0..<count { infos.append(try Self.info(&reader, index)) }
  }

  private static func info(_ reader: inout GGUFReader, _ index: Int) throws(GGUFFault) -> Info {
    let name = try reader.string("the name of tensor \(index)", limit: GGUFFile.Limits.nameBytes)
    let rank = try reader.integer(UInt32.self, "the rank of \(name)")
    guard (1...4).contains(rank) else { throw .dimensions(tensor: name, count: rank) }
    var shape: [Int] = []
    for _ in 0..<rank {
      let size = try reader.integer(UInt64.self, "a size of \(name)")
      guard size >= 1, let size = Int(exactly: size) else { throw .size(tensor: name, size: size) }
      shape.insert(size, at: 0)  // the file has the innermost first
    }
    let type = try reader.integer(UInt32.self, "the type of \(name)")
    guard let dtype = DType(ggufNumber: type) else {
      throw .tensorType(tensor: name, type: DType.ggufNames[type] ?? "number \(type)")
    }
    guard let columns = shape.last, columns % dtype.blockElements == 0 else {
      throw .blockCut(tensor: name, columns: shape.last ?? 0, type: dtype)
    }
    guard let bytes = TensorView.elementCount(of: shape).flatMap(dtype.byteCount(elements:)) else {
      throw .overflow(tensor: name, shape: shape)
    }
    let offset = try reader.integer(UInt64.self, "the offset of \(name)")
    return Info(name: name, dtype: dtype, shape: shape, byteCount: bytes, offset: offset)
  }

  /// The tensors with their places in the file: each begins at the first aligned offset behind the one before it, and
  /// behind the last there is at most the padding to the next aligned offset.
  /// - Parameter infosEnd: where the infos end; the data section begins at the next aligned offset.
  mutating func placed(
    after infosEnd: Int, alignment: Int, fileBytes: Int
  ) throws(GGUFFault) -> OrderedDictionary<String, GGUFFile.Tensor> {
    // No sum below exceeds the size of a file by more than the alignment, so none overflows.
    let start = Self.aligned(infosEnd, alignment)
    let dataBytes = max(fileBytes - start, 0)
    var covered = 0
    var previous = ""
    for info in infos.sorted(by: { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }) {
      guard info.offset % UInt64(alignment) == 0 else {
        throw .misaligned(tensor: info.name, offset: info.offset, alignment: alignment)
      }
      let expected = Self.aligned(covered, alignment)
      guard info.offset >= expected else { throw .overlap(tensor: info.name, with: previous) }
      let (end, overflow) = info.offset.addingReportingOverflow(UInt64(info.byteCount))
      guard !overflow, end <= dataBytes else {
        throw .pastEnd(tensor: info.name, end: overflow ? .max : end, dataBytes: dataBytes)
      }
      guard info.offset == expected else { throw .hole(tensor: info.name, expected: expected, begin: info.offset) }
      covered = Int(end)
      previous = info.name
    }
    guard dataBytes <= Self.aligned(covered, alignment) else { throw .trailingBytes(dataBytes - covered) }

    var tensors = OrderedDictionary<String, GGUFFile.Tensor>(minimumCapacity: infos.count)
    for info in infos {
      let tensor = GGUFFile.Tensor(dtype: info.dtype, shape: info.shape, byteOffset: start + Int(info.offset))
      guard tensors.updateValue(tensor, forKey: info.name) == nil else { throw .duplicateTensor(info.name) }
    }
    return tensors
  }

  private static func aligned(_ offset: Int, _ alignment: Int) -> Int {
    (offset + alignment - 1) & ~(alignment - 1)
  }
}

extension DType {
  /// The types that Espalier computes with, by their numbers in the format.
  static let ggufNumbers: [UInt32: DType] = [
    0: .f32, 1: .f16, 2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 10: .q2_k, 11: .q3_k, 12: .q4_k, 13: .q5_k,
    14: .q6_k, 30: .bf16,
  ]

  init?(ggufNumber: UInt32) {
    guard let dtype = Self.ggufNumbers[ggufNumber] else { return nil }
    self = dtype
  }

  /// Names of all types of the format, for messages.
  static let ggufNames: [UInt32: String] = [
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
  ]

  /// "F32, F16, ...", in the order of the numbers.
  static var ggufSupported: String {
    ggufNumbers.keys.sorted().compactMap { ggufNames[$0] }.joined(separator: ", ")
  }
}
