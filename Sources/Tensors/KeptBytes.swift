// A mask as bytes, one a weight: the form in which methods read and write masks.

import CKernels

/// `[rows, columns]` bytes, 1 for a kept weight and 0 for a pruned one.
package final class KeptBytes: @unchecked Sendable {  // one user at a time, as of a FloatBuffer
  package let rows: Int
  package let columns: Int
  package let values: UnsafeMutableBufferPointer<UInt8>

  /// All 1.
  package init(keepingAll rows: Int, columns: Int) {
    self.rows = rows
    self.columns = columns
    values = .allocate(capacity: rows * columns)
    values.initialize(repeating: 1)
  }

  package convenience init(_ mask: MaskBits, pool: ComputePool) {
    self.init(keepingAll: mask.rows, columns: mask.columns)
    guard let bytes = values.baseAddress else { return }
    let columns = columns, rowBytes = mask.rowBytes
    mask.bytes.withUnsafeBufferPointer { bits in
      guard let bits = bits.baseAddress else { return }
      pool.parallelRanges(rows, grain: max(1, 1 << 16 / columns)) { range, _ in
        for row in range { ck_mask_unpack(bytes + row * columns, bits + row * rowBytes, columns) }
      }
    }
  }

  deinit { values.deallocate() }

  /// The mask that keeps whatever is not 0.
  package func mask(pool: ComputePool) -> MaskBits {
    let values = values, columns = columns
    return MaskBits(rows: rows, columns: columns, pool: pool) { row, bits in
      if let bytes = values.baseAddress { ck_mask_pack(bits, bytes + row * columns, columns) }
    }
  }
}

extension FloatBuffer {
  /// Sets what `mask` prunes to 0; the buffer holds `mask.rows * mask.columns` floats.
  package func clear(prunedBy mask: MaskBits, pool: ComputePool) {
    let pointer = pointer
    mask.bytes.withUnsafeBufferPointer { bits in
      guard let bits = bits.baseAddress else { return }
      pool.parallelRanges(mask.rows, grain: max(1, 1 << 16 / mask.columns)) { range, _ in
        for row in range { ck_mask_apply(pointer + row * mask.columns, bits + row * mask.rowBytes, mask.columns) }
      }
    }
  }
}

/// Floats as the storage of a tensor: written before, constant from now on.
private final class FloatStorage: ByteStorage {
  private let buffer: FloatBuffer
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(buffer.readOnly) }

  init(_ buffer: FloatBuffer) { self.buffer = buffer }
}

extension TensorView {
  /// The fp32 tensor of `shape` that `buffer` holds, which nobody writes to from now on; nil unless the sizes agree.
  package init?(_ buffer: FloatBuffer, shape: [Int]) {
    guard Self.elementCount(of: shape) == buffer.count else { return nil }
    self.init(storage: FloatStorage(buffer), byteOffset: 0, dtype: .f32, shape: shape)
  }
}
