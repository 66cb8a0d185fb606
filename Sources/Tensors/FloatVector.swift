// The weights of a bias or a normalisation as fp32, wherever they lie.

/// A constant vector that keeps its memory alive.
package struct FloatVector: @unchecked Sendable {  // constant
  package let pointer: UnsafePointer<Float>
  private let owner: AnyObject

  fileprivate init(_ pointer: UnsafePointer<Float>, owner: AnyObject) {
    self.pointer = pointer
    self.owner = owner
  }
}

extension MaskedTensor {
  /// All elements as fp32: in place if they lie there as such, else converted into memory of their own.
  package var vector: FloatVector {
    if let inPlace { return FloatVector(inPlace, owner: weights.storage) }
    let buffer = FloatBuffer(count: rows * columns)
    for row in 0..<rows { readRow(row, into: buffer.pointer + row * columns) }
    return FloatVector(buffer.pointer, owner: buffer)
  }
}
