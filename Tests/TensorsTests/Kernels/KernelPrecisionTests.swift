// The kernels in fp32 against the same sources in double: what rounding costs.

import CKernels
import CKernelsDouble
import Tensors
import TestSupport
import Testing

/// What is wrong with fp32 values that should be these, or nil.
private func fault(_ actual: [Float], _ expected: [Double], _ absolute: Double, _ relative: Double) -> String? {
  difference(Numbers(actual), Numbers(expected, dtype: .f32), Tolerance(absolute: absolute, relative: relative))
}

private func wide(_ values: [Float]) -> [Double] { values.map(Double.init) }

@Suite struct KernelPrecisionTests {
  static let sizes = [1, 7, 31, 33, 65, 577, 1000]

  @Test(arguments: Activation.allCases, sizes)
  func activations(_ activation: Activation, n: Int) {
    var random = Seeded(UInt64(n))
    let x = random.floats(n, scale: 4), up = random.floats(n), dout = random.floats(n)
    var out = [Float](repeating: 0, count: n), dx = out, gated = out, dgate = out, dup = out
    var out64 = zeros(n), dx64 = out64, gated64 = out64, dgate64 = out64, dup64 = out64
    ck_activation_forward(activation.kind, &out, x, n)
    ck_activation_backward(activation.kind, &dx, dout, x, n)
    ck_gated_forward(activation.kind, &gated, x, up, n)
    ck_gated_backward(activation.kind, &dgate, &dup, dout, x, up, n)
    ck_activation_forward_f64(activation.kind, &out64, wide(x), n)
    ck_activation_backward_f64(activation.kind, &dx64, wide(dout), wide(x), n)
    ck_gated_forward_f64(activation.kind, &gated64, wide(x), wide(up), n)
    ck_gated_backward_f64(activation.kind, &dgate64, &dup64, wide(dout), wide(x), wide(up), n)
    #expect(fault(out, out64, 1e-7, 2e-6) == nil, "\(random)")
    #expect(fault(dx, dx64, 1e-6, 3e-6) == nil, "\(random)")
    #expect(fault(gated, gated64, 1e-7, 2e-6) == nil, "\(random)")
    #expect(fault(dgate, dgate64, 2e-6, 3e-6) == nil, "\(random)")
    #expect(fault(dup, dup64, 1e-6, 2e-6) == nil, "\(random)")
  }

  @Test(arguments: sizes, [0, 1] as [Float])
  func rmsNorm(C: Int, offset: Float) {
    var random = Seeded(UInt64(C))
    let N = 3, x = random.floats(N * C, scale: 5), weight = random.floats(C), dout = random.floats(N * C)
    var out = [Float](repeating: 0, count: N * C), dx = out, dweight = zeros(C)
    var out64 = zeros(N * C), dx64 = out64, dweight64 = zeros(C)
    ck_rmsnorm_forward(&out, x, weight, offset, N, C, 1e-5)
    ck_rmsnorm_backward(&dx, &dweight, dout, x, weight, offset, N, C, 1e-5, 0)
    ck_rmsnorm_forward_f64(&out64, wide(x), wide(weight), Double(offset), N, C, Double(1e-5 as Float))
    ck_rmsnorm_backward_f64(
      &dx64, &dweight64, wide(dout), wide(x), wide(weight), Double(offset), N, C, Double(1e-5 as Float), 0)
    #expect(fault(out, out64, 1e-7, 1e-6) == nil, "\(random)")
    #expect(fault(dx, dx64, 1e-6, 1e-6) == nil, "\(random)")
    #expect(difference(Numbers(dweight), Numbers(dweight64), Tolerance(absolute: 1e-6, relative: 1e-6)) == nil)
  }

  @Test(arguments: sizes)
  func layerNorm(C: Int) {
    var random = Seeded(UInt64(C))
    let N = 3, x = random.floats(N * C, scale: 5).map { $0 + 3 }, weight = random.floats(C), bias = random.floats(C)
    let dout = random.floats(N * C)
    var out = [Float](repeating: 0, count: N * C), dx = out, dweight = zeros(C), dbias = zeros(C)
    var out64 = zeros(N * C), dx64 = out64, dweight64 = zeros(C), dbias64 = zeros(C)
    let epsilon: Float = 1e-2
    ck_layernorm_forward(&out, x, weight, bias, N, C, epsilon)
    ck_layernorm_backward(&dx, &dweight, &dbias, dout, x, weight, N, C, epsilon, 0)
    ck_layernorm_forward_f64(&out64, wide(x), wide(weight), wide(bias), N, C, Double(epsilon))
    ck_layernorm_backward_f64(
      &dx64, &dweight64, &dbias64, wide(dout), wide(x), wide(weight), N, C, Double(epsilon), 0)
    #expect(fault(out, out64, 2e-6, 1e-6) == nil, "\(random)")
    #expect(fault(dx, dx64, 3e-6, 1e-6) == nil, "\(random)")
    #expect(difference(Numbers(dweight), Numbers(dweight64), Tolerance(absolute: 3e-6, relative: 1e-6)) == nil)
    #expect(difference(Numbers(dbias), Numbers(dbias64), Tolerance(absolute: 1e-12)) == nil)
  }

  @Test(arguments: sizes, [0, 5])
  func softmax(columns: Int, window: Int) {
    var random = Seeded(UInt64(columns))
    let rows = 4, first = columns - 2
    let x = random.floats(rows * columns, scale: 6), dout = random.floats(rows * columns)
    var p = x, dx = dout, p64 = wide(x), dx64 = wide(dout)
    let start = max(0, first)
    ck_causal_softmax_forward(&p, rows, columns, start, window, columns, 0.25)
    ck_softmax_backward(&dx, p, rows, columns, columns, 0.25)
    ck_causal_softmax_forward_f64(&p64, rows, columns, start, window, columns, 0.25)
    ck_softmax_backward_f64(&dx64, p64, rows, columns, columns, 0.25)
    #expect(fault(p, p64, 1e-8, 2e-6) == nil, "\(random)")
    #expect(fault(dx, dx64, 2e-7, 2e-6) == nil, "\(random)")
  }

  @Test(arguments: [1, 7, 31, 33, 577, 49_152])
  func losses(V: Int) {
    var random = Seeded(UInt64(V))
    let student = random.floats(V, scale: 3), target = V / 3
    var row = student, row64 = wide(student)
    let loss = ck_cross_entropy_backward(&row, target, V, 2)
    let loss64 = ck_cross_entropy_backward_f64(&row64, target, V, 2)
    #expect(abs(loss - loss64) < 1e-6)
    #expect(fault(row, row64, 1e-12, 2e-6) == nil, "\(random)")
    #expect(abs(ck_log_sum_exp(student, V) - ck_log_sum_exp_f64(wide(student), V)) < 1e-6)
    for temperature in [1, 2] as [Float] {
      var logs = student, probabilities = student, logs64 = wide(student), probabilities64 = wide(student)
      ck_distribution(&logs, &probabilities, student, V, temperature)
      ck_distribution_f64(&logs64, &probabilities64, wide(student), V, Double(temperature))
      #expect(fault(logs, logs64, 1e-6, 1e-6) == nil, "\(random)")
      #expect(fault(probabilities, probabilities64, 1e-12, 3e-6) == nil, "\(random)")
      #expect(abs(probabilities64.reduce(0, +) - 1) < 1e-12)
    }
  }

  /// Rotating forwards and backwards gives what was there.
  @Test func ropeBackwardUndoesRopeForward() {
    var random = Seeded(6)
    let (T, H, D) = (9, 3, 34), x = random.floats(T * H * D)
    let angles = random.doubles(T * D / 2, scale: 3)
    let cosines = angles.map { Float(cosine($0)) }, sines = angles.map { Float(cosine($0 - .pi / 2)) }
    var y = x
    ck_rope_forward(&y, cosines, sines, T, H, D, H * D)
    #expect(fault(y, wide(x), 1e-3, 0) != nil)
    ck_rope_backward(&y, cosines, sines, T, H, D, H * D)
    #expect(fault(y, wide(x), 2e-6, 0) == nil)
  }
}
