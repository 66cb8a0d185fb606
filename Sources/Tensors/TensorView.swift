// A tensor of a checkpoint as it lies in memory: storage, place, type, shape. Never copies.

/// Bytes that outlive every view onto them: a mapped file, or memory of our own. Read-only.
package protocol ByteStorage: AnyObject, Sendable {
  /// The whole storage; valid and unchanging as long as the object lives.
  var bytes: UnsafeRawBufferPointer { get }
  /// False once bytes turned out to be lost, as of a mapped file that was truncated; they then read as zeros.
  var isIntact: Bool { get }
}

extension ByteStorage {
  package var isIntact: Bool { true }
}

/// Which stored row holds row `r` of a matrix.
package enum RowOrder: Sendable, Equatable {
  /// Row `r` is stored at `r`.
  case stored
  /// The rows of each head are stored as pairs (r, r + headSize/2) side by side: the order in which GGUF
  /// keeps the query and key projections of Llama models, whose rotary embedding it applies to neighbours.
  /// Row `h*D + i + j*D/2` (i < D/2, j < 2, D rows per head) is stored at `h*D + 2*i + j`.
  case headInterleaved(heads: Int)

  /// The stored row of row `row` of a matrix of `rows` rows.
  package func storedRow(_ row: Int, of rows: Int) -> Int {
    switch self {
    case .stored: return row
    case .headInterleaved(let heads):
      let size = rows / heads
      let (head, within) = row.quotientAndRemainder(dividingBy: size)
      let half = size / 2
      return head * size + 2 * (within % half) + within / half
    }
  }

  /// The row that stored row `stored` of a matrix of `rows` rows holds: the inverse of `storedRow`.
  package func row(storedAt stored: Int, of rows: Int) -> Int {
    switch self {
    case .stored: return stored
    case .headInterleaved(let heads):
      let size = rows / heads
      let (head, within) = stored.quotientAndRemainder(dividingBy: size)
      return head * size + within / 2 + within % 2 * (size / 2)
    }
  }
}

/// A read-only view of one tensor, row-major.
package struct TensorView: Sendable {
  package let storage: any ByteStorage
  /// Where the first byte lies in `storage`.
  package let byteOffset: Int
  package let byteCount: Int
  package let dtype: DType
  /// Sizes, outermost first; `[rows, columns]` for a matrix.
  package let shape: [Int]
  package let rowOrder: RowOrder

  /// A view of `shape` at `byteOffset`, or nil unless it lies wholly inside `storage`, every size is at least 1,
  /// the element count is representable, rows hold whole blocks and `rowOrder` divides the rows.
  package init?(
    storage: any ByteStorage, byteOffset: Int, dtype: DType, shape: [Int], rowOrder: RowOrder = .stored
  ) {
    guard let count = Self.elementCount(of: shape), let columns = shape.last ?? 1 as Int?,
      columns % dtype.blockElements == 0, let bytes = dtype.byteCount(elements: count),
      byteOffset >= 0, bytes <= storage.bytes.count, byteOffset <= storage.bytes.count - bytes
    else { return nil }
    if case .headInterleaved(let heads) = rowOrder {
      guard shape.count == 2, heads > 0, shape[0] % heads == 0, (shape[0] / heads) % 2 == 0 else { return nil }
    }
    self.storage = storage
    self.byteOffset = byteOffset
    self.byteCount = bytes
    self.dtype = dtype
    self.shape = shape
    self.rowOrder = rowOrder
  }

  /// The product of `shape`, or nil if a size is below 1 or the product overflows.
  package static func elementCount(of shape: [Int]) -> Int? {
    var count = 1
    for size in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard size >= 1, !overflow else { return nil }
      count = product
    }
    return count
  }

  package var elementCount: Int { shape.reduce(1, *) }
  /// Rows of the matrix that the tensor is when all but the last dimension are folded; 1 for a vector.
  package var rows: Int { shape.dropLast().reduce(1, *) }
  /// Elements of a row: the last dimension.
  package var columns: Int { shape.last ?? 1 }
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: storage.bytes[byteOffset..<byteOffset + byteCount])
  }
}
