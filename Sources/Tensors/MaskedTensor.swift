// A tensor as computations see it: stored weights and, if it is pruned, the mask over them; read out as fp32.

import CKernels

/// Stored weights with the mask that prunes them. What is computed with is `mask ? weight : 0`.
package struct MaskedTensor: Sendable {
  package let weights: TensorView
  package let mask: MaskBits?

  /// - Parameter mask: of the same rows and columns as `weights`, which its maker has checked.
  package init(weights: TensorView, mask: MaskBits? = nil) {
    self.weights = weights
    self.mask = mask
  }

  package var rows: Int { weights.rows }
  package var columns: Int { weights.columns }

  /// Writes row `row` as fp32 to `out` (`columns` floats), pruned weights as 0.
  package func readRow(_ row: Int, into out: UnsafeMutablePointer<Float>) {
    let rowBytes = weights.byteCount / rows
    let source = weights.bytes.baseAddress.map { $0 + weights.rowOrder.storedRow(row, of: rows) * rowBytes }
    guard let source else { return }
    Self.convert(source, dtype: weights.dtype, count: columns, into: out)
    if let mask {
      mask.bytes.withUnsafeBufferPointer { bits in
        guard let base = bits.baseAddress else { return }
        ck_mask_apply(out, base + row * mask.rowBytes, columns)
      }
    }
  }

  /// Writes rows `range` as fp32 to `out` (`range.count * columns` floats) on the threads of `pool`.
  package func read(rows range: Range<Int>, into out: UnsafeMutablePointer<Float>, pool: ComputePool) {
    pool.parallelRanges(range.count, grain: max(1, (1 << 15) / columns)) { piece, _ in
      for row in piece { readRow(range.lowerBound + row, into: out + row * columns) }
    }
  }

  /// The fp32 weights `[rows, columns]`: where they lie if that can be, else read into `scratch`.
  package func floats(
    orReadInto scratch: UnsafeMutablePointer<Float>, pool: ComputePool
  ) -> UnsafePointer<Float> {
    if let inPlace { return inPlace }
    read(rows: 0..<rows, into: scratch, pool: pool)
    return UnsafePointer(scratch)
  }

  /// The weights where they lie, if they lie there as unpruned fp32 in order and aligned; otherwise nil.
  package var inPlace: UnsafePointer<Float>? {
    guard mask == nil, weights.dtype == .f32, weights.rowOrder == .stored, let base = weights.bytes.baseAddress,
      Int(bitPattern: base) % MemoryLayout<Float>.alignment == 0
    else { return nil }
    return base.assumingMemoryBound(to: Float.self)
  }

  /// Rows `range` in their stored type, pruned weights as 0. For plain types only: blocks cannot lose single weights.
  package func storedBytes(rows range: Range<Int>) -> [UInt8] {
    let size = weights.dtype.blockBytes, rowBytes = weights.byteCount / rows
    var bytes: [UInt8] = []
    bytes.reserveCapacity(range.count * rowBytes)
    for row in range {
      let start = weights.rowOrder.storedRow(row, of: rows) * rowBytes
      let first = bytes.count
      bytes += weights.bytes[start..<start + rowBytes]
      guard let mask else { continue }
      for column in 0..<columns where !mask.isKept(row: row, column: column) {
        for byte in 0..<size { bytes[first + column * size + byte] = 0 }
      }
    }
    return bytes
  }

  private static func convert(
    _ source: UnsafeRawPointer, dtype: DType, count: Int, into out: UnsafeMutablePointer<Float>
  ) {
    let bytes = source.assumingMemoryBound(to: UInt8.self)
    switch dtype {
    case .f32: UnsafeMutableRawPointer(out).copyMemory(from: source, byteCount: count * 4)
    case .f16: ck_f16_to_f32(out, source.assumingMemoryBound(to: UInt16.self), count)
    case .bf16: ck_bf16_to_f32(out, source.assumingMemoryBound(to: UInt16.self), count)
    case .q8_0: ck_q8_0_to_f32(out, bytes, count)
    case .q4_0: ck_q4_0_to_f32(out, bytes, count)
    case .q4_1: ck_q4_1_to_f32(out, bytes, count)
    case .q5_0: ck_q5_0_to_f32(out, bytes, count)
    case .q5_1: ck_q5_1_to_f32(out, bytes, count)
    case .q2_k: ck_q2_k_to_f32(out, bytes, count)
    case .q3_k: ck_q3_k_to_f32(out, bytes, count)
    case .q4_k: ck_q4_k_to_f32(out, bytes, count)
    case .q5_k: ck_q5_k_to_f32(out, bytes, count)
    case .q6_k: ck_q6_k_to_f32(out, bytes, count)
    case .f64, .i64, .i32, .i16, .i8, .u8, .bool:
      preconditionFailure("\(dtype) holds no weights; a model with such a tensor is refused when it is loaded")
    }
  }
}

/// Where a computation gets its weights from: a revision of a model.
package protocol WeightSource: Sendable {
  /// The tensor of a canonical name. The name is one of those that the model was checked to have.
  func tensor(_ name: String) -> MaskedTensor
  /// A bias `[rows]` that was added to the linear map of the weight `name`, which the model's own description has
  /// without one; nil for none.
  func addedBias(to name: String) -> MaskedTensor?
}

extension WeightSource {
  package func addedBias(to name: String) -> MaskedTensor? { nil }
}
