// Eigenvalues and eigenvectors of symmetric matrices, by divide and conquer. (Cuppen 1981; LAPACK's syevd)

import Glibc

extension LinearAlgebra {
  /// The largest matrix whose workspace LAPACK can count.
  package static var largestEigenproblem: Int { 32_000 }

  /// a[n, n] (lower triangle) = qᵀ diag(values) q: values ascending, row i of a becomes the eigenvector of values[i].
  /// One thread; about 9 n³ operations and 2 n² elements of workspace, and no look at the cancellation until the end.
  /// - Throws: `notFinite`, `notConverged`, `outOfMemory`, `sizeInvalid`, `cancelled`.
  package func eigen<Scalar: LinearAlgebraScalar>(
    _ a: UnsafeMutablePointer<Scalar>, stride: Int, n: Int, values: UnsafeMutablePointer<Scalar>, _ share: WorkShare
  ) throws(LinearAlgebraError) {
    var n32 = try Self.size(n), lda = try Self.size(stride, atLeast: n), info: Int32 = 0
    guard n <= Self.largestEigenproblem else { throw .sizeInvalid }
    // LAPACK need not end for what is not finite.
    for row in 0..<n {
      for column in 0...row where !a[row * stride + column].isFinite { throw .notFinite }
    }
    if share.cancellation.isCancelled { throw .cancelled }
    var words = Int32(1 + 6 * n + 2 * n * n), integers = Int32(3 + 5 * n)
    guard let work = malloc(Int(words) * MemoryLayout<Scalar>.stride) else { throw .outOfMemory }
    defer { free(work) }
    guard let integerWork = malloc(Int(integers) * MemoryLayout<Int32>.stride) else { throw .outOfMemory }
    defer { free(integerWork) }
    let places = integerWork.bindMemory(to: Int32.self, capacity: Int(integers))
    routines(Scalar.self).syevd("V", "U", &n32, a, &lda, values, work, &words, places, &integers, &info, 1, 1)
    guard info == 0 else { throw .notConverged }
    if share.cancellation.isCancelled { throw .cancelled }
  }
}
