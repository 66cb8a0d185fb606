// Kernels against their formulas written out here, in double: what a gradient check cannot see.

import CKernels
import Glibc
import Tensors
import TestSupport
import Testing

func cosine(_ x: Double) -> Double { cos(x) }

private func fault(_ actual: [Float], _ expected: [Double], _ absolute: Double, _ relative: Double) -> String? {
  difference(Numbers(actual), Numbers(expected, dtype: .f32), Tolerance(absolute: absolute, relative: relative))
}

@Suite struct KernelFormulaTests {
  static func formula(_ activation: Activation, _ x: Double) -> Double {
    switch activation {
    case .silu: x / (1 + exp(-x))
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .geluErf: 0.5 * x * erfc(-x / 2.0.squareRoot())
    case .relu: max(x, 0)
    case .geluQuick: x / (1 + exp(-1.702 * x))
    }
  }

  @Test(arguments: Activation.allCases)
  func activation(_ activation: Activation) {
    let x = (-4000...4000).map { Float($0) / 500 }
    var out = x
    out.withUnsafeMutableBufferPointer {
      ck_activation_forward(activation.kind, $0.baseAddress, $0.baseAddress, $0.count)
    }
    #expect(fault(out, x.map { Self.formula(activation, Double($0)) }, 2e-7, 2e-6) == nil)
  }

  /// Far out a function is 0 or x and its derivative 0 or 1; NaN is carried.
  @Test(arguments: Activation.allCases, [1, 33])
  func extremes(_ activation: Activation, count: Int) {
    for x in [-3e38, -1e30, -1e13, -1e4, -300, 300, 1e4, 1e13, 1e30, 3e38] as [Float] {
      let values = [Float](repeating: x, count: count), ones = [Float](repeating: 1, count: count)
      var out = ones, dx = ones
      ck_activation_forward(activation.kind, &out, values, count)
      ck_activation_backward(activation.kind, &dx, ones, values, count)
      #expect(out.allSatisfy { x > 0 ? $0 == x : abs($0) <= abs(x) * 1e-37 }, "\(x): \(out[0])")
      #expect(dx.allSatisfy { abs($0 - (x > 0 ? 1 : 0)) < 1e-30 }, "\(x): \(dx[0])")
    }
    let nan = [Float](repeating: .nan, count: count), ones = [Float](repeating: 1, count: count)
    var out = ones, dx = ones
    ck_activation_forward(activation.kind, &out, nan, count)
    ck_activation_backward(activation.kind, &dx, ones, nan, count)
    #expect(out.allSatisfy(\.isNaN) && dx.allSatisfy(\.isNaN))
  }

  @Test(arguments: [1, 7, 33, 577])
  func layerNorm(C: Int) {
    var random = Seeded(UInt64(C))
    let x = random.floats(C, scale: 2).map { $0 - 4 }, weight = random.floats(C), bias = random.floats(C)
    let mean = x.reduce(0) { $0 + Double($1) } / Double(C)
    let variance = x.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(C)
    let expected = (0..<C).map {
      (Double(x[$0]) - mean) / (variance + 1e-3).squareRoot() * Double(weight[$0]) + Double(bias[$0])
    }
    var out = x
    ck_layernorm_forward(&out, x, weight, bias, 1, C, 1e-3)
    #expect(fault(out, expected, 2e-6, 1e-6) == nil, "\(random)")
  }

  @Test(arguments: [0, 1, 5, 64, 100], [0, 3, 40])
  func causalSoftmaxWithWindow(window: Int, first: Int) {
    var random = Seeded(UInt64(window * 100 + first))
    let (rows, columns) = (5, 70), x = random.floats(rows * columns, scale: 3)
    let expected = (0..<rows).flatMap { row -> [Double] in
      let position = first + row
      let weights = (0..<columns).map { column -> Double in
        let isSeen = column <= position && (window == 0 || column > position - window)
        return isSeen ? exp(0.5 * Double(x[row * columns + column])) : 0
      }
      let sum = weights.reduce(0, +)
      return weights.map { $0 / sum }
    }
    var p = x
    ck_causal_softmax_forward(&p, rows, columns, first, window, columns, 0.5)
    #expect(fault(p, expected, 1e-8, 2e-6) == nil, "\(random)")
  }

  /// A window that has passed all columns leaves zeros, not 0 / 0.
  @Test func aWindowBehindTheColumnsIsEmpty() {
    var p: [Float] = [1, 2, 3]
    ck_causal_softmax_forward(&p, 1, 3, 10, 2, 3, 1)
    #expect(p == [0, 0, 0])
  }

  static func logSumExp(_ x: [Double]) -> Double {
    let top = x.max() ?? 0
    return top + log(x.reduce(0) { $0 + exp($1 - top) })
  }

  @Test(arguments: [1, 2, 33, 1000])
  func lossesByTheirFormulas(V: Int) {
    var random = Seeded(UInt64(V))
    let student = random.floats(V, scale: 4)
    let logits = student.map(Double.init), total = Self.logSumExp(logits)
    var row = student
    #expect(abs(ck_log_sum_exp(student, V) - total) < 1e-6)
    #expect(abs(ck_cross_entropy_backward(&row, V - 1, V, 3) - (total - logits[V - 1])) < 1e-6)
    let gradient = (0..<V).map { 3 * (exp(logits[$0] - total) - ($0 == V - 1 ? 1 : 0)) }
    #expect(fault(row, gradient, 1e-10, 2e-6) == nil, "\(random)")
  }

  @Test func lossesOfExtremeLogits() {
    #expect(ck_log_sum_exp([], 0) == -.infinity)
    let V = 70
    var far = [Float](repeating: -1e30, count: V)
    far[5] = 1e30
    #expect(ck_cross_entropy_backward(&far, 5, V, 1) == 0)
    #expect(far.allSatisfy { $0 == 0 })
    var nan = [Float](repeating: 1, count: V)
    nan[69] = .nan
    #expect(ck_cross_entropy_backward(&nan, 0, V, 1).isNaN)
  }

  @Test func sumOfSquares() {
    var x = (0..<100).map { Float($0) * 1e20 }
    #expect(abs(ck_sum_of_squares(x, 100) / 328_350e40 - 1) < 1e-6)
    x[37] = .infinity
    #expect(ck_sum_of_squares(x, 100) == .infinity)
    x[99] = .nan
    #expect(ck_sum_of_squares(x, 100).isNaN)
  }

  /// Three steps of AdamW as its formula says, some weights pruned on the way.
  @Test(arguments: [1, 7, 8, 31, 33, 65, 577], [false, true])
  func adamW(n: Int, pruned: Bool) {
    var random = Seeded(UInt64(n))
    var p = random.floats(n), m = [Float](repeating: 0, count: n), v = m
    let kept = (0..<(n + 7) / 8).map { _ in UInt8(random.int(in: 0...255)) }
    let everything = [UInt8](repeating: 255, count: kept.count)
    let beta1 = 0.9, beta2 = 0.99, rate = 0.01, decay = 0.1, clip = 0.5
    var P = p.map(Double.init), M = zeros(n), V = zeros(n)
    for t in 1...3 {
      let g = random.floats(n), bias1 = 1 - pow(beta1, Double(t)), bias2 = 1 - pow(beta2, Double(t))
      var options = ck_adamw(
        learning_rate: 0.01, rest1: 0.1, rest2: 0.01, epsilon: 1e-6, decay: 0.1,
        gradient_scale: 0.5, bias1: Float(bias1), bias2: Float(bias2))
      ck_adamw_step(&p, &m, &v, g, pruned ? kept : everything, n, &options)
      for i in 0..<n {
        let gradient = Double(g[i]) * clip
        M[i] = beta1 * M[i] + (1 - beta1) * gradient
        V[i] = beta2 * V[i] + (1 - beta2) * gradient * gradient
        P[i] -= rate * decay * P[i]
        P[i] -= rate / bias1 * M[i] / ((V[i] / bias2).squareRoot() + 1e-6)
        if pruned && kept[i / 8] >> (i % 8) & 1 == 0 { (P[i], M[i], V[i]) = (0, 0, 0) }
      }
    }
    #expect(fault(p, P, 2e-7, 1e-6) == nil, "\(random)")
    #expect(fault(m, M, 1e-8, 1e-6) == nil, "\(random)")
    #expect(fault(v, V, 1e-9, 1e-6) == nil, "\(random)")
  }

  @Test func withoutAMaskAllWeightsAreKept() {
    var random = Seeded(12)
    let before = random.floats(37), g = random.floats(37), ones = [UInt8](repeating: 255, count: 5)
    var options = ck_adamw(
      learning_rate: 0.1, rest1: 0.1, rest2: 0.1, epsilon: 1e-6, decay: 0, gradient_scale: 1,
      bias1: 0.1, bias2: 0.1)
    var p = before, m = [Float](repeating: 0, count: 37), v = m
    var q = p, n = m, w = v
    ck_adamw_step(&p, &m, &v, g, nil, 37, &options)
    ck_adamw_step(&q, &n, &w, g, ones, 37, &options)
    #expect(p == q && m == n && v == w && zip(p, before).allSatisfy { $0 != $1 })
  }

  @Test func multiplesAndBiases() {
    var y: [Float] = [1, 2, 3], x: [Float] = [1, 1, 9, 1, 1, 9], sums = [0.5, 0]
    ck_axpy(&y, 2, [10, 20, 30], 3)
    var sum: [Float] = [1, 2, 3]
    ck_product_accumulate(&sum, [2, 3, 4], [5, 6, -7], 3)
    #expect(sum == [11, 20, -25])
    #expect(y == [21, 42, 63])
    ck_scale(&y, -1, 3)
    #expect(y == [-21, -42, -63])
    ck_bias_forward(&x, [3, 4], 2, 2, 3)
    #expect(x == [4, 5, 9, 4, 5, 9])
    ck_bias_backward(&sums, x, 2, 2, 3)
    #expect(sums == [8.5, 10])
  }
}
