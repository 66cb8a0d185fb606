// Linear layers and attention against plain loops in double.

import Glibc
import Tensors
import TestSupport
import Testing

@Suite struct LinearTests {
  /// x[N, I] · w[O, I]ᵀ + start, in double.
  static func product(_ x: [Float], _ w: [Float], _ start: [Float], N: Int, O: Int, I: Int) -> [Double] {
    var out = start.map(Double.init)
    x.withUnsafeBufferPointer { x in
      w.withUnsafeBufferPointer { w in
        for n in 0..<N {
          for o in 0..<O {
            var sum = 0.0
            for i in 0..<I { sum += Double(x[n * I + i]) * Double(w[o * I + i]) }
            out[n * O + o] += sum
          }
        }
      }
    }
    return out
  }

  static let shapes = [
    (1, 1, 1), (1, 7, 31), (1, 300, 33), (2, 1, 100), (7, 33, 7), (31, 129, 33), (33, 64, 1), (100, 100, 100),
    (513, 31, 7), (1100, 7, 33), (3, 1000, 17),
  ]

  @Test(arguments: shapes, [1, 2, 3, 8])
  func everyShape(shape: (N: Int, O: Int, I: Int), threads: Int) throws {
    let (N, O, I) = shape
    var random = Seeded(UInt64(N * 31 + O * 7 + I))
    let compute = try RowOperationTests.compute(threads: threads)
    let x = random.floats(N * I), w = random.floats(O * I), start = random.floats(N * O)
    let input = buffer(x)
    let weights = MaskedTensor(weights: try #require(TensorView(guarding: w, shape: [O, I])))
    let tolerance = Tolerance(absolute: 2e-6 * Double(I).squareRoot(), relative: 1e-6)

    let out = buffer([Float](repeating: .nan, count: N * O))  // what was there must not matter
    try compute.linearForward(out.pointer, input.pointer, weights, rows: N, cancellation: Cancellation())
    let zeros = [Float](repeating: 0, count: N * O)
    let expected = Numbers(Self.product(x, w, zeros, N: N, O: O, I: I), dtype: .f32)
    #expect(difference(Numbers(out.readOnly), expected, tolerance) == nil, "\(random)")

    let sum = buffer(start)
    try compute.linearForward(
      sum.pointer, input.pointer, weights, rows: N, accumulate: true, cancellation: Cancellation())
    let accumulated = Numbers(Self.product(x, w, start, N: N, O: O, I: I), dtype: .f32)
    #expect(difference(Numbers(sum.readOnly), accumulated, tolerance) == nil, "accumulating, \(random)")
  }

  /// Weights that are masked, converted or in another order give the bits of the same weights laid out as fp32.
  @Test func storageDoesNotMatter() throws {
    var random = Seeded(3)
    let N = 9, O = 24, I = 40
    let compute = try RowOperationTests.compute()
    let patterns = (0..<O * I).map { _ in UInt16(truncatingIfNeeded: random.next()) & 0xbfff }  // below 2 in magnitude
    let content = patterns.map(\.littleEndian).withUnsafeBytes(Array.init)
    let order = RowOrder.headInterleaved(heads: 3)
    let view = try #require(TensorView(guarding: content, dtype: .bf16, shape: [O, I], offset: 1, rowOrder: order))
    let stored = MaskedTensor(weights: view, mask: try MaskedTensorTests.mask(O, I, &random))
    let plain = MaskedTensor(
      weights: try #require(TensorView(guarding: MaskedTensorTests.read(stored), shape: [O, I])))
    let input = buffer(random.floats(N * I))
    let a = FloatBuffer(count: N * O), b = FloatBuffer(count: N * O)
    try compute.linearForward(a.pointer, input.pointer, stored, rows: N, cancellation: Cancellation())
    try compute.linearForward(b.pointer, input.pointer, plain, rows: N, cancellation: Cancellation())
    #expect(Array(a.readOnly) == Array(b.readOnly), "\(random)")
  }

  @Test func cancelledProductsThrow() throws {
    let compute = try RowOperationTests.compute()
    let cancellation = Cancellation()
    cancellation.cancel()
    let weights = MaskedTensor(weights: try #require(TensorView(guarding: [1, 2], shape: [2, 1])))
    let memory = buffer([1, 2, 3, 4]), out = FloatBuffer(count: 2)
    #expect(throws: Cancelled.self) {
      try compute.linearForward(
        out.pointer, memory.pointer, weights, rows: 1, cancellation: cancellation)
    }
    #expect(throws: Cancelled.self) {
      try compute.crossEntropyForward(hidden: memory.pointer, head: weights, targets: [0, 1], cancellation: cancellation)
    }
    let shape = AttentionShape(heads: 1, kvHeads: 1, headSize: 2)
    #expect(throws: Cancelled.self) {
      try compute.attentionForward(
        out.pointer, memory.pointer, memory.pointer, memory.pointer, shape: shape, sequences: 1,
        length: 1, scratch: FloatBuffer(count: compute.attentionScratch(keys: 1)), cancellation: cancellation)
    }
  }

  @Test func linearAlgebraNamesItself() throws {
    let blas = try BLAS.load()
    #expect(!blas.coreName.isEmpty && blas.configuration.contains("OpenBLAS"))
    #expect(try BLAS.load().coreName == blas.coreName, "the second call answers with what is loaded")
    for error in [
      BLASError.libraryMissing(names: ["liba", "libb"], reason: "no file"), .symbolMissing(name: "f", library: "liba"),
    ] {
      #expect(error.kind == "linearAlgebraMissing" && error.message.contains("liba") && error.message.contains("nstall"))
    }
  }
}

@Suite struct AttentionTests {
  /// softmax(q·kᵀ / sqrt(D), causal) · v in double, head by head.
  static func attention(
    _ q: [Float], _ k: [Float], _ v: [Float], _ shape: AttentionShape, sequences: Int, length: Int
  ) -> [Double] {
    let D = shape.headSize, H = shape.heads, KV = shape.kvHeads
    var out = [Double](repeating: 0, count: q.count)
    for sequence in 0..<sequences {
      for head in 0..<H {
        for t in 0..<length {
          let query = ((sequence * length + t) * H + head) * D
          func row(_ s: Int) -> Int { ((sequence * length + s) * KV + head / (H / KV)) * D }
          let scores = (0...t).map { s in
            (0..<D).reduce(0) { $0 + Double(q[query + $1]) * Double(k[row(s) + $1]) } / Double(D).squareRoot()
          }
          let largest = scores.max() ?? 0
          let weights = scores.map { exp($0 - largest) }
          let total = weights.reduce(0, +)
          for d in 0..<D {
            out[query + d] = (0...t).reduce(0) { $0 + weights[$1] / total * Double(v[row($1) + d]) }
          }
        }
      }
    }
    return out
  }

  static func check(_ shape: AttentionShape, sequences: Int, length: Int, scale: Double, threads: Int) throws -> String? {
    var random = Seeded(UInt64(length * 10 + shape.heads))
    let tokens = sequences * length
    let q = random.floats(tokens * shape.heads * shape.headSize, scale: scale)
    let k = random.floats(tokens * shape.kvHeads * shape.headSize, scale: scale)
    let v = random.floats(tokens * shape.kvHeads * shape.headSize)
    let queries = buffer(q), keys = buffer(k), values = buffer(v)
    let compute = try RowOperationTests.compute(threads: threads)
    let out = buffer([Float](repeating: .nan, count: q.count))
    let scratch = buffer([Float](repeating: .nan, count: compute.attentionScratch(keys: length)))
    try compute.attentionForward(
      out.pointer, queries.pointer, keys.pointer, values.pointer, shape: shape, sequences: sequences, length: length,
      scratch: scratch, cancellation: Cancellation())
    let expected = attention(q, k, v, shape, sequences: sequences, length: length)
    let tolerance = Tolerance(absolute: 2e-6 * (1 + scale * scale), relative: 1e-6)
    return difference(Numbers(out.readOnly), Numbers(expected, dtype: .f32), tolerance).map { "\($0), \(random)" }
  }

  @Test(arguments: [(3, 1, 8), (4, 2, 14), (2, 2, 2), (5, 5, 6)], [1, 5, 129, 200])
  func everyShape(sizes: (heads: Int, kvHeads: Int, headSize: Int), length: Int) throws {
    let shape = AttentionShape(heads: sizes.heads, kvHeads: sizes.kvHeads, headSize: sizes.headSize)
    #expect(try Self.check(shape, sequences: 2, length: length, scale: 1, threads: 3) == nil)
  }

  /// Scores of a few hundred, of which a softmax without its maximum subtracted would make infinities.
  @Test func largeScores() throws {
    let shape = AttentionShape(heads: 2, kvHeads: 1, headSize: 8)
    #expect(try Self.check(shape, sequences: 1, length: 70, scale: 12, threads: 1) == nil)
  }

  @Test func nanStaysInItsSequence() throws {
    let shape = AttentionShape(heads: 1, kvHeads: 1, headSize: 2)
    let compute = try RowOperationTests.compute()
    var values = [Float](repeating: 1, count: 2 * 3 * 2)
    values[2] = .nan  // sequence 0, token 1
    let memory = buffer(values), out = FloatBuffer(count: values.count)
    try compute.attentionForward(
      out.pointer, memory.pointer, memory.pointer, memory.pointer, shape: shape, sequences: 2, length: 3,
      scratch: FloatBuffer(count: compute.attentionScratch(keys: 3)), cancellation: Cancellation())
    let isNaN = out.readOnly.map(\.isNaN)
    #expect(isNaN[2..<6].allSatisfy { $0 }, "shown by every token that sees it")
    #expect(!isNaN[6...].contains(true), "kept from the other sequence")
  }
}
