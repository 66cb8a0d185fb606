// Operations on the rows of activations, shared out among the threads.

import CKernels
import Glibc

extension Compute {
  /// out[n, :] = x[n, :] * weight / rms(x[n, :]). `out` may be `x`. See `ck_rmsnorm_forward`.
  package func rmsNormForward(
    _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>,
    rows N: Int, channels C: Int, epsilon: Float
  ) {
    pool.parallelRanges(N, grain: 32) { range, _ in
      let start = range.lowerBound * C
      ck_rmsnorm_forward(out + start, x + start, weight, 0, range.count, C, epsilon)
    }
  }

  /// gate = silu(gate) * up, `count` elements in place.
  package func swiGLUForward(_ gate: UnsafeMutablePointer<Float>, _ up: UnsafePointer<Float>, count: Int) {
    pool.parallelRanges(count, grain: 1 << 14) { range, _ in
      let part = gate + range.lowerBound
      ck_gated_forward(CK_SILU, part, part, up + range.lowerBound, range.count)
    }
  }

  /// Rotates the heads of `x` (`[sequences * length, heads * D]`) by their positions in their sequence. In place.
  package func ropeForward(
    _ x: UnsafeMutablePointer<Float>, table: RotaryTable, sequences: Int, length: Int, heads: Int
  ) {
    let D = table.headSize, half = D / 2
    let grain = 64, blocks = (length + grain - 1) / grain
    pool.parallelFor(sequences * blocks) { piece, _ in
      let (sequence, block) = piece.quotientAndRemainder(dividingBy: blocks)
      let first = block * grain
      ck_rope_forward(
        x + (sequence * length + first) * heads * D, table.cosines.pointer + first * half,
        table.sines.pointer + first * half, min(grain, length - first), heads, D, heads * D)
    }
  }

  /// Adds the columns' sums over N rows of `x` (`[N, C]`) to the doubles. Each column is summed in row order, so the
  /// result does not depend on the number of threads.
  package func momentsAccumulate(
    sum: UnsafeMutablePointer<Double>, sumOfSquares: UnsafeMutablePointer<Double>,
    sumOfMagnitudes: UnsafeMutablePointer<Double>, _ x: UnsafePointer<Float>, rows N: Int, columns C: Int
  ) {
    pool.parallelRanges(C, grain: 64) { range, _ in
      ck_moments_accumulate(
        sum, sumOfSquares, sumOfMagnitudes, x, N, C, range.lowerBound, range.upperBound)
    }
  }
}

/// Cosines and sines of the rotary embedding: `[length, D / 2]`, angle t * base^(-2i / D). (Su et al. 2021, eq. 15)
package struct RotaryTable: Sendable {
  package let headSize: Int
  package let length: Int
  let cosines: FloatBuffer
  let sines: FloatBuffer

  /// Angles are computed in fp32, as the reference implementation does, so that long positions agree with it.
  package init(length: Int, headSize: Int, base: Double) {
    self.headSize = headSize
    self.length = length
    let half = headSize / 2
    cosines = FloatBuffer(count: length * half)
    sines = FloatBuffer(count: length * half)
    for i in 0..<half {
      let frequency = 1 / Float(pow(base, Double(2 * i) / Double(headSize)))
      for t in 0..<length {
        let angle = Float(t) * frequency
        cosines.pointer[t * half + i] = cosf(angle)
        sines.pointer[t * half + i] = sinf(angle)
      }
    }
  }
}
