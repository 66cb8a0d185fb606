// OpenBLAS, loaded late: it reads its core type and thread count from the environment when it is loaded, and
// Debian's 0.3.21 takes AVX2 kernels on processors newer than itself unless told otherwise.

import CKernels
import Glibc
import Synchronization

/// Why linear algebra is not to be had.
package enum BLASError: Error, Equatable {
  case libraryMissing(names: [String], reason: String)
  case symbolMissing(name: String, library: String)

  package var kind: String { "linearAlgebraMissing" }
  package var message: String {
    switch self {
    case .libraryMissing(let names, let reason):
      "OpenBLAS could not be loaded (tried \(names.joined(separator: ", "))): \(reason). "
        + "Install it, on Debian and Ubuntu: apt-get install libopenblas0-pthread"
    case .symbolMissing(let name, let library):
      "\(library) has no function \(name). Install OpenBLAS 0.3.20 or later with its CBLAS interface and LAPACK."
    }
  }
}

/// The matrix product of OpenBLAS, single-threaded; Espalier's own pool splits the work.
package struct BLAS: Sendable {
  private typealias SGEMM =
    @convention(c) (
      _ order: Int32, _ transA: Int32, _ transB: Int32, _ m: Int32, _ n: Int32, _ k: Int32, _ alpha: Float,
      _ a: UnsafePointer<Float>, _ lda: Int32, _ b: UnsafePointer<Float>, _ ldb: Int32, _ beta: Float,
      _ c: UnsafeMutablePointer<Float>, _ ldc: Int32
    ) -> Void
  private typealias SSYRK =
    @convention(c) (
      _ order: Int32, _ triangle: Int32, _ trans: Int32, _ n: Int32, _ k: Int32, _ alpha: Float,
      _ a: UnsafePointer<Float>, _ lda: Int32, _ beta: Float, _ c: UnsafeMutablePointer<Float>, _ ldc: Int32
    ) -> Void
  private typealias Text = @convention(c) () -> UnsafePointer<CChar>?

  private let sgemm: SGEMM
  private let library: (name: String, handle: UInt)
  private let ssyrk: SSYRK
  /// The kernels that OpenBLAS chose, in its own words: `SkylakeX`, `Haswell`, ...
  package let coreName: String
  /// Its version and build options.
  package let configuration: String

  private static let libraryNames = ["libopenblas.so.0", "libopenblas.so"]
  private static let loaded = Mutex<BLAS?>(nil)

  /// OpenBLAS, loaded at the first call.
  /// - Throws: `BLASError`; a later call tries again.
  package static func load() throws(BLASError) -> BLAS {
    try loaded.withLock { (loaded) throws(BLASError) in
      if let blas = loaded { return blas }
      let blas = try BLAS()
      loaded = blas
      return blas
    }
  }

  private init() throws(BLASError) {
    setenv("OPENBLAS_NUM_THREADS", "1", 1)
    if let core = ck_openblas_core() { setenv("OPENBLAS_CORETYPE", core, 0) }  // a user's own choice stands

    var found: (name: String, handle: UnsafeMutableRawPointer)?
    var reason = "no such library"
    for name in Self.libraryNames where found == nil {
      if let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) {
        found = (name, handle)
      } else if let error = dlerror() {
        reason = String(cString: error)
      }
    }
    guard let (name, handle) = found else {
      throw .libraryMissing(names: Self.libraryNames, reason: reason)
    }
    library = (name, UInt(bitPattern: handle))
    guard let sgemm = dlsym(handle, "cblas_sgemm") else { throw .symbolMissing(name: "cblas_sgemm", library: name) }
    guard let ssyrk = dlsym(handle, "cblas_ssyrk") else { throw .symbolMissing(name: "cblas_ssyrk", library: name) }
    self.sgemm = unsafeBitCast(sgemm, to: SGEMM.self)
    self.ssyrk = unsafeBitCast(ssyrk, to: SSYRK.self)
    func text(_ symbol: String) -> String {
      guard let function = dlsym(handle, symbol), let text = unsafeBitCast(function, to: Text.self)() else {
        return "unknown"
      }
      return String(cString: text)
    }
    coreName = text("openblas_get_corename")
    configuration = text("openblas_get_config")
  }

  /// Another function of the library.
  /// - Parameter type: how it is called; the caller's word is all that there is.
  /// - Throws: `BLASError.symbolMissing`.
  func function<Function>(_ symbol: String, as type: Function.Type) throws(BLASError) -> Function {
    guard let address = dlsym(UnsafeMutableRawPointer(bitPattern: library.handle), symbol) else {
      throw .symbolMissing(name: symbol, library: library.name)
    }
    return unsafeBitCast(address, to: type)
  }

  /// C[m, n] = op(A)[m, k] · op(B)[k, n] + beta * C, all row-major; op transposes if asked, and `ld` are floats from
  /// row to row as stored.
  func product(
    m: Int, n: Int, k: Int, _ a: UnsafePointer<Float>, lda: Int, transposingA: Bool = false,
    _ b: UnsafePointer<Float>, ldb: Int, transposingB: Bool = false, beta: Float = 0,
    _ c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    // CblasRowMajor 101, CblasNoTrans 111, CblasTrans 112
    sgemm(
      101, transposingA ? 112 : 111, transposingB ? 112 : 111, Int32(m), Int32(n), Int32(k), 1, a, Int32(lda), b,
      Int32(ldb), beta, c, Int32(ldc))
  }

  /// The upper triangle of C[n, n] = A[k, n]ᵀ · A, row-major; what is below the diagonal stays as it is. `ld` are floats
  /// from row to row as stored.
  func gram(n: Int, k: Int, _ a: UnsafePointer<Float>, lda: Int, _ c: UnsafeMutablePointer<Float>, ldc: Int) {
    // CblasUpper 121
    ssyrk(101, 121, 112, Int32(n), Int32(k), 1, a, Int32(lda), 0, c, Int32(ldc))
  }
}
