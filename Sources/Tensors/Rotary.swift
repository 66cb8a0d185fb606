// Rotary position embedding (Su et al. 2021): tables of angles, and the rotation of the heads of activations.

import CKernels
import Glibc

/// Cosines and sines of the angles position * frequency: `[length, D / 2]`.
package struct RotaryTable: Sendable {
  package let headSize: Int
  package let length: Int
  let cosines: FloatBuffer
  let sines: FloatBuffer

  /// Angles are computed in fp32, as the reference implementation does, so that long positions agree with it.
  /// - Parameter frequencies: the angle per position of each pair of channels, D / 2 of them.
  package init(length: Int, frequencies: [Float]) {
    self.length = length
    headSize = 2 * frequencies.count
    let half = frequencies.count
    cosines = FloatBuffer(count: length * half)
    sines = FloatBuffer(count: length * half)
    for t in 0..<length {
      for (i, frequency) in frequencies.enumerated() {
        let angle = Float(t) * frequency
        cosines.pointer[t * half + i] = cosf(angle)
        sines.pointer[t * half + i] = sinf(angle)
      }
    }
  }

  /// The frequencies base^(-2i / D) of the original embedding. (Su et al. 2021, eq. 15)
  package static func frequencies(headSize: Int, base: Double) -> [Float] {
    (0..<headSize / 2).map { 1 / Float(pow(base, Double(2 * $0) / Double(headSize))) }
  }
}

/// Rows of activations that are consecutive positions of one sequence.
package struct PositionRun: Sendable, Equatable {
  /// The first row.
  package let row: Int
  package let rows: Int
  /// The position of the first row.
  package let position: Int

  package init(row: Int, rows: Int, position: Int) {
    self.row = row
    self.rows = rows
    self.position = position
  }
}

extension Compute {
  /// Rotates the first `heads` heads of each row of `x` by the row's position, in place.
  /// - Parameters:
  ///   - x: rows of at least `heads * D` floats.
  ///   - backwards: rotate the other way: the gradient of the rotation.
  package func rope(
    _ x: MutableMatrixRows, table: RotaryTable, runs: [PositionRun], heads: Int, backwards: Bool = false
  ) {
    let half = table.headSize / 2, grain = 64
    let pieces = runs.flatMap { run in
      stride(from: 0, to: run.rows, by: grain).map {
        PositionRun(row: run.row + $0, rows: min(grain, run.rows - $0), position: run.position + $0)
      }
    }
    let rotate = backwards ? ck_rope_backward : ck_rope_forward
    pool.parallelFor(pieces.count) { index, _ in
      let piece = pieces[index]
      rotate(
        x.pointer + piece.row * x.stride, table.cosines.pointer + piece.position * half,
        table.sines.pointer + piece.position * half, piece.rows, heads, table.headSize, x.stride)
    }
  }
}
