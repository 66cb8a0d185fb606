// The plain references for what the program composes of matrix products: their gradients against central differences.

import CKernelsDouble
import TestSupport
import Testing

@Suite struct ReferenceGradientTests {
  @Test func linear() {
    var random = Seeded(1)
    let (N, O, I) = (3, 4, 5)
    let x = random.doubles(N * I), w = random.doubles(O * I), b = random.doubles(O), dout = random.doubles(N * O)
    var dx = zeros(N * I), dw = zeros(O * I), db = zeros(O)
    reference_linear_backward(&dx, &dw, &db, dout, x, w, N, O, I)
    func forward(_ x: [Double], _ w: [Double], _ b: [Double]) -> [Double] {
      var out = zeros(N * O)
      reference_linear_forward(&out, x, w, b, N, O, I)
      return out
    }
    #expect(gradientFault(dx, at: x, dout: dout) { forward($0, w, b) } == nil)
    #expect(gradientFault(dw, at: w, dout: dout) { forward(x, $0, b) } == nil)
    #expect(gradientFault(db, at: b, dout: dout) { forward(x, w, $0) } == nil)
  }

  @Test(arguments: [(1, 1), (4, 2), (6, 1)], [0, 1, 3, 100])
  func attention(heads: (query: Int, shared: Int), window: Int) {
    let (H, KV) = heads, (T, D) = (7, 3)
    var random = Seeded(UInt64(H * 10 + window))
    let q = random.doubles(T * H * D), k = random.doubles(T * KV * D), v = random.doubles(T * KV * D)
    let dout = random.doubles(T * H * D)
    var dq = zeros(q.count), dk = zeros(k.count), dv = zeros(v.count), row = zeros(2 * T)
    reference_attention_backward(&dq, &dk, &dv, dout, q, k, v, T, H, KV, D, window, &row)
    func forward(_ q: [Double], _ k: [Double], _ v: [Double]) -> [Double] {
      var out = zeros(q.count), row = zeros(2 * T)
      reference_attention_forward(&out, q, k, v, T, H, KV, D, window, &row)
      return out
    }
    #expect(gradientFault(dq, at: q, dout: dout) { forward($0, k, v) } == nil)
    #expect(gradientFault(dk, at: k, dout: dout) { forward(q, $0, v) } == nil)
    #expect(gradientFault(dv, at: v, dout: dout) { forward(q, k, $0) } == nil)
  }

  /// Attention of the kernels (softmax of scores of a plain product) is the reference's.
  @Test(arguments: [0, 2, 9])
  func attentionIsSoftmaxOfProducts(window: Int) {
    let (T, D) = (9, 4)
    var random = Seeded(77)
    let q = random.doubles(T * D), k = random.doubles(T * D), v = random.doubles(T * D)
    var expected = zeros(T * D), row = zeros(2 * T), scores = zeros(T * T), out = zeros(T * D)
    reference_attention_forward(&expected, q, k, v, T, 1, 1, D, window, &row)
    reference_linear_forward(&scores, q, k, nil, T, T, D)
    ck_causal_softmax_forward_f64(&scores, T, T, 0, window, T, 0.5)
    for t in 0..<T {
      var mixed = zeros(D)
      ck_weighted_rows_f64(&mixed, Array(scores[(t * T)...]), v, D, T, D)
      out.replaceSubrange(t * D..<(t + 1) * D, with: mixed)
    }
    #expect(difference(Numbers(out), Numbers(expected), Tolerance(absolute: 1e-14, relative: 1e-13)) == nil)
  }

  @Test func embedding() {
    var random = Seeded(3)
    let (N, V, C) = (6, 4, 3)
    let table = random.doubles(V * C), dout = random.doubles(N * C), tokens: [Int32] = [2, 0, 2, 3, 2, 0]
    var dtable = zeros(V * C)
    reference_embedding_backward(&dtable, dout, tokens, N, C)
    let fault = gradientFault(dtable, at: table, dout: dout) { table in
      tokens.flatMap { table[Int($0) * C..<(Int($0) + 1) * C] }
    }
    #expect(fault == nil)
  }

  @Test func linearCrossEntropy() {
    var random = Seeded(4)
    let (N, V, C) = (3, 11, 5), scale = 0.3, targets: [Int32] = [0, 10, 4]
    let hidden = random.doubles(N * C), head = random.doubles(V * C)
    func losses(_ hidden: [Double], _ head: [Double]) -> (losses: [Double], dhidden: [Double], dhead: [Double]) {
      var losses = zeros(N), dhidden = zeros(N * C), dhead = zeros(V * C), row = zeros(V)
      reference_linear_cross_entropy(&losses, &dhidden, &dhead, hidden, head, targets, N, V, C, scale, &row)
      return (losses, dhidden, dhead)
    }
    let dout = [Double](repeating: scale, count: N), (values, dhidden, dhead) = losses(hidden, head)
    #expect(gradientFault(dhidden, at: hidden, dout: dout) { losses($0, head).losses } == nil)
    #expect(gradientFault(dhead, at: head, dout: dout) { losses(hidden, $0).losses } == nil)
    for n in 0..<N {  // and the kernel for one row says the same
      var row = zeros(V)
      reference_linear_forward(&row, Array(hidden[(n * C)...]), head, nil, 1, V, C)
      #expect(abs(ck_cross_entropy_backward_f64(&row, Int(targets[n]), V, 1) - values[n]) < 1e-13)
    }
  }
}
