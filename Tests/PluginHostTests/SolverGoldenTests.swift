// Every bundled solver against the same method written once more in double by other means (solvers.golden.safetensors),
// and what it says or refuses.

import Compression
import PluginHost
import TestSupport
import Tensors
import Testing

@Suite struct SolverGoldenTests {
  static let solvers = ["sparsegpt", "alps", "admm"]
  static let blocks: [String: ParameterValue] = ["blockSize": .integer(16)]

  /// The mask to the bit; weights of recursions and splittings in fp32 to a part in ten thousand of the greatest.
  static func compare(_ layer: Layer, _ result: Pruned, _ name: String, _ relative: Double = 1e-4) throws {
    #expect(try differing(result, name) == 0, "bits of the mask")
    let greatest = try SolverGolden.load().numbers(name + "/weights").values.map(abs).max() ?? 0
    try Layer.check(
      result.weights, name + "/weights", Tolerance(absolute: relative * greatest), shape: layer.shape)
    let error = try SolverGolden.load().numbers(name + "/error").values[0]
    #expect(abs(layer.error(result.weights) - error) <= 1e-4 * error)
  }

  /// How many bits of the mask are not as expected.
  static func differing(_ result: Pruned, _ name: String) throws -> Int {
    let expected = try Layer.kept(name)
    #expect(result.kept.count == expected.count)
    return zip(result.kept, expected).count { $0 != $1 }
  }

  @Test(arguments: SolverGolden.matrices + ["dead"], SolverGolden.groups)
  func sparseGPTFollowsThePaper(matrix: String, group: String) throws {
    let layer = try Layer(matrix)
    let diagnostics = Diagnostics()
    let budget = try #require(SolverGolden.budgets[group])
    let result = try layer.solve("sparsegpt", budget, Self.blocks, diagnostics: diagnostics)
    try Self.compare(layer, result, "\(matrix)/sparsegpt/\(group)")
    #expect(diagnostics.all.kept.map(\.kind) == (matrix == "dead" ? ["deadInputs"] : []))
  }

  @Test(arguments: SolverGolden.matrices, SolverGolden.groups)
  func alpsFollowsThePaper(matrix: String, group: String) throws {
    let layer = try Layer(matrix)
    let budget = try #require(SolverGolden.budgets[group])
    try Self.compare(layer, layer.solve("alps", budget), "\(matrix)/alps/\(group)")
  }

  @Test(arguments: SolverGolden.matrices, SolverGolden.groups)
  func admmFollowsThePaper(matrix: String, group: String) throws {
    let layer = try Layer(matrix)
    let budget = try #require(SolverGolden.budgets[group])
    let plain = try layer.solve("admm", budget, ["finish": .choice(index: 0, word: "none")])
    try Self.compare(layer, plain, "\(matrix)/admm-plain/\(group)")
    try Self.compare(layer, layer.solve("admm", budget), "\(matrix)/admm/\(group)")
  }

  @Test func masksThatDifferAreFound() throws {
    let layer = try Layer("small")
    var result = try layer.solve("sparsegpt", try #require(SolverGolden.budgets["row"]), Self.blocks)
    let at = try #require(result.kept.firstIndex(of: 0))
    result.kept[at] = 1
    #expect(try Self.differing(result, "small/sparsegpt/row") == 1)
  }

  /// The budgets, exactly: but for SparseGPT's matrix, which prunes one more for each 128 columns, as published.
  @Test(arguments: solvers, SolverGolden.groups)
  func countsAreThoseOfTheBudget(id: String, group: String) throws {
    let layer = try Layer("wide")
    let budget = try #require(SolverGolden.budgets[group])
    let kept = try layer.solve(id, budget, id == "sparsegpt" ? Self.blocks : [:]).kept
    let (rows, n) = (layer.sample.rows, layer.sample.columns)
    func pruned(_ indices: some Sequence<Int>) -> Int { indices.count { kept[$0] == 0 } }
    switch group {
    case "matrix" where id == "sparsegpt":
      for block in stride(from: 0, to: n, by: 16) {
        let indices = (0..<rows).flatMap { row in (block..<block + 16).map { row * n + $0 } }
        #expect(pruned(indices) == rows * 16 / 2 + (block == 0 ? 1 : 0))
      }
    case "matrix": #expect(pruned(kept.indices) == rows * n / 2)
    case "row": for row in 0..<rows { #expect(pruned(row * n..<(row + 1) * n) == n * 55 / 100) }
    case "column": for j in 0..<n { #expect(pruned(stride(from: j, to: rows * n, by: n)) == rows * 4 / 10) }
    default: for i in stride(from: 0, to: rows * n, by: 4) { #expect(pruned(i..<i + 4) == 2) }
    }
  }

  @Test(arguments: solvers, [0.0, 1.0])
  func nothingAndEverythingCanBePruned(id: String, sparsity: Double) throws {
    for group in [MaskGroup.matrix, .row, .column] {
      let result = try Layer("small").solve(id, Budget(target: .ratio(sparsity), group: group))
      #expect(result.kept.allSatisfy { $0 == (sparsity == 0 ? 1 : 0) })
    }
  }

  /// Queries, keys and values share the factor and nothing else.
  @Test(arguments: solvers, SolverGolden.groups)
  func matricesOfOneInputDoNotDisturbEachOther(id: String, group: String) throws {
    let layer = try Layer("wide")
    var other = layer
    other.sample.rows = 25
    other.sample.weights = layer.sample.weights.prefix(25 * 64).reversed()
    let budget = try #require(SolverGolden.budgets[group])
    let together = try Layer.solve([layer, other], id, budget)
    #expect(try together == [layer.solve(id, budget), other.solve(id, budget)])
  }

  @Test(arguments: solvers, ["matrix", "pattern"])
  func theBitsDoNotDependOnTheThreads(id: String, group: String) throws {
    let layer = try Layer("wide")
    let budget = try #require(SolverGolden.budgets[group])
    let serial = PluginRegistry(services: .backwards)
    try serial.load(path: SolverGolden.registry().describe(id: id).path)
    let expected = try Layer.solve([layer], id, budget, registry: serial)
    for _ in 0..<3 { #expect(try [layer.solve(id, budget)] == expected) }
  }

  @Test(arguments: solvers)
  func theySayWhenTheyAreCancelled(id: String) throws {
    let cancellation = Cancellation()
    let registry = PluginRegistry(services: .cancelling(cancellation))
    try registry.load(path: SolverGolden.registry().describe(id: id).path)
    #expect(throws: Cancelled.self) {
      try Layer.solve(
        [Layer("wide")], id, Budget(target: .ratio(0.5), group: .matrix), registry: registry,
        monitor: Monitor(cancellation: cancellation))
    }
  }

  @Test(arguments: solvers)
  func gramMatricesThatAreNoNumbersAreRefused(id: String) throws {
    var gram = try Layer("small").gram
    gram[33] = .nan
    let old = try Layer("small").sample
    let layer = Layer(weights: old.weights, columns: 32, moments: try #require(old.moments), gram: gram)
    do {
      _ = try layer.solve(id, Budget(target: .ratio(0.5), group: .matrix))
      Issue.record("accepted")
    } catch PluginError.failed(id, "it", 2, let message) {
      #expect(message.hasPrefix("row 1 of the Gram matrix of it is not finite"))
    }
  }

  /// One token: the Gram matrix has rank 1, and without damping no factor.
  @Test func dampingIsRaisedAloud() throws {
    var moments = Moments(inputs: 4)
    (moments.sequences, moments.tokens) = (1, 1)
    let layer = Layer(
      weights: [1, 2, -3, 4], columns: 4, moments: moments, gram: [Float](repeating: 2, count: 16))
    let diagnostics = Diagnostics()
    let budget = Budget(target: .pattern(prune: 2, of: 4), group: .matrix)
    _ = try layer.solve("sparsegpt", budget, ["damping": .number(0)], diagnostics: diagnostics)
    #expect(diagnostics.all.kept.map(\.kind) == ["dampingRaised"])
    #expect(diagnostics.all.kept.first?.tensor == "it")
  }

  @Test func admmRefusesAMaskThatNeverGetsThere() throws {
    #expect(throws: PluginError.self) {
      try Layer("small").solve(
        "admm", Budget(target: .ratio(0.5), group: .matrix), ["iterations": .integer(5)])
    }
  }
}
