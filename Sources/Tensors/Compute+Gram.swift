// Gram matrices: sums over rows of x xᵀ, or of z xᵀ, as calibration needs them. Of the symmetric ones only blocks on
// and above the diagonal are computed.
//
// Legend: n columns of the activations, the side of the matrix; N rows at a time.

import CKernels
import Glibc

/// A Gram matrix that is being added up. Products of the rows of one call are in fp32, totals over the calls in double.
/// Used by one thread at a time.
package final class GramTotal {
  package let columns: Int
  /// Whether it is a sum of x xᵀ rather than of z xᵀ.
  package let isSymmetric: Bool

  /// A block of the matrix and where its totals lie.
  fileprivate struct Block {
    let row, column, rows, columns, offset: Int
    var isOnDiagonal: Bool { row == column }
    var operations: Int { rows * columns }
  }

  /// Those that cost most first, so that the threads end together.
  fileprivate let blocks: [Block]
  fileprivate let totals: UnsafeMutablePointer<Double>
  /// One block for each thread.
  fileprivate var products = FloatBuffer(count: 0)

  /// Rows of a block. Measured: small blocks waste less on the diagonal and share out better, large ones multiply faster.
  private static func side(columns: Int) -> Int { columns < 1024 ? 128 : 256 }

  /// Totals that are kept: of a symmetric matrix those of the blocks on and above the diagonal.
  private static func count(columns: Int, isSymmetric: Bool) -> Int {
    guard isSymmetric else { return columns * columns }
    let side = side(columns: columns)
    return stride(from: 0, to: columns, by: side).reduce(0) { $0 + min(side, columns - $1) * (columns - $1) }
  }

  /// Bytes that a total takes while it grows: about those of the finished matrix if it is symmetric, else twice those.
  package static func bytes(columns: Int, isSymmetric: Bool) -> Int {
    count(columns: columns, isSymmetric: isSymmetric) * MemoryLayout<Double>.stride
  }

  /// Nil if there is no memory for it.
  /// - Parameter columns: at least 1.
  package init?(columns: Int, isSymmetric: Bool = true) {
    let count = Self.count(columns: columns, isSymmetric: isSymmetric)
    guard let zeros = calloc(max(1, count), MemoryLayout<Double>.stride) else { return nil }
    totals = zeros.bindMemory(to: Double.self, capacity: max(1, count))
    self.columns = columns
    self.isSymmetric = isSymmetric
    let side = Self.side(columns: columns)
    var blocks: [Block] = [], offset = 0
    func add(_ row: Int, _ column: Int, _ rows: Int, _ width: Int) {
      blocks.append(Block(row: row, column: column, rows: rows, columns: width, offset: offset))
      offset += rows * width
    }
    for row in stride(from: 0, to: columns, by: side) {
      let rows = min(side, columns - row)
      if isSymmetric { add(row, row, rows, rows) }
      for column in stride(from: isSymmetric ? row + rows : 0, to: columns, by: 4 * side) {
        add(row, column, rows, min(4 * side, columns - column))
      }
    }
    self.blocks = blocks.sorted { ($0.operations, $1.offset) > ($1.operations, $0.offset) }
  }

  deinit { free(totals) }
}

extension Compute {
  /// total += the sum over N rows of x xᵀ. How the work is cut does not depend on the number of threads.
  /// - Parameter x: `[N, total.columns]`.
  package func gramAccumulate(_ total: GramTotal, _ x: UnsafePointer<Float>, rows N: Int) {
    precondition(total.isSymmetric, "a total of products with something else")
    accumulate(total) { block, out in
      let left = x + block.row
      if block.isOnDiagonal {
        blas.gram(n: block.rows, k: N, left, lda: total.columns, out, ldc: block.columns)
      } else {
        blas.product(
          m: block.rows, n: block.columns, k: N, left, lda: total.columns, transposingA: true, x + block.column,
          ldb: total.columns, out, ldc: block.columns)
      }
    }
  }

  /// total += the sum over N rows of z xᵀ.
  /// - Parameters:
  ///   - z: `[N, total.columns]`, the rows of the sum.
  ///   - x: the same shape, its columns.
  package func gramAccumulate(
    _ total: GramTotal, _ z: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows N: Int
  ) {
    precondition(!total.isSymmetric, "a total of products with itself")
    accumulate(total) { block, out in
      blas.product(
        m: block.rows, n: block.columns, k: N, z + block.row, lda: total.columns, transposingA: true,
        x + block.column, ldb: total.columns, out, ldc: block.columns)
    }
  }

  /// Adds what `multiply` writes of every block to its totals.
  private func accumulate(
    _ total: GramTotal, _ multiply: (GramTotal.Block, _ out: UnsafeMutablePointer<Float>) -> Void
  ) {
    let most = total.blocks.reduce(0) { max($0, $1.operations) }
    if total.products.count < most * pool.threads { total.products = FloatBuffer(count: most * pool.threads) }
    pool.parallelFor(total.blocks.count) { index, worker in
      let block = total.blocks[index], out = total.products.pointer + worker * most
      let sums = total.totals + block.offset
      multiply(block, out)
      // The kernel of bias gradients adds the column sums of one row here: that row, in double.
      guard total.isSymmetric, block.isOnDiagonal else {
        return ck_bias_backward(sums, out, 1, block.operations, block.operations)
      }
      for row in 0..<block.rows {
        let start = row * block.columns + row
        ck_bias_backward(sums + start, out + start, 1, block.rows - row, block.columns)
      }
    }
  }

  /// The total in fp32, `[columns, columns]`; symmetric to the bit if it is a sum of x xᵀ.
  package func gramFinish(_ total: GramTotal) -> FloatBuffer {
    let n = total.columns, out = FloatBuffer(count: n * n)
    pool.parallelFor(total.blocks.count) { index, _ in
      let block = total.blocks[index]
      let mirrors = total.isSymmetric
      for row in 0..<block.rows {
        let sums = total.totals + block.offset + row * block.columns
        let upper = out.pointer + (block.row + row) * n + block.column
        for column in (mirrors && block.isOnDiagonal ? row : 0)..<block.columns {
          let value = Float(sums[column])
          upper[column] = value
          if mirrors { out.pointer[(block.column + column) * n + block.row + row] = value }
        }
      }
    }
    return out
  }
}
