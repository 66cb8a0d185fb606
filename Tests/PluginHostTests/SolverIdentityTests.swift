// What solvers and compensators have in common: identities that hold whatever the weights are.

import Compression
import PluginHost
import TestSupport
import Tensors
import Testing

@Suite struct SolverIdentityTests {
  /// A layer whose inputs are correlated, with a few loud ones.
  static func layer(rows: Int, columns n: Int, seed: UInt64, tokens: Int = 256) -> Layer {
    var random = Seeded(seed)
    let mix = random.floats(n * n, scale: 0.4)
    var moments = Moments(inputs: n)
    (moments.sequences, moments.tokens) = (4, tokens)
    var gram = [Double](repeating: 0, count: n * n)
    for _ in 0..<tokens {
      let source = random.floats(n)
      let x = (0..<n).map { i in
        let sum = (0..<n).reduce(Double(source[i])) { $0 + Double(mix[i * n + $1]) * Double(source[$1]) }
        return i % 7 == 2 ? 4 * sum : sum
      }
      for i in 0..<n {
        moments.sum[i] += x[i]
        moments.sumOfSquares[i] += x[i] * x[i]
        moments.sumOfMagnitudes[i] += abs(x[i])
        for j in 0...i { gram[i * n + j] += x[i] * x[j] }
      }
    }
    for i in 0..<n { for j in 0..<i { gram[j * n + i] = gram[i * n + j] } }
    return Layer(weights: random.floats(rows * n), columns: n, moments: moments, gram: gram.map(Float.init))
  }

  /// Inputs that are independent and equally loud.
  static func plain(rows: Int, columns n: Int) -> Layer {
    var layer = Self.layer(rows: rows, columns: n, seed: 5, tokens: 4)
    let gram = (0..<n * n).map { $0 / n == $0 % n ? Float(2) : 0 }
    layer.gram = gram
    layer.sample.statistics.input.gram = Gram(sequences: 4, tokens: 4, inputs: n, products: FloatBuffer(gram))
    return layer
  }

  /// Pruning identity 4: blocks of 128 columns lose one more than the floor, blocks of any size meet the budget.
  @Test(arguments: [1, 7, 16, 128, 200, 1000])
  func sparseGPTMeetsTheBudgetInBlocksOfAnySize(blockSize: Int64) throws {
    let (rows, n) = (21, 300)
    let layer = Self.layer(rows: rows, columns: n, seed: 9, tokens: 400)
    let kept = try layer.solve(
      "sparsegpt", Budget(target: .ratio(0.55), group: .matrix), ["blockSize": .integer(blockSize)]
    ).kept
    func pruned(_ columns: Range<Int>) -> Int { kept.indices.count { columns.contains($0 % n) && kept[$0] == 0 } }
    let all = pruned(0..<n), floor = rows * n * 55 / 100
    #expect(all >= floor && all <= floor + 3)
    guard blockSize == 128 else { return }
    for block in [0..<128, 128..<256, 256..<300] { #expect(pruned(block) == rows * block.count * 55 / 100 + 1) }
  }

  /// Pruning identity 2: with H = I SparseGPT is magnitude in each block of 128 columns, and moves nothing.
  @Test(arguments: [0.25, 0.5, 0.7])
  func sparseGPTWithoutCorrelationsIsMagnitudeByBlock(sparsity: Double) throws {
    let (rows, n) = (20, 300)
    let layer = Self.plain(rows: rows, columns: n)
    let result = try layer.solve("sparsegpt", Budget(target: .ratio(sparsity), group: .matrix))
    for first in stride(from: 0, to: n, by: 128) {
      let indices = (0..<rows).flatMap { row in (first..<min(first + 128, n)).map { row * n + $0 } }
      let sorted = indices.map { abs(layer.sample.weights[$0]) }.sorted()
      let threshold = sorted[Int(Double(sorted.count) * sparsity)]
      for i in indices {
        #expect((result.kept[i] == 1) == (abs(layer.sample.weights[i]) > threshold))
        #expect(result.weights[i] == (result.kept[i] == 1 ? layer.sample.weights[i] : 0))
      }
    }
  }

  /// Pruning identity 3: within columns SparseGPT's score, magnitude and Wanda order alike. One block, so that no
  /// weight has moved when its mask is chosen.
  @Test(arguments: [0.3, 0.5])
  func withinColumnsScoresAgree(sparsity: Double) throws {
    let layer = Self.layer(rows: 31, columns: 40, seed: 6)
    let budget = Budget(target: .ratio(sparsity), group: .column)
    let kept = try layer.solve("sparsegpt", budget).kept
    let wanda = try layer.wanda()
    for j in 0..<40 {
      for scores in [{ abs(layer.sample.weights[$0 * 40 + j]) }, { wanda[$0, j] }] as [(Int) -> Float] {
        let order = (0..<31).sorted { scores($0) < scores($1) }
        let pruned = Set(order.prefix(Int(31 * sparsity)))
        #expect(Set((0..<31).filter { kept[$0 * 40 + j] == 0 }) == pruned)
      }
    }
    // By row they do not.
    let byRow = try layer.solve("sparsegpt", Budget(target: .ratio(sparsity), group: .row)).kept
    #expect(byRow != kept)
  }

  /// Pruning identity 5: on one mask and one damped Gram matrix nothing has less error than least squares.
  @Test(arguments: [0.3, 0.5, 0.7], [UInt64(7), 8])
  func nothingBeatsLeastSquares(sparsity: Double, seed: UInt64) throws {
    let layer = Self.layer(rows: 16, columns: 64, seed: seed)
    let budget = Budget(target: .ratio(sparsity), group: .row)
    for solver in SolverGoldenTests.solvers {
      let solved = try layer.solve(solver, budget)
      let least = try layer.error(layer.compensate("least-squares", solved.kept).weights, damping: 0.01)
      let others = [
        solved.weights, layer.masked(solved.kept),
        try layer.compensate("uniform-move", solved.kept, budget).weights,
        try layer.compensate("least-squares", solved.kept, nil, ["damping": .number(0.1)]).weights,
      ]
      for weights in others { #expect(least <= layer.error(weights, damping: 0.01) * (1 + 1e-6)) }
      #expect(least < 0.999 * layer.error(layer.masked(solved.kept), damping: 0.01))
    }
  }

  /// Pruning identity 5, of all layers together: updates help SparseGPT, and ALPS is better than it.
  @Test(arguments: [MaskGroup.matrix, .row])
  func errorsAreOrderedOnTheWhole(group: MaskGroup) throws {
    var (none, sparsegpt, alps, admm) = (0.0, 0.0, 0.0, 0.0)
    for seed in 10..<UInt64(14) {
      let layer = Self.layer(rows: 24, columns: 64, seed: seed)
      let budget = Budget(target: .ratio(0.6), group: group)
      let solved = try layer.solve("sparsegpt", budget)
      none += layer.error(layer.masked(solved.kept))
      sparsegpt += layer.error(solved.weights)
      alps += try layer.error(layer.solve("alps", budget).weights)
      admm += try layer.error(layer.solve("admm", budget).weights)
    }
    #expect(sparsegpt < 0.9 * none)
    #expect(alps < 0.9 * sparsegpt)
    #expect(admm < 0.9 * sparsegpt)
  }

  /// What a gradual mask is for: with one step it is another mask, and a worse one.
  @Test func admmsScheduleActs() throws {
    var (gradual, atOnce) = (0.0, 0.0)
    for seed in 20..<UInt64(24) {
      let layer = Self.layer(rows: 24, columns: 64, seed: seed)
      let budget = Budget(target: .ratio(0.6), group: .matrix)
      gradual += try layer.error(layer.solve("admm", budget).weights)
      atOnce += try layer.error(layer.solve("admm", budget, ["maskIterations": .integer(1)]).weights)
    }
    #expect(gradual < 0.98 * atOnce)
  }
}
