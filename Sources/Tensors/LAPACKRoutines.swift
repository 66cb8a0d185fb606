// The routines of OpenBLAS and its LAPACK that factorisations need, as Fortran calls them: everything by pointer,
// matrices column-major, the lengths of text arguments behind the others. A row-major matrix is its transpose to them,
// so a lower triangle of ours is an upper one of theirs. Names and arguments: LAPACK 3.9, netlib.org/lapack.

/// One precision's routines. Each matrix is raw memory of that precision.
struct LAPACKRoutines: Sendable {
  typealias Text = UnsafePointer<CChar>
  typealias Size = UnsafePointer<Int32>
  typealias In = UnsafeRawPointer
  typealias Out = UnsafeMutableRawPointer
  typealias Info = UnsafeMutablePointer<Int32>

  /// (transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
  typealias GEMM =
    @convention(c) (Text, Text, Size, Size, Size, In, In, Size, In, Size, In, Out, Size, Int, Int) -> Void
  /// (side, uplo, transa, diag, m, n, alpha, a, lda, b, ldb)
  typealias TRSM =
    @convention(c) (Text, Text, Text, Text, Size, Size, In, In, Size, Out, Size, Int, Int, Int, Int) -> Void
  /// (uplo, trans, n, k, alpha, a, lda, beta, c, ldc)
  typealias SYRK = @convention(c) (Text, Text, Size, Size, In, In, Size, In, Out, Size, Int, Int) -> Void
  /// (uplo, n, a, lda, info): `potrf` factorises, `potri` inverts what it left.
  typealias POTRF = @convention(c) (Text, Size, Out, Size, Info, Int) -> Void
  /// (uplo, n, nrhs, a, lda, b, ldb, info)
  typealias POTRS = @convention(c) (Text, Size, Size, In, Size, Out, Size, Info, Int) -> Void
  /// (jobz, uplo, n, a, lda, w, work, lwork, iwork, liwork, info)
  typealias SYEVD =
    @convention(c) (Text, Text, Size, Out, Size, Out, Out, Size, Info, Size, Info, Int, Int) -> Void

  let gemm: GEMM
  let trsm: TRSM
  let syrk: SYRK
  let potrf: POTRF
  let potri: POTRF
  let potrs: POTRS
  let syevd: SYEVD

  /// - Parameter prefix: `s` for fp32, `d` for double.
  /// - Throws: `BLASError.symbolMissing`.
  init(_ prefix: String, of blas: BLAS) throws(BLASError) {
    gemm = try blas.function("\(prefix)gemm_", as: GEMM.self)
    trsm = try blas.function("\(prefix)trsm_", as: TRSM.self)
    syrk = try blas.function("\(prefix)syrk_", as: SYRK.self)
    potrf = try blas.function("\(prefix)potrf_", as: POTRF.self)
    potri = try blas.function("\(prefix)potri_", as: POTRF.self)
    potrs = try blas.function("\(prefix)potrs_", as: POTRS.self)
    syevd = try blas.function("\(prefix)syevd_", as: SYEVD.self)
  }
}
