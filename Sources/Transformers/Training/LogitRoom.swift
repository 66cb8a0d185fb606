// Room for the logits of a few rows: those of a long batch never exist at once.

import Tensors

/// Memory for the logits of some rows, kept from batch to batch, so that its pages are new only once. For one
/// computation at a time.
package final class LogitRoom {
  private var buffer = FloatBuffer(count: 0)

  package init() {}

  /// Logits that exist at a time: 128 MiB.
  private static let elements = 1 << 25

  /// As many rows as products need for their speed, for the head is decoded and packed anew for each such block; and no
  /// more than fit. At least 16.
  package static func rows(vocabulary: Int) -> Int { max(16, min(512, elements / vocabulary / 16 * 16)) }

  /// Room for `count` logits, whatever they were; valid until more are asked for.
  func logits(_ count: Int) -> UnsafeMutablePointer<Float> {
    if buffer.count < count { buffer = FloatBuffer(count: count) }
    return buffer.pointer
  }
}
