// Whether numbers are numbers, in one pass over them.

import CKernels

extension UnsafeBufferPointer<Float> {
  /// Whether no element is NaN or infinite. One vectorised pass; true for none.
  package var isAllFinite: Bool {
    guard let start = baseAddress, count > 0 else { return true }
    var minimum: Float = 0, maximum: Float = 0, sum = 0.0
    return ck_range(&minimum, &maximum, &sum, start, count) == 0 && minimum.isFinite && maximum.isFinite
  }
}
