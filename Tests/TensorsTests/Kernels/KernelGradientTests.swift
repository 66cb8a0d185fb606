// Every kernel's backward in double against central differences of its forward in double.

import CKernels
import CKernelsDouble
import TestSupport
import Testing

/// The activations by name, as C's enumeration shows no names.
enum Activation: UInt32, CaseIterable, Sendable {
  case silu, geluTanh, geluErf, relu, geluQuick
  var kind: ck_activation { ck_activation(rawValue) }
}

@Suite struct KernelGradientTests {
  @Test(arguments: Activation.allCases)
  func activation(_ activation: Activation) {
    var random = Seeded(UInt64(activation.rawValue))
    let x = random.doubles(67, scale: 3), dout = random.doubles(67)
    var dx = zeros(67)
    ck_activation_backward_f64(activation.kind, &dx, dout, x, 67)
    let fault = gradientFault(dx, at: x, dout: dout) { x in
      var out = zeros(67)
      ck_activation_forward_f64(activation.kind, &out, x, 67)
      return out
    }
    #expect(fault == nil, "\(random)")
  }

  @Test(arguments: Activation.allCases)
  func gatedActivation(_ activation: Activation) {
    var random = Seeded(10 + UInt64(activation.rawValue))
    let n = 41, x = random.doubles(2 * n, scale: 2), dout = random.doubles(n)  // gates, then ups
    var dgate = Array(x[..<n]), dup = Array(x[n...])  // in the place of what they belong to
    dgate.withUnsafeMutableBufferPointer { gate in
      dup.withUnsafeMutableBufferPointer { up in
        ck_gated_backward_f64(
          activation.kind, gate.baseAddress, up.baseAddress, dout, gate.baseAddress, up.baseAddress, n)
      }
    }
    let fault = gradientFault(dgate + dup, at: x, dout: dout) { x in
      var out = zeros(n)
      ck_gated_forward_f64(activation.kind, &out, Array(x[..<n]), Array(x[n...]), n)
      return out
    }
    #expect(fault == nil, "\(random)")
  }

  @Test(arguments: [(1, 3), (3, 37), (2, 64)], [0.0, 1.0])
  func rmsNorm(sizes: (rows: Int, channels: Int), offset: Double) {
    let (N, C) = sizes
    var random = Seeded(UInt64(C))
    let x = random.doubles(N * C, scale: 2), weight = random.doubles(C), dout = random.doubles(N * C)
    let before = random.doubles(N * C)
    var dx = zeros(N * C), dweight = zeros(C), added = before, dweightAgain = zeros(C), inPlace = dout
    ck_rmsnorm_backward_f64(&dx, &dweight, dout, x, weight, offset, N, C, 1e-3, 0)
    ck_rmsnorm_backward_f64(&added, &dweightAgain, dout, x, weight, offset, N, C, 1e-3, 1)
    inPlace.withUnsafeMutableBufferPointer {
      ck_rmsnorm_backward_f64($0.baseAddress, &dweightAgain, $0.baseAddress, x, weight, offset, N, C, 1e-3, 0)
    }
    func forward(_ x: [Double], _ weight: [Double]) -> [Double] {
      var out = zeros(N * C)
      ck_rmsnorm_forward_f64(&out, x, weight, offset, N, C, 1e-3)
      return out
    }
    #expect(gradientFault(dx, at: x, dout: dout) { forward($0, weight) } == nil, "\(random)")
    #expect(gradientFault(dweight, at: weight, dout: dout) { forward(x, $0) } == nil, "\(random)")
    let sum = zip(before, dx).map { $0 + $1 }, tolerance = Tolerance(absolute: 1e-14, relative: 1e-14)
    #expect(difference(Numbers(added), Numbers(sum), tolerance) == nil, "accumulates")
    #expect(inPlace == dx)
    let twice = Numbers(dweight.map { 2 * $0 })
    #expect(difference(Numbers(dweightAgain), twice, tolerance) == nil, "parameters' gradients are always added")
  }

  @Test(arguments: [(1, 3), (3, 37), (2, 64)])
  func layerNorm(sizes: (rows: Int, channels: Int)) {
    let (N, C) = sizes
    var random = Seeded(UInt64(C))
    let x = random.doubles(N * C, scale: 2).map { $0 + 1 }, weight = random.doubles(C), bias = random.doubles(C)
    let dout = random.doubles(N * C), before = random.doubles(N * C)
    var dx = zeros(N * C), dweight = zeros(C), dbias = zeros(C), added = before, unused = zeros(C), inPlace = dout
    ck_layernorm_backward_f64(&dx, &dweight, &dbias, dout, x, weight, N, C, 1e-3, 0)
    var unusedToo = unused
    ck_layernorm_backward_f64(&added, &unused, &unusedToo, dout, x, weight, N, C, 1e-3, 1)
    inPlace.withUnsafeMutableBufferPointer {
      ck_layernorm_backward_f64($0.baseAddress, &unused, &unusedToo, $0.baseAddress, x, weight, N, C, 1e-3, 0)
    }
    func forward(_ x: [Double], _ weight: [Double], _ bias: [Double]) -> [Double] {
      var out = zeros(N * C)
      ck_layernorm_forward_f64(&out, x, weight, bias, N, C, 1e-3)
      return out
    }
    #expect(gradientFault(dx, at: x, dout: dout) { forward($0, weight, bias) } == nil, "\(random)")
    #expect(gradientFault(dweight, at: weight, dout: dout) { forward(x, $0, bias) } == nil, "\(random)")
    #expect(gradientFault(dbias, at: bias, dout: dout) { forward(x, weight, $0) } == nil, "\(random)")
    let sum = zip(before, dx).map { $0 + $1 }, tolerance = Tolerance(absolute: 1e-14, relative: 1e-14)
    #expect(difference(Numbers(added), Numbers(sum), tolerance) == nil, "accumulates")
    #expect(inPlace == dx)
  }

  @Test func rope() {
    var random = Seeded(5)
    let (T, H, D, stride) = (5, 2, 6, 15)  // three columns of a row belong to someone else
    let x = random.doubles(T * stride), dout = random.doubles(T * stride)
    let cosines = random.doubles(T * D / 2), sines = random.doubles(T * D / 2)
    var dx = dout
    ck_rope_backward_f64(&dx, cosines, sines, T, H, D, stride)
    let fault = gradientFault(dx, at: x, dout: dout) { x in
      var out = x
      ck_rope_forward_f64(&out, cosines, sines, T, H, D, stride)
      return out
    }
    #expect(fault == nil, "\(random)")
  }

  @Test(arguments: [0, 1, 4, 40], [0, 5])
  func causalSoftmax(window: Int, first: Int) {
    var random = Seeded(UInt64(window))
    let (rows, columns, stride) = (34, 37, 39)
    let x = random.doubles(rows * stride), dout = random.doubles(rows * stride)
    func forward(_ x: [Double]) -> [Double] {
      var out = x
      ck_causal_softmax_forward_f64(&out, rows, columns, first, window, stride, 0.7)
      return out
    }
    var dx = dout
    ck_softmax_backward_f64(&dx, forward(x), rows, columns, stride, 0.7)
    #expect(gradientFault(dx, at: x, dout: dout, of: forward) == nil, "\(random)")
  }

  @Test func bias() {
    var random = Seeded(8)
    let (N, C, stride) = (4, 5, 7)
    let x = random.doubles(N * stride), bias = random.doubles(C), dout = random.doubles(N * stride)
    var dbias = zeros(C)
    ck_bias_backward_f64(&dbias, dout, N, C, stride)
    let fault = gradientFault(dbias, at: bias, dout: dout) { bias in
      var out = x
      ck_bias_forward_f64(&out, bias, N, C, stride)
      return out
    }
    #expect(fault == nil, "\(random)")
  }

  @Test(arguments: [1, 7, 33, 300])
  func crossEntropy(V: Int) {
    var random = Seeded(UInt64(V))
    let logits = random.doubles(V, scale: 3), target = V / 2
    func loss(_ logits: [Double]) -> (Double, gradient: [Double]) {
      var row = logits
      return (ck_cross_entropy_backward_f64(&row, target, V, 0.5), row)
    }
    #expect(gradientFault(loss(logits).gradient, at: logits, dout: [0.5]) { [loss($0).0] } == nil, "\(random)")
  }

  /// The check itself: a factor off by 1e-5, one wrong element, and a transposed derivative are found.
  @Test func aWrongGradientIsFound() {
    let x = [0.5, -1, 2], dout = [1.0, 2, 3]
    func squares(_ x: [Double]) -> [Double] { x.map { $0 * $0 } }
    let right = zip(x, dout).map { 2 * $0 * $1 }
    #expect(gradientFault(right, at: x, dout: dout, of: squares) == nil)
    #expect(gradientFault(right.map { $0 * 1.00001 }, at: x, dout: dout, of: squares) != nil)
    #expect(gradientFault([right[0], right[1], -right[2]], at: x, dout: dout, of: squares) != nil)
    #expect(gradientFault(right.reversed(), at: x, dout: dout, of: squares) != nil)
    #expect(gradientFault([right[0], right[1], .nan], at: x, dout: dout, of: squares) != nil)
    #expect(gradientFault(Array(right[..<2]), at: x, dout: dout, of: squares) != nil)
  }
}
