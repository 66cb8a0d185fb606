// Products and factorisations for methods: against plain loops in double, and the same bits on any number of threads.

import Foundation
import Tensors
import Testing

@Suite struct LinearAlgebraTests {
  /// Numbers of both signs, the same for the same seed.
  static func numbers<Scalar: LinearAlgebraScalar>(_ count: Int, seed: UInt64) -> [Scalar] {
    var state = seed &* 977 &+ 11
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Scalar(Double(state >> 11) * 0x1p-52 - 1)
    }
  }

  static let pools = [1, 2, 3, 5].map { ComputePool(threads: $0) }

  /// Runs `body` on pools of several sizes, and alone inside a loop of another pool; all must give the same bits.
  static func everywhere<Scalar: LinearAlgebraScalar>(
    _ body: (LinearAlgebra, WorkShare) throws -> [Scalar]
  ) throws -> [Scalar] {
    let first = try body(LinearAlgebra(pool: pools[0]), WorkShare())
    for pool in pools.dropFirst() {
      let algebra = try LinearAlgebra(pool: pool)
      #expect(try body(algebra, WorkShare()) == first, "\(pool.threads) threads")
      #expect(try body(algebra, WorkShare(alone: true)) == first, "\(pool.threads) threads, alone")
    }
    return first
  }

  /// The product of arrays.
  static func multiply<Scalar: LinearAlgebraScalar>(
    _ algebra: LinearAlgebra, _ c: inout [Scalar], _ ldc: Int, _ a: (values: [Scalar], stride: Int, transposed: Bool),
    _ b: (values: [Scalar], stride: Int, transposed: Bool), m: Int, n: Int, k: Int, alpha: Scalar = 1,
    beta: Scalar = 0, _ share: WorkShare = WorkShare()
  ) throws {
    try a.values.withUnsafeBufferPointer { values in
      let left = StridedMatrix(try #require(values.baseAddress), stride: a.stride, transposed: a.transposed)
      try b.values.withUnsafeBufferPointer { values in
        let right = StridedMatrix(try #require(values.baseAddress), stride: b.stride, transposed: b.transposed)
        try algebra.product(&c, stride: ldc, left, right, m: m, n: n, k: k, alpha: alpha, beta: beta, share)
      }
    }
  }

  static func checkProduct<Scalar: LinearAlgebraScalar>(
    _ m: Int, _ n: Int, _ k: Int, _ transposeA: Bool, _ transposeB: Bool, _: Scalar.Type
  ) throws {
    let lda = (transposeA ? m : k) + 3, ldb = (transposeB ? k : n) + 1, ldc = n + 2
    let a: [Scalar] = numbers((transposeA ? k : m) * lda, seed: 1)
    let b: [Scalar] = numbers((transposeB ? n : k) * ldb, seed: 2)
    let c: [Scalar] = numbers(m * ldc, seed: 3)
    let alpha: Scalar = 0.75, beta: Scalar = -0.5
    let result = try everywhere { algebra, share in
      var result = c
      try multiply(
        algebra, &result, ldc, (a, lda, transposeA), (b, ldb, transposeB), m: m, n: n, k: k, alpha: alpha, beta: beta,
        share)
      return result
    }
    // A sum of k products of numbers below 1 is off by at most about k roundings of its largest part.
    let tolerance = Double(Scalar.ulpOfOne) * Double(k + 2) * 2
    var worst = 0.0
    for i in 0..<m {
      for j in 0..<ldc {
        if j < n, m * n > 10_000, (i + 3 * j) % 13 != 0 { continue }  // a sample of the large ones
        guard j < n else {
          #expect(result[i * ldc + j] == c[i * ldc + j])  // between the rows nothing is written
          continue
        }
        var sum = 0.0
        for p in 0..<k {
          sum += Double(a[transposeA ? p * lda + i : i * lda + p]) * Double(b[transposeB ? j * ldb + p : p * ldb + j])
        }
        worst = max(worst, abs(Double(result[i * ldc + j]) - (0.75 * sum - 0.5 * Double(c[i * ldc + j]))))
      }
    }
    #expect(worst <= tolerance, "\(m) x \(n) x \(k): off by \(worst)")
  }

  @Test(arguments: [(1, 1, 1), (3, 5, 7), (1, 65, 33), (67, 1, 19), (301, 259, 37), (257, 1031, 11)], [0, 1, 2, 3])
  func productsFollowTheDefinition(size: (Int, Int, Int), transposes: Int) throws {
    let (m, n, k) = size
    try Self.checkProduct(m, n, k, transposes & 1 == 1, transposes & 2 == 2, Float.self)
    try Self.checkProduct(m, n, k, transposes & 1 == 1, transposes & 2 == 2, Double.self)
  }

  @Test func aProductWithoutTheOldValuesDoesNotReadThem() throws {
    var c: [Double] = [.nan]
    let algebra = try LinearAlgebra(pool: Self.pools[0])
    try Self.multiply(algebra, &c, 1, ([2, 3], 2, false), ([5, 7], 1, false), m: 1, n: 1, k: 2)
    #expect(c == [31])
  }

  /// A positive definite matrix [n, n] with rows `stride` apart, NaN above the diagonal and between the rows.
  static func positive<Scalar: LinearAlgebraScalar>(_ n: Int, stride: Int, as: Scalar.Type) -> [Scalar] {
    let x: [Double] = numbers(n * 9, seed: 5)
    var a = [Scalar](repeating: .nan, count: n * stride)
    for i in 0..<n {
      for j in 0...i {
        var sum = i == j ? Double(n) / 4 : 0
        for p in 0..<9 { sum += x[i * 9 + p] * x[j * 9 + p] }
        a[i * stride + j] = Scalar(sum)
      }
    }
    return a
  }

  static func checkCholesky<Scalar: LinearAlgebraScalar>(_ n: Int, _: Scalar.Type) throws {
    let stride = n + 3
    let a = positive(n, stride: stride, as: Scalar.self)
    let l = try everywhere { algebra, share in
      var l = a
      try algebra.cholesky(&l, stride: stride, n: n, share)
      return l.map { $0.isNaN ? 99 : $0 }
    }
    let eps = Double(Scalar.ulpOfOne)
    var worst = 0.0
    for i in 0..<n where n < 200 || i % 37 == 0 || i > n - 3 {
      for j in 0...i {
        var sum = 0.0
        for p in 0...j { sum += Double(l[i * stride + p]) * Double(l[j * stride + p]) }
        worst = max(worst, abs(sum - Double(a[i * stride + j])))
      }
      // What lies above the diagonal and between the rows stays.
      #expect((i + 1..<stride).allSatisfy { l[i * stride + $0] == 99 })
    }
    // Higham, Accuracy and Stability, theorem 10.3: (n + 1) eps times the diagonal, which is about n.
    #expect(worst <= eps * Double(n + 1) * Double(2 * n), "\(n): off by \(worst)")

    let count = 131
    let b: [Scalar] = numbers(count * stride, seed: 9)
    let x = try everywhere { algebra, share in
      var x = b
      try algebra.choleskySolve(l, stride: stride, n: n, &x, bStride: stride, count: count, share)
      return x
    }
    worst = 0
    for row in [0, 63, 64, 130] {
      for i in 0..<n {
        var sum = 0.0
        for j in 0..<n { sum += Double(a[max(i, j) * stride + min(i, j)]) * Double(x[row * stride + j]) }
        worst = max(worst, abs(sum - Double(b[row * stride + i])))
      }
    }
    #expect(worst <= eps * Double(n + 1) * 20, "\(n): solutions off by \(worst)")
  }

  @Test(arguments: [1, 2, 7, 129, 256, 257, 601])
  func choleskyFollowsTheDefinition(n: Int) throws {
    try Self.checkCholesky(n, Float.self)
    try Self.checkCholesky(n, Double.self)
  }

  @Test(arguments: [1, 2, 33, 300])
  func theInverseIsOne(n: Int) throws {
    let stride = n + 2
    let a = Self.positive(n, stride: stride, as: Double.self)
    let inverse = try Self.everywhere { algebra, share in
      var l = a
      try algebra.cholesky(&l, stride: stride, n: n, share)
      try algebra.choleskyInverse(&l, stride: stride, n: n, share)
      return l.map { $0.isNaN ? 99 : $0 }
    }
    var worst = 0.0
    for i in 0..<n where n < 100 || i % 31 == 0 {
      for j in 0..<n {
        #expect(inverse[i * stride + j] == inverse[j * stride + i])
        let product = (0..<n).reduce(0.0) { $0 + a[max(i, $1) * stride + min(i, $1)] * inverse[$1 * stride + j] }
        worst = max(worst, abs(product - (i == j ? 1 : 0)))
      }
    }
    #expect(worst < 1e-12 * Double(n + 10))
  }

  @Test(arguments: [(5, 3), (300, 0), (300, 255), (300, 256), (300, 299)])
  func aMatrixThatIsNotPositiveDefiniteIsNoticedInItsRow(n: Int, row: Int) throws {
    let algebra = try LinearAlgebra(pool: Self.pools[1])
    for value in [-1e6, 0, Double.nan, .infinity] {
      var a = Self.positive(n, stride: n, as: Double.self)
      a[row * n + row] = value
      #expect(throws: LinearAlgebraError.notPositiveDefinite(row: row)) {
        try algebra.cholesky(&a, stride: n, n: n, WorkShare())
      }
    }
  }

  static func checkEigen<Scalar: LinearAlgebraScalar>(_ n: Int, _: Scalar.Type) throws {
    let stride = n + 1
    var a: [Scalar] = numbers(n * stride, seed: 21)
    for i in 0..<n { for j in i + 1..<stride { a[i * stride + j] = .nan } }
    let answer = try everywhere { algebra, share in
      var q = a, values = [Scalar](repeating: 0, count: n)
      try algebra.eigen(&q, stride: stride, n: n, values: &values, share)
      return values + q.map { $0.isNaN ? 99 : $0 }
    }
    let values = answer[..<n].map(Double.init), q = answer[n...].map(Double.init)
    #expect(values == values.sorted())
    let eps = Double(Scalar.ulpOfOne)
    var worst = 0.0, skewed = 0.0
    for i in 0..<n {
      for j in 0..<n {
        // A v = value v, row i of q is v.
        let av = (0..<n).reduce(0.0) { $0 + Double(a[max(j, $1) * stride + min(j, $1)]) * q[i * stride + $1] }
        worst = max(worst, abs(av - values[i] * q[i * stride + j]))
        let dot = (0..<n).reduce(0.0) { $0 + q[i * stride + $1] * q[j * stride + $1] }
        skewed = max(skewed, abs(dot - (i == j ? 1 : 0)))
      }
    }
    #expect(worst <= 20 * eps * Double(n + 5), "\(n): off by \(worst)")
    #expect(skewed <= 20 * eps * Double(n + 5), "\(n): skewed by \(skewed)")
  }

  @Test(arguments: [1, 2, 9, 65, 90])
  func eigenvectorsFollowTheDefinition(n: Int) throws {
    try Self.checkEigen(n, Float.self)
    try Self.checkEigen(n, Double.self)
  }

  @Test func whatCannotBeWorkedWithIsRefused() throws {
    let algebra = try LinearAlgebra(pool: Self.pools[1])
    var a = [Double](repeating: 1, count: 9), b = a
    func product(_ m: Int, _ n: Int, _ k: Int, lda: Int, ldb: Int, ldc: Int) -> LinearAlgebraError? {
      do {
        try Self.multiply(algebra, &b, ldc, (a, lda, false), (a, ldb, false), m: m, n: n, k: k)
        return nil
      } catch {
        return error as? LinearAlgebraError
      }
    }
    #expect(product(3, 3, 3, lda: 3, ldb: 3, ldc: 3) == nil)
    #expect(product(0, 3, 3, lda: 3, ldb: 3, ldc: 3) == .sizeInvalid)
    #expect(product(3, -1, 3, lda: 3, ldb: 3, ldc: 3) == .sizeInvalid)
    #expect(product(3, 3, 1 << 31, lda: 3, ldb: 3, ldc: 3) == .sizeInvalid)
    #expect(product(3, 3, 3, lda: 2, ldb: 3, ldc: 3) == .sizeInvalid)
    #expect(product(3, 3, 3, lda: 3, ldb: 2, ldc: 3) == .sizeInvalid)
    #expect(product(3, 3, 3, lda: 3, ldb: 3, ldc: 2) == .sizeInvalid)
    #expect(throws: LinearAlgebraError.sizeInvalid) { try algebra.cholesky(&a, stride: 2, n: 3, WorkShare()) }
    #expect(throws: LinearAlgebraError.sizeInvalid) { try algebra.choleskyInverse(&a, stride: 3, n: 0, WorkShare()) }
    #expect(throws: LinearAlgebraError.sizeInvalid) {
      try algebra.eigen(&a, stride: 1 << 20, n: LinearAlgebra.largestEigenproblem + 1, values: &b, WorkShare())
    }
    a[3] = .nan
    #expect(throws: LinearAlgebraError.notFinite) {
      try algebra.eigen(&a, stride: 3, n: 3, values: &b, WorkShare())
    }
  }

  @Test func aCancelledOperationSaysSo() throws {
    let algebra = try LinearAlgebra(pool: Self.pools[1])
    let share = WorkShare(cancellation: Cancellation())
    share.cancellation.cancel()
    var a: [Double] = [4], b: [Double] = [1]
    #expect(throws: LinearAlgebraError.cancelled) { try algebra.cholesky(&a, stride: 1, n: 1, share) }
    #expect(throws: LinearAlgebraError.cancelled) { try algebra.choleskyInverse(&a, stride: 1, n: 1, share) }
    #expect(throws: LinearAlgebraError.cancelled) { try algebra.eigen(&a, stride: 1, n: 1, values: &b, share) }
    #expect(throws: LinearAlgebraError.cancelled) {
      try algebra.choleskySolve(a, stride: 1, n: 1, &b, bStride: 1, count: 1, share)
    }
    #expect(throws: LinearAlgebraError.cancelled) {
      try Self.multiply(algebra, &b, 1, (a, 1, false), (a, 1, false), m: 1, n: 1, k: 1, share)
    }
  }
}
