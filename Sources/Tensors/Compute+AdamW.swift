// The optimiser's pass over memory: AdamW with clipping and masks in one sweep, and the norm it clips by.

import CKernels
import Glibc

/// The numbers of one AdamW step. (Loshchilov & Hutter 2019, algorithm 2, in PyTorch's arrangement)
package struct AdamWStep: Sendable {
  let options: ck_adamw

  /// - Parameters:
  ///   - step: counted from 1.
  ///   - gradientScale: what gradients are multiplied with first: below 1 where they are clipped.
  package init(
    learningRate: Double, beta1: Double, beta2: Double, epsilon: Double, decay: Double, step: Int,
    gradientScale: Double
  ) {
    options = ck_adamw(
      learning_rate: Float(learningRate), rest1: Float(1 - beta1), rest2: Float(1 - beta2), epsilon: Float(epsilon),
      decay: Float(decay), gradient_scale: Float(gradientScale), bias1: Float(1 - pow(beta1, Double(step))),
      bias2: Float(1 - pow(beta2, Double(step))))
  }
}

extension Compute {
  /// Elements of one piece of the optimiser's work.
  private static let piece = 1 << 16

  /// Moves weights `p` and their moments `m`, `v` by gradients `g`: `rows * columns` floats each. Where `mask` prunes,
  /// all three become exactly zero.
  package func adamW(
    _ p: UnsafeMutablePointer<Float>, _ m: UnsafeMutablePointer<Float>, _ v: UnsafeMutablePointer<Float>,
    _ g: UnsafePointer<Float>, rows: Int, columns: Int, mask: MaskBits?, _ step: AdamWStep
  ) {
    guard let mask else {
      return pool.parallelRanges(rows * columns, grain: Self.piece) { range, _ in
        let first = range.lowerBound
        withUnsafePointer(to: step.options) {
          ck_adamw_step(p + first, m + first, v + first, g + first, nil, range.count, $0)
        }
      }
    }
    pool.parallelRanges(rows, grain: max(1, Self.piece / columns)) { range, _ in
      mask.bytes.withUnsafeBufferPointer { bits in
        guard let bits = bits.baseAddress else { return }
        withUnsafePointer(to: step.options) { options in
          for row in range {
            let first = row * columns
            ck_adamw_step(p + first, m + first, v + first, g + first, bits + row * mask.rowBytes, columns, options)
          }
        }
      }
    }
  }

  /// Sets the elements that `mask` prunes to zero.
  package func applyMask(_ mask: MaskBits, to x: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
    pool.parallelRanges(rows, grain: max(1, Self.piece / columns)) { range, _ in
      mask.bytes.withUnsafeBufferPointer { bits in
        guard let bits = bits.baseAddress else { return }
        for row in range { ck_mask_apply(x + row * columns, bits + row * mask.rowBytes, columns) }
      }
    }
  }

  /// The sum of squares of `count` values, in double, a fixed piece at a time: the same whatever the threads.
  package func sumOfSquares(_ x: UnsafePointer<Float>, count: Int) -> Double {
    let pieces = (count + Self.piece - 1) / Self.piece
    var sums = [Double](repeating: 0, count: pieces)
    sums.withUnsafeMutableBufferPointer { sums in
      pool.parallelFor(pieces) { index, _ in
        let first = index * Self.piece
        sums[index] = ck_sum_of_squares(x + first, min(Self.piece, count - first))
      }
    }
    return sums.reduce(0, +)
  }
}
