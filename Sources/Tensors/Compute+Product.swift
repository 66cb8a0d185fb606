// Espalier's own matrix product on the compute threads: operands are packed, once each, then multiplied in pieces.

extension Compute {
  /// C[m, n] = A · Bᵀ (+ C if `accumulate`): c[i, j] = sum over p of a(i, p) b(j, p), c row-major with rows `ldc` floats
  /// apart. The operands are rounded to the kernel's precision; products and sums are fp32.
  ///
  /// A linear layer y[N, O] = x[N, I] · w[O, I]ᵀ, in these terms:
  ///
  ///     y  (N, O, I): a = .rows(x, stride: I),        b = .rows(w, stride: I)
  ///     dx (N, I, O): a = .rows(dy, stride: O),       b = .transposed(w, stride: I)
  ///     dw (O, I, N): a = .transposed(dy, stride: O), b = .transposed(x, stride: I)
  ///
  /// - Parameters:
  ///   - scratch: of one product at a time.
  ///   - leftIsAsBefore: `a`, m, k and the kernel are those of the product before in this scratch, so that `a` need not be
  ///     packed again if it was in one part.
  /// - Throws: `Cancelled`; C is then partly written.
  package func product(
    _ c: UnsafeMutablePointer<Float>, ldc: Int, _ a: MatrixOperand, _ b: MatrixOperand, m: Int, n: Int, k: Int,
    accumulate: Bool = false, leftIsAsBefore: Bool = false, kernel: ProductKernel, scratch: ProductScratch,
    cancellation: Cancellation
  ) throws(Cancelled) {
    try Product(
      c: c, ldc: ldc, left: a, right: .values(b), m: m, n: n, k: k, kernel: kernel, pool: pool, scratch: scratch,
      cancellation: cancellation
    ).run(accumulate: accumulate, leftIsAsBefore: leftIsAsBefore)
  }

  /// The same with a right operand that is packed already: n, k and the kernel are those of `weights`.
  package func product(
    _ c: UnsafeMutablePointer<Float>, ldc: Int, _ a: MatrixOperand, _ weights: PackedWeights, m: Int,
    accumulate: Bool = false, scratch: ProductScratch, cancellation: Cancellation
  ) throws(Cancelled) {
    try Product(
      c: c, ldc: ldc, left: a, right: .packed(weights.words), m: m, n: weights.n, k: weights.k, kernel: weights.kernel,
      pool: pool, scratch: scratch, cancellation: cancellation
    ).run(accumulate: accumulate)
  }
}

/// One product under way.
private struct Product {
  enum Right {
    case values(MatrixOperand)
    case packed(UnsafePointer<UInt32>)
  }

  let c: UnsafeMutablePointer<Float>
  let ldc: Int
  let left: MatrixOperand
  let right: Right
  let m: Int, n: Int, k: Int
  let kernel: ProductKernel
  let pool: ComputePool
  let scratch: ProductScratch
  let cancellation: Cancellation

  /// Steps of k that are packed at a time: enough that going through C once more for each is nothing beside it, few
  /// enough that all rows of usual operands fit in `most`.
  private static let longest = 1536
  /// Words of an operand that are packed at a time: 8 MiB, which a shared cache may hold until it has been used.
  private static let most = 1 << 21
  /// Words of the right operand that stay in the cache of a core while rows of the left pass: 512 KiB.
  private static let block = 1 << 17
  /// Steps that the kernels take at once (CK_GEMM_DEPTH).
  private static let depth = 768
  /// Products of words below which a piece is not worth a thread's attention: about 20 microseconds of them.
  private static let smallest = 1 << 20

  /// Parts in the order k, rows, columns; an operand that is one part is packed once for all.
  func run(accumulate: Bool, leftIsAsBefore: Bool = false) throws(Cancelled) {
    guard m > 0, n > 0 else { return }
    let perWord = kernel.elementsPerWord, deepParts = parts(k, Self.longest * perWord)
    for deep in deepParts {
      let steps = kernel.steps(deep.count)
      let columnParts = parts(n, wholePanels(kernel.panelColumns, steps))
      let rowParts = parts(m, wholePanels(kernel.panelRows, steps))
      let leftIsThere = leftIsAsBefore && deepParts.count == 1 && rowParts.count == 1
      for (place, rows) in rowParts.enumerated() {
        let a = scratch.leftWords(kernel.words(rows: rows.count, panel: kernel.panelRows, k: deep.count))
        for columns in columnParts {
          let leftIsNew = columns.lowerBound == 0 && !leftIsThere
          let rightIsNew = place == 0 || columnParts.count > 1
          let b: UnsafePointer<UInt32>, bSteps: Int
          var tasks = leftIsNew
            ? packing(left.from(row: rows.lowerBound, k: deep.lowerBound), kernel.panelRows, rows.count, deep.count, a)
            : []
          switch right {
          case .packed(let words):
            bSteps = kernel.steps(k)
            b = words + columns.lowerBound * bSteps + deep.lowerBound / perWord * kernel.panelColumns
          case .values(let values):
            let words = scratch.rightWords(
              kernel.words(rows: columns.count, panel: kernel.panelColumns, k: deep.count))
            if rightIsNew {
              let from = values.from(row: columns.lowerBound, k: deep.lowerBound)
              tasks += packing(from, kernel.panelColumns, columns.count, deep.count, words)
            }
            (b, bSteps) = (UnsafePointer(words), steps)
          }
          pool.parallelFor(tasks.count, cancellation: cancellation) { task, _ in
            let task = tasks[task]
            kernel.pack(task.to, panel: task.panel, task.from, rows: task.rows, k: deep.count)
          }
          multiply(
            c + rows.lowerBound * ldc + columns.lowerBound, UnsafePointer(a), b, bSteps, m: rows.count,
            n: columns.count, steps: steps, accumulate: accumulate || deep.lowerBound > 0)
          try cancellation.check()
        }
      }
    }
  }

  /// 0..<count in parts of `size`; one empty part for none.
  private func parts(_ count: Int, _ size: Int) -> [Range<Int>] {
    count == 0 ? [0..<0] : stride(from: 0, to: count, by: size).map { $0..<min(count, $0 + size) }
  }

  /// Rows of whole panels that make up `most` words.
  private func wholePanels(_ panel: Int, _ steps: Int) -> Int { max(1, Self.most / (panel * max(1, steps))) * panel }

  /// Some panels to pack, by one thread.
  private struct Packing {
    let from: MatrixOperand, panel: Int, rows: Int
    let to: UnsafeMutablePointer<UInt32>
  }

  /// Packing `rows` rows into `words`, about eight panels a task: as many as share lines of memory if transposed.
  private func packing(
    _ from: MatrixOperand, _ panel: Int, _ rows: Int, _ k: Int, _ words: UnsafeMutablePointer<UInt32>
  ) -> [Packing] {
    parts(rows, 8 * panel).map { range in
      Packing(
        from: from.from(row: range.lowerBound, k: 0), panel: panel, rows: range.count,
        to: words + range.lowerBound * kernel.steps(k))
    }
  }

  /// Pieces of a block of columns, which stays in cache, by a few panels of rows; about 16 to a thread so that all end
  /// together. How it is cut does not change the sums.
  private func multiply(
    _ c: UnsafeMutablePointer<Float>, _ a: UnsafePointer<UInt32>, _ b: UnsafePointer<UInt32>, _ bSteps: Int, m: Int,
    n: Int, steps: Int, accumulate: Bool
  ) {
    let P = kernel.panelRows, Q = kernel.panelColumns
    let rowPanels = (m + P - 1) / P, columnPanels = (n + Q - 1) / Q
    let wanted = max(1, min(16 * pool.threads, rowPanels * columnPanels * P * Q * max(1, steps) / Self.smallest))
    let widest = max(1, Self.block / (Q * max(1, min(steps, Self.depth))))
    let cuts = max((columnPanels + widest - 1) / widest, min(columnPanels, wanted / rowPanels))
    let width = (columnPanels + cuts - 1) / cuts, across = (columnPanels + width - 1) / width
    let height = max(1, rowPanels * across / wanted), down = (rowPanels + height - 1) / height
    pool.parallelFor(across * down, cancellation: cancellation) { piece, _ in
      let i = piece % down * height * P, j = piece / down * width * Q
      kernel.multiply(
        c + i * ldc + j, ldc: ldc, a + i * steps, aSteps: steps, b + j * bSteps, bSteps: bSteps,
        m: min(height * P, m - i), n: min(width * Q, n - j), steps: steps, accumulate: accumulate)
    }
  }
}
