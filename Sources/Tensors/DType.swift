// The element types of checkpoints: how many bytes hold how many elements.
// Arithmetic is always fp32; these are storage only. `MaskedTensor` turns them into fp32.

/// How the elements of a tensor are stored.
///
/// Block-quantised types (`q8_0`, `q4_0`, `q4_1`, `q5_0`, `q5_1` in blocks of 32; `q2_k` to `q6_k`, the "K-quants", in
/// blocks of 256) store `blockElements` consecutive elements of a row in `blockBytes` bytes, as the GGUF specification
/// lays them out; every other type has blocks of one.
package enum DType: String, Sendable, CaseIterable {
  case f64, f32, f16, bf16
  case i64, i32, i16, i8, u8, bool
  case q8_0, q4_0, q4_1, q5_0, q5_1
  case q2_k, q3_k, q4_k, q5_k, q6_k

  /// Elements that share one block; 1 for plain types.
  package var blockElements: Int {
    switch self {
    case .q8_0, .q4_0, .q4_1, .q5_0, .q5_1: 32
    case .q2_k, .q3_k, .q4_k, .q5_k, .q6_k: 256
    case .f64, .f32, .f16, .bf16, .i64, .i32, .i16, .i8, .u8, .bool: 1
    }
  }

  /// Bytes of one block (of one element, for plain types).
  package var blockBytes: Int {
    switch self {
    case .f64, .i64: 8
    case .f32, .i32: 4
    case .f16, .bf16, .i16: 2
    case .i8, .u8, .bool: 1
    case .q8_0: 34
    case .q4_0: 18
    case .q4_1: 20
    case .q5_0: 22
    case .q5_1: 24
    case .q2_k: 84
    case .q3_k: 110
    case .q4_k: 144
    case .q5_k: 176
    case .q6_k: 210
    }
  }

  /// True for the types that hold weights, which `MaskedTensor` can turn into fp32.
  package var holdsWeights: Bool {
    switch self {
    case .f32, .f16, .bf16: true
    case .f64, .i64, .i32, .i16, .i8, .u8, .bool: false
    case .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .q2_k, .q3_k, .q4_k, .q5_k, .q6_k: true
    }
  }

  /// Bytes of `count` elements laid out row after row, or nil if a block would be cut or the product overflows.
  package func byteCount(elements count: Int) -> Int? {
    guard count >= 0, count % blockElements == 0 else { return nil }
    let (bytes, overflow) = (count / blockElements).multipliedReportingOverflow(by: blockBytes)
    return overflow ? nil : bytes
  }
}
