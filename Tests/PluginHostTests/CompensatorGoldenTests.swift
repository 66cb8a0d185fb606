// Every bundled compensator against its definition in double (solvers.golden.safetensors), and what it says or refuses.

import Compression
import PluginHost
import TestSupport
import Tensors
import Testing

@Suite struct CompensatorGoldenTests {
  static let compensators = ["least-squares", "least-squares-dense", "uniform-move", "mean-to-bias"]

  /// Least squares from the tokens themselves by an orthogonal factorisation; the plugins know the Gram matrix in fp32.
  @Test(arguments: ["least-squares", "least-squares-dense"], SolverGolden.groups)
  func leastSquaresIsTheLeast(id: String, group: String) throws {
    for matrix in SolverGolden.matrices {
      let layer = try Layer(matrix)
      let result = try layer.compensate(id, Layer.kept("\(matrix)/mask/\(group)"))
      try Layer.check(
        result.weights, "\(matrix)/\(id)/\(group)/weights", Tolerance(absolute: 1e-5, relative: 1e-5),
        shape: layer.shape)
      let error = try SolverGolden.load().numbers("\(matrix)/\(id)/\(group)/error").values[0]
      #expect(abs(layer.error(result.weights) - error) <= 1e-5 * error)
      #expect(result.bias == [])
    }
  }

  /// Both systems give the same: a mask that prunes a little and its complement use one each.
  @Test(arguments: [0.2, 0.8])
  func fewAndManyPrunedWeightsAreTheSameProblem(sparsity: Double) throws {
    let layer = try Layer("small")
    let budget = Budget(target: .ratio(sparsity), group: .row)
    let kept = try layer.solve("alps", budget).kept
    let result = try layer.compensate("least-squares", kept)
    // At the minimum no kept weight can move: the gradient (w - w') (G + d I) is 0 on the support.
    let n = 32
    let d = 0.01 * (0..<n).reduce(0.0) { $0 + Double(layer.gram[$1 * n + $1]) } / Double(n)
    for row in 0..<layer.sample.rows {
      let e = (0..<n).map { Double(layer.sample.weights[row * n + $0]) - Double(result.weights[row * n + $0]) }
      for j in 0..<n where kept[row * n + j] != 0 {
        var (gradient, size) = (0.0, 0.0)
        for k in 0..<n {
          let term = e[k] * (Double(layer.gram[j * n + k]) + (k == j ? d : 0))
          gradient += term
          size += abs(term)
        }
        #expect(abs(gradient) <= 1e-5 * size + 1e-3)
      }
    }
  }

  /// Steps of conjugate gradients end where the factorisation is, and say what each pruned weight would be worth.
  @Test(arguments: SolverGolden.matrices, SolverGolden.groups)
  func stepsLeadToTheSameWeights(matrix: String, group: String) throws {
    let layer = try Layer(matrix), kept = try Layer.kept("\(matrix)/mask/\(group)")
    let exact = try layer.compensate("least-squares", kept)
    let last = Budget(target: .ratio(0.5), group: .row, round: 1)
    let earlier = Budget(target: .ratio(0.5), group: .row, roundsLeft: 1)
    let few = try layer.compensate("least-squares", kept, last, ["steps": .integer(2)])
    let many = try layer.compensate("least-squares", kept, earlier, ["steps": .integer(60)])
    let finished = try layer.compensate("least-squares", kept, last, ["finish": .choice(index: 1, word: "exact")])
    #expect(finished.weights == exact.weights)
    let best = layer.error(exact.weights, damping: 0.01)
    #expect(layer.error(few.weights, damping: 0.01) > best * 1.0001, "two steps are not enough")
    #expect(layer.error(layer.masked(kept)) > layer.error(few.weights))
    #expect(abs(layer.error(zip(many.weights, kept).map { $1 == 0 ? 0 : $0 }, damping: 0.01) / best - 1) < 1e-4)

    let n = layer.sample.columns, mean = (0..<n).reduce(0.0) { $0 + Double(layer.gram[$1 * n + $1]) } / Double(n)
    for index in kept.indices where kept[index] == 0 {
      let row = index / n, p = index % n
      var gradient = 0.0
      for j in 0..<n {
        let weight = kept[row * n + j] == 0 ? 0 : Double(many.weights[row * n + j])
        let a = Double(layer.gram[j * n + p]) + (j == p ? 0.01 * mean : 0)
        gradient += (Double(layer.sample.weights[row * n + j]) - weight) * a
      }
      let worth = gradient / (Double(layer.gram[p * n + p]) + 0.01 * mean)
      #expect(abs(Double(many.weights[index]) - worth) <= 1e-4 * (1 + abs(worth)))
    }
  }

  @Test func denseInputsThatAreTheSameChangeNothing() throws {
    let old = try Layer("small")
    let layer = Layer(
      weights: old.sample.weights, columns: 32, moments: try #require(old.sample.moments), gram: old.gram,
      cross: old.gram)
    let kept = try Layer.kept("small/mask/row")
    let (same, dense) = (
      try layer.compensate("least-squares", kept), try layer.compensate("least-squares-dense", kept)
    )
    for (a, b) in zip(same.weights, dense.weights) { #expect(abs(a - b) <= 1e-5) }
    #expect(try old.compensate("least-squares-dense", kept).weights != dense.weights)
  }

  @Test(arguments: SolverGolden.matrices, SolverGolden.groups)
  func theMoveIsUniform(matrix: String, group: String) throws {
    let layer = try Layer(matrix)
    let result = try layer.compensate(
      "uniform-move", Layer.kept("\(matrix)/mask/\(group)"), SolverGolden.budgets[group])
    try Layer.check(
      result.weights, "\(matrix)/uniform-move/\(group)/weights", Tolerance(absolute: 1e-6), shape: layer.shape)
  }

  /// A mask without a budget is moved over as a whole; sums are kept, and a group without kept weights stays.
  @Test func theMoveKeepsTheSum() throws {
    let layer = try Layer("small")
    let kept = try Layer.kept("small/mask/row")
    let matrix = try layer.compensate("uniform-move", kept)
    #expect(try matrix == layer.compensate("uniform-move", kept, SolverGolden.budgets["matrix"]))
    #expect(try matrix != layer.compensate("uniform-move", kept, SolverGolden.budgets["row"]))
    let before = layer.sample.weights.reduce(0) { $0 + Double($1) }
    #expect(abs(matrix.weights.reduce(0) { $0 + Double($1) } - before) < 1e-4)
    let none = try layer.compensate("uniform-move", [UInt8](repeating: 0, count: kept.count))
    #expect(none.weights.allSatisfy { $0 == 0 })
  }

  @Test(arguments: SolverGolden.matrices, SolverGolden.groups)
  func meansGoToTheBias(matrix: String, group: String) throws {
    let layer = try Layer(matrix)
    let kept = try Layer.kept("\(matrix)/mask/\(group)")
    let result = try layer.compensate("mean-to-bias", kept)
    #expect(result.weights == layer.masked(kept))
    try Layer.check(
      result.bias, "\(matrix)/mean-to-bias/\(group)/bias", Tolerance(absolute: 1e-6, relative: 1e-6),
      shape: [layer.sample.rows])
  }

  @Test(arguments: compensators)
  func theBitsDoNotDependOnTheThreads(id: String) throws {
    let layer = try Layer("wide")
    let kept = try Layer.kept("wide/mask/row")
    let serial = PluginRegistry(services: .backwards)
    try serial.load(path: SolverGolden.registry().describe(id: id).path)
    let expected = try layer.compensate(id, kept, SolverGolden.budgets["row"], registry: serial)
    for _ in 0..<3 { #expect(try layer.compensate(id, kept, SolverGolden.budgets["row"]) == expected) }
  }

  @Test(arguments: compensators)
  func theySayWhenTheyAreCancelled(id: String) throws {
    let cancellation = Cancellation()
    let registry = PluginRegistry(services: .cancelling(cancellation))
    try registry.load(path: SolverGolden.registry().describe(id: id).path)
    #expect(throws: Cancelled.self) {
      try Layer("wide").compensate(
        id, Layer.kept("wide/mask/row"), SolverGolden.budgets["row"], registry: registry,
        monitor: Monitor(cancellation: cancellation))
    }
  }
}

/// (w - target)^2 of one matrix, a little harder with every sequence, as the output of a block.
private struct Bowl: Region {
  let target: [Float]
  let samples = 7

  func gradient(
    _ range: Range<Int>, weights: [UnsafePointer<Float>], into gradients: [UnsafeMutablePointer<Float>]
  ) throws -> Double {
    let factor = Float(range.lowerBound + 1)
    var loss = 0.0
    for i in target.indices {
      let d = weights[0][i] - target[i]
      gradients[0][i] = 2 * factor * d / Float(target.count)
      loss += Double(factor * d * d) / Double(target.count)
    }
    return loss
  }
}

@Suite struct RegionalFitTests {
  /// RMSprop as PyTorch defines it, in double, on sequences 0, 2 and 4 of 7.
  @Test func itStepsAsRMSpropDoes() throws {
    let sample = Sample(rows: 3, columns: 4)
    let kept: [UInt8] = [1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0]
    let target = (0..<12).map { Float($0) / 7 - 1 }
    let start = zip(sample.weights, kept).map { $1 == 0 ? 0 : $0 }
    var expected = start.map(Double.init)
    var squares = [Double](repeating: 0, count: 12)
    for _ in 0..<4 {
      for sequence in [0, 2, 4] {
        for i in expected.indices where kept[i] != 0 {
          let g = 2 * Double(sequence + 1) * (expected[i] - Double(target[i])) / 12
          squares[i] = 0.99 * squares[i] + 0.01 * g * g
          expected[i] -= 1e-3 * g / (squares[i].squareRoot() + 1e-8)
        }
      }
    }
    let diagnostics = Diagnostics()
    let weights = try fit(sample, start, kept, Bowl(target: target), rounds: 4, diagnostics)
    for i in weights.indices { #expect(abs(Double(weights[i]) - expected[i]) < 1e-6) }
    #expect(zip(weights, kept).allSatisfy { $1 == 1 || $0 == 0 })
    #expect(weights != start)
    #expect(diagnostics.all.kept.map(\.kind) == ["regionalLoss"])
    #expect(diagnostics.all.kept.map(\.severity) == [.information])
  }

  @Test func aLossThatIsNoNumberIsNamed() throws {
    let sample = Sample(rows: 1, columns: 2)
    #expect(throws: PluginError.self) {
      try fit(sample, [1, 1], [1, 1], Bowl(target: [.infinity, 0]), rounds: 2, Diagnostics())
    }
  }

  private func fit(
    _ sample: Sample, _ start: [Float], _ kept: [UInt8], _ region: Bowl, rounds: Int64, _ diagnostics: Diagnostics
  ) throws -> [Float] {
    let method = try SolverGolden.registry().blockCompensator(id: "regional-fit")
    var sample = sample
    sample.weights = start
    var weights = start
    let parameters = Layer.values(
      method.description,
      ["learningRate": .number(1e-3), "rounds": .integer(rounds), "samples": .integer(3)])
    try sample.withInput { input in
      try kept.withUnsafeBufferPointer { kept in
        try weights.withUnsafeMutableBufferPointer { weights in
          try method.fit(
            [input], kept: [kept], region: region, parameters: parameters, weights: [weights], monitor: Monitor(),
            diagnostics: diagnostics)
        }
      }
    }
    return weights
  }
}
