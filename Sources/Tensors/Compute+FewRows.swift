// Linear layers of a few rows, as in decoding: the time goes into reading the weights, so they are streamed once, as
// they are stored, and nothing else is done for each piece of them.

import CKernels

extension Compute {
  /// Weights that one piece of work streams: small enough to share out evenly, large enough to be worth a turn.
  private static let pieceElements = 1 << 16

  /// `linearForward` of at most `fewRows` rows.
  func fewRowsForward(
    _ tasks: [LinearTask], _ x: MatrixRows, rows N: Int, accumulate: Bool, _ cancellation: Cancellation
  ) throws(Cancelled) {
    var pieces = 0
    let streams = tasks.map { task in
      let stream = WeightStream(task, height: max(1, Self.pieceElements / task.weights.columns), firstPiece: pieces)
      pieces += stream.pieces
      return stream
    }
    // The weights outlive the loop as parts of `tasks`, so it needs none of the references in there.
    withExtendedLifetime(tasks) {
      streams.withUnsafeBufferPointer { streams in
        pool.parallelFor(pieces, cancellation: cancellation) { piece, _ in
          var number = 0
          while piece >= streams[number].firstPiece + streams[number].pieces { number += 1 }
          let stream = streams[number]
          let first = (piece - stream.firstPiece) * stream.height
          let range = first..<min(stream.rows, first + stream.height)
          withUnsafeTemporaryAllocation(of: Float.self, capacity: N * range.count) { sums in
            guard let sums = sums.baseAddress else { return }
            if !stream.dot(range, x, rows: N, into: sums) {
              tasks[number].weights.dot(storedRows: range, x, rows: N, into: sums)
            }
            for n in 0..<N { stream.put(sums + n * range.count, range, row: n, accumulate: accumulate) }
          }
        }
      }
    }
    try cancellation.check()
  }
}

/// A linear task as the pieces of its work see it: places and sizes only, no references that would have to be counted.
private struct WeightStream {
  let out: MutableMatrixRows
  let bias: UnsafePointer<Float>?
  let rows: Int, columns: Int
  let order: RowOrder
  /// The stored rows, if they are of a plain type and nothing is pruned.
  let stored: UnsafeRawPointer?
  let dtype: DType
  let rowBytes: Int
  /// Rows of a piece, and the pieces of this task among all.
  let height: Int, firstPiece: Int, pieces: Int

  init(_ task: LinearTask, height: Int, firstPiece: Int) {
    let view = task.weights.weights
    out = task.out
    bias = task.bias?.pointer
    rows = view.rows
    columns = view.columns
    order = view.rowOrder
    dtype = view.dtype
    rowBytes = view.byteCount / view.rows
    let isStreamed: Bool =
      switch view.dtype {
      case .f32: Int(bitPattern: view.bytes.baseAddress) % 4 == 0
      case .bf16, .f16: Int(bitPattern: view.bytes.baseAddress) % 2 == 0
      default: false
      }
    stored = isStreamed && task.weights.mask == nil ? view.bytes.baseAddress : nil
    self.height = height
    self.firstPiece = firstPiece
    pieces = (rows + height - 1) / height
  }

  /// sums[n, r] = stored row range.lowerBound + r · x[n], in the stored type; false if that cannot be.
  func dot(_ range: Range<Int>, _ x: MatrixRows, rows N: Int, into sums: UnsafeMutablePointer<Float>) -> Bool {
    guard let first = stored.map({ $0 + range.lowerBound * rowBytes }) else { return false }
    let count = range.count, I = columns
    switch dtype {
    case .f32:
      ck_dot_rows_f32(sums, count, first.assumingMemoryBound(to: Float.self), I, count, I, x.pointer, x.stride, N)
    case .bf16:
      ck_dot_rows_bf16(sums, count, first.assumingMemoryBound(to: UInt16.self), I, count, I, x.pointer, x.stride, N)
    default:
      ck_dot_rows_f16(sums, count, first.assumingMemoryBound(to: UInt16.self), I, count, I, x.pointer, x.stride, N)
    }
    return true
  }

  /// Puts the sums of stored rows `range` and one row of activations, with the bias, where they belong.
  func put(_ sums: UnsafeMutablePointer<Float>, _ range: Range<Int>, row n: Int, accumulate: Bool) {
    let out = out.pointer + n * out.stride
    guard order == .stored else {
      for (place, number) in range.enumerated() {
        let row = order.row(storedAt: number, of: rows)
        let sum = bias.map { sums[place] + $0[row] } ?? sums[place]
        out[row] = accumulate ? out[row] + sum : sum
      }
      return
    }
    if let bias { ck_axpy(sums, 1, bias + range.lowerBound, range.count) }
    if accumulate {
      ck_axpy(out + range.lowerBound, 1, sums, range.count)
    } else {
      (out + range.lowerBound).update(from: sums, count: range.count)
    }
  }
}

extension MaskedTensor {
  /// sums[n, r] = stored row range.lowerBound + r of w · x[n], row by row through fp32: for blocks and pruned weights.
  fileprivate func dot(
    storedRows range: Range<Int>, _ x: MatrixRows, rows N: Int, into sums: UnsafeMutablePointer<Float>
  ) {
    let I = columns, rows = rows
    withUnsafeTemporaryAllocation(of: Float.self, capacity: I) { row in
      guard let row = row.baseAddress else { return }
      for (place, number) in range.enumerated() {
        readRow(weights.rowOrder.row(storedAt: number, of: rows), into: row)
        ck_dot_rows_f32(sums + place, range.count, row, I, 1, I, x.pointer, x.stride, N)
      }
    }
  }
}
