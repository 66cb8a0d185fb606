// Cross-entropy from hidden states against log-sum-exp in double.

import Glibc
import Tensors
import TestSupport
import Testing

@Suite struct CrossEntropyTests {
  static func expected(_ hidden: [Float], _ head: [Float], _ targets: [Int32], C: Int) -> [Double] {
    let V = head.count / C
    return targets.enumerated().map { n, target in
      let logits = (0..<V).map { v in
        (0..<C).reduce(0) { $0 + Double(hidden[n * C + $1]) * Double(head[v * C + $1]) }
      }
      let largest = logits.max() ?? 0
      return largest + log(logits.reduce(0) { $0 + exp($1 - largest) }) - logits[Int(target)]
    }
  }

  static func losses(
    _ hidden: [Float], _ head: MaskedTensor, _ targets: [Int32], threads: Int
  ) throws -> [Double] {
    let memory = buffer(hidden)
    return try RowOperationTests.compute(threads: threads).crossEntropyForward(
      hidden: memory.pointer, head: head, targets: targets, cancellation: Cancellation())
  }

  /// Vocabularies around multiples of the slice of 2048, more rows than one piece takes.
  @Test(
    arguments: [(1, 67, 8), (7, 2049, 9), (3, 2047, 5), (2, 2048, 5), (5, 5000, 7), (513, 67, 8), (1100, 31, 5), (4, 1, 3)],
    [1, 2, 5])
  func everyShape(sizes: (N: Int, V: Int, C: Int), threads: Int) throws {
    let (N, V, C) = sizes
    var random = Seeded(UInt64(N + V))
    let hidden = random.floats(N * C, scale: 2), head = random.floats(V * C)
    var targets = (0..<N).map { _ in Int32(random.int(in: 0...V - 1)) }
    targets[0] = Int32(V - 1)
    let weights = MaskedTensor(weights: try #require(TensorView(guarding: head, shape: [V, C])))
    let actual = try Self.losses(hidden, weights, targets, threads: threads)
    let expected = Numbers(Self.expected(hidden, head, targets, C: C))
    #expect(difference(Numbers(actual), expected, Tolerance(absolute: 3e-6, relative: 1e-6)) == nil, "\(random)")
    #expect(try Self.losses(hidden, weights, targets, threads: threads) == actual, "the same request, the same bits")
  }

  /// The bits may change with the number of threads, for BLAS may take another kernel for pieces of another height;
  /// the losses may not.
  @Test(arguments: [2, 3, 8])
  func threadsDoNotMatter(threads: Int) throws {
    var random = Seeded(99)
    let (N, V, C) = (45, 2100, 24)
    let hidden = random.floats(N * C, scale: 2)
    let weights = MaskedTensor(weights: try #require(TensorView(guarding: random.floats(V * C), shape: [V, C])))
    let targets = (0..<N).map { _ in Int32(random.int(in: 0...V - 1)) }
    let alone = Numbers(try Self.losses(hidden, weights, targets, threads: 1))
    let shared = Numbers(try Self.losses(hidden, weights, targets, threads: threads))
    #expect(difference(shared, alone, Tolerance(absolute: 1e-6, relative: 1e-6)) == nil, "\(random)")
  }

  /// A head that has to be converted slice by slice gives the bits of the same head as fp32.
  @Test func storageDoesNotMatter() throws {
    var random = Seeded(17)
    let (N, V, C) = (5, 4200, 32)
    let content = (0..<V * C).map { _ in (UInt16(truncatingIfNeeded: random.next()) & 0xbfff).littleEndian }
    let view = try #require(
      TensorView(guarding: content.withUnsafeBytes(Array.init), dtype: .bf16, shape: [V, C]))
    let stored = MaskedTensor(weights: view, mask: try MaskedTensorTests.mask(V, C, &random))
    let plain = MaskedTensor(
      weights: try #require(TensorView(guarding: MaskedTensorTests.read(stored), shape: [V, C])))
    let hidden = random.floats(N * C)
    let targets: [Int32] = [0, 2047, 2048, 4095, 4199]
    #expect(
      try Self.losses(hidden, stored, targets, threads: 2) == Self.losses(hidden, plain, targets, threads: 2), "\(random)")
  }

  /// Logits as they are: no product to round.
  static func losses(ofLogits logits: [Float], target: Int32) throws -> Double {
    let weights = MaskedTensor(weights: try #require(TensorView(guarding: logits, shape: [logits.count, 1])))
    return try losses([1], weights, [target], threads: 1)[0]
  }

  @Test(arguments: [
    ([1e4, -1e4, 0], 0, 0.0), ([1e4, -1e4, 0], 1, 2e4), ([1e30, 1e30], 0, log(2)), ([-1e30, -1e30, -1e30], 2, log(3)),
    ([88, 0, -88], 0, 0.0), ([0, 0, 0, 0], 3, log(4)), ([-1e38, 1e38], 0, 2e38), ([0, -87.5], 0, 0.0), ([5], 0, 0.0),
  ] as [([Float], Int32, Double)])
  func extremeLogits(logits: [Float], target: Int32, expected: Double) throws {
    let loss = try Self.losses(ofLogits: logits, target: target)
    #expect(difference(Numbers([loss]), Numbers([expected]), Tolerance(absolute: 1e-6, relative: 1e-6)) == nil)
  }

  /// The largest logit in a later slice than all others.
  @Test func maximumComesLate() throws {
    var logits = [Float](repeating: -50, count: 4100)
    logits[4099] = 200
    #expect(abs(try Self.losses(ofLogits: logits, target: 0) - 250) < 1e-4)
    logits[4099] = -50
    #expect(abs(try Self.losses(ofLogits: logits, target: 4099) - log(4100)) < 1e-6)
  }

  @Test(arguments: [Float.nan, .infinity], [0, 40, 2100])
  func nonFiniteLogitsShow(value: Float, at index: Int) throws {
    var logits = [Float](repeating: 1, count: 2200)
    logits[index] = value
    #expect(try !Self.losses(ofLogits: logits, target: 3).isFinite)
  }
}
