// A tensor as a comparison takes it: type, shape, and the values in double. For tests only; never converts weights for
// arithmetic, and knows none of the kernels that it helps to check.

package import Tensors

/// Values with a shape and the type that they were stored in.
package struct Numbers: Sendable {
  package let dtype: DType
  package let shape: [Int]
  /// Row-major. As many as `shape` says if all is well; the comparator checks it.
  package let values: [Double]

  /// - Parameter shape: nil for a vector of all values.
  package init(_ values: [Double], dtype: DType = .f64, shape: [Int]? = nil) {
    self.dtype = dtype
    self.shape = shape ?? [values.count]
    self.values = values
  }

  /// fp32 values, each exact in double.
  package init(_ values: some Sequence<Float>, shape: [Int]? = nil) {
    self.init(values.map(Double.init), dtype: .f32, shape: shape)
  }
}

extension Numbers {
  /// The tensor that a view shows, or nil for a type that holds no plain numbers (blocks, fp16, booleans).
  package init?(_ view: TensorView) {
    let bytes = view.bytes
    func read<T>(_ type: T.Type, _ value: (T) -> Double) -> [Double] {
      (0..<view.elementCount).map { value(bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: type)) }
    }
    let values: [Double]
    switch view.dtype {
    case .f64: values = read(Double.self) { $0 }
    case .f32: values = read(Float.self) { Double($0) }
    case .i64: values = read(Int64.self) { Double($0) }
    case .i32: values = read(Int32.self) { Double($0) }
    case .i16: values = read(Int16.self) { Double($0) }
    case .i8: values = read(Int8.self) { Double($0) }
    case .u8: values = read(UInt8.self) { Double($0) }
    case .f16, .bf16, .bool: return nil
    case .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .q2_k, .q3_k, .q4_k, .q5_k, .q6_k: return nil
    }
    self.init(values, dtype: view.dtype, shape: view.shape)
  }
}
