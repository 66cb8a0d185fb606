// Cross-entropy straight from hidden states: the logits of a batch never exist at once.

import CKernels
import Glibc

extension Compute {
  /// Vocabulary entries whose logits exist at a time, and rows that share them.
  private static let slice = 2048, tallest = 512

  /// losses[n] = -log softmax(hidden[n] · headᵀ)[targets[n]], in nats, for N rows.
  ///
  /// Walks over the vocabulary in slices and keeps each row's running maximum and sum (online softmax, Milakov &
  /// Gimelshein 2018), sums in double.
  /// - Parameters:
  ///   - hidden: `[N, C]`, already normalised; head: `[V, C]`.
  ///   - targets: N token ids in 0..<V, checked by the caller.
  /// - Throws: `Cancelled`.
  package func crossEntropyForward(
    hidden: UnsafePointer<Float>, head: MaskedTensor, targets: [Int32], scratch: LinearScratch,
    precision: Precision = .fp32, cancellation: Cancellation
  ) throws(Cancelled) -> [Double] {
    let N = targets.count, V = head.rows, C = head.columns
    let width = min(V, Self.slice)
    let sliceWeights = head.inPlace == nil ? FloatBuffer(count: width * C) : nil
    let running = RunningLosses(targets: targets)
    let height = min(Self.tallest, max(1, (N + pool.threads - 1) / pool.threads))
    let rows = precision == .fp32 ? pool.threads * height : min(N, Self.tallest)
    let logits = FloatBuffer(count: rows * width)
    for v in stride(from: 0, to: V, by: width) {
      try cancellation.check()
      let n = min(width, V - v)
      if let sliceWeights { head.read(rows: v..<v + n, into: sliceWeights.pointer, pool: pool) }
      let weights = head.inPlace.map { $0 + v * C } ?? UnsafePointer(sliceWeights?.pointer ?? logits.pointer)
      switch precision {
      case .fp32:
        pool.parallelFor((N + height - 1) / height, cancellation: cancellation) { piece, worker in
          let first = piece * height, last = min(N, first + height)
          let slab = logits.pointer + worker * height * width  // [rows, n]
          blas.product(
            m: last - first, n: n, k: C, hidden + first * C, lda: C, weights, ldb: C, transposingB: true, slab, ldc: n)
          for row in first..<last { running.update(row, slab + (row - first) * n, vocabulary: v..<v + n) }
        }
      case .bf16:
        for first in stride(from: 0, to: N, by: rows) {
          let last = min(N, first + rows)
          try product(
            logits.pointer, ldc: n, .rows(hidden + first * C, stride: C), .rows(weights, stride: C), m: last - first,
            n: n, k: C, kernel: .fastest(.bf16), scratch: scratch.product, cancellation: cancellation)
          pool.parallelRanges(last - first, grain: 16) { range, _ in
            for row in range { running.update(first + row, logits.pointer + row * n, vocabulary: v..<v + n) }
          }
        }
      }
    }
    try cancellation.check()
    return running.losses
  }
}

/// What is known of each row's loss after a part of the vocabulary. Threads update rows of their own.
private final class RunningLosses: @unchecked Sendable {
  private let targets: [Int32]
  private let maxima, chosen: FloatBuffer
  private let sums: UnsafeMutableBufferPointer<Double>

  init(targets: [Int32]) {
    self.targets = targets
    maxima = FloatBuffer(count: targets.count)
    chosen = FloatBuffer(count: targets.count)
    sums = .allocate(capacity: targets.count)
    maxima.values.initialize(repeating: -.infinity)
    chosen.values.initialize(repeating: 0)
    sums.initialize(repeating: 0)
  }

  deinit { sums.deallocate() }

  /// Takes the logits of a row for the tokens of `vocabulary` into account.
  func update(_ row: Int, _ logits: UnsafePointer<Float>, vocabulary: Range<Int>) {
    ck_logsumexp_update(&maxima.pointer[row], &sums[row], logits, vocabulary.count)
    let target = Int(targets[row])
    if vocabulary.contains(target) { chosen.pointer[row] = logits[target - vocabulary.lowerBound] }
  }

  /// The large numbers first: their difference is exact when they are close.
  var losses: [Double] {
    targets.indices.map { (Double(maxima.pointer[$0]) - Double(chosen.pointer[$0])) + log(sums[$0]) }
  }
}

// MARK: Gradients

extension Compute {
  /// The sum of `loss(row)` over `rows` rows, which are computed on all threads and added in order.
  /// - Throws: `Cancelled`.
  package func sumOverRows(
    _ rows: Int, cancellation: Cancellation, _ loss: (_ row: Int) -> Double
  ) throws(Cancelled) -> Double {
    var losses = [Double](repeating: 0, count: rows)
    losses.withUnsafeMutableBufferPointer { losses in
      pool.parallelFor(rows, cancellation: cancellation) { row, _ in losses[row] = loss(row) }
    }
    try cancellation.check()
    return losses.reduce(0, +)
  }

  /// The cross-entropy of a row in nats; overwrites its logits by scale * (softmax - one-hot). A row without target
  /// has loss 0 and gradient 0.
  package func crossEntropyBackward(
    _ logits: UnsafeMutablePointer<Float>, target: Int?, vocabulary V: Int, scale: Float
  ) -> Double {
    guard let target else {
      logits.update(repeating: 0, count: V)
      return 0
    }
    return ck_cross_entropy_backward(logits, target, V, scale)
  }
}
