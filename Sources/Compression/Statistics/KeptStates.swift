// Hidden states put away for later, in fp32 as they are or in bf16 at half the room.

package import Tensors

package struct KeptStates: Sendable {
  /// Floats, or pairs of bf16 in the place of each.
  let values: FloatBuffer
  /// States, of whichever width.
  package let count: Int
  package let precision: Precision

  init(values: FloatBuffer, count: Int, precision: Precision) {
    self.values = values
    self.count = count
    self.precision = precision
  }

  /// Copies `count` states; to bf16 they are rounded to nearest, ties to even.
  package init(_ states: UnsafePointer<Float>, count: Int, precision: Precision) {
    self.count = count
    self.precision = precision
    switch precision {
    case .fp32:
      values = FloatBuffer(count: count)
      values.pointer.update(from: states, count: count)
    case .bf16:
      values = FloatBuffer(count: (count + 1) / 2)
      values.pointer.withMemoryRebound(to: UInt16.self, capacity: count) { halves in
        for i in 0..<count {
          let bits = states[i].bitPattern
          halves[i] = UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16)
        }
      }
    }
  }

  /// Writes the states to `out`, `count` floats.
  package func read(into out: UnsafeMutablePointer<Float>) {
    switch precision {
    case .fp32: out.update(from: values.pointer, count: count)
    case .bf16:
      values.pointer.withMemoryRebound(to: UInt16.self, capacity: count) { halves in
        for i in 0..<count { out[i] = Float(bitPattern: UInt32(halves[i]) << 16) }
      }
    }
  }
}
