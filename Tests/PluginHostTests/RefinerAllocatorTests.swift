// Bundled refiners against the same searches written once more (solvers.golden.safetensors), and bundled allocators
// against their formulas.

import Compression
import PluginHost
import TestSupport
import Tensors
import Testing

@Suite struct RefinerGoldenTests {
  static let refiners = ["dsnot", "gram-swap"]
  static let exact: [String: ParameterValue] = ["candidates": .integer(1000)]

  @Test(arguments: SolverGolden.matrices, SolverGolden.groups)
  func dsnotFollowsTheirCode(matrix: String, group: String) throws {
    let layer = try Layer(matrix)
    let before = try Layer.kept("\(matrix)/mask/\(group)")
    let budget = try #require(SolverGolden.budgets[group])
    let kept = try layer.refine("dsnot", before, budget)
    #expect(try kept == Layer.kept("\(matrix)/dsnot/\(group)"))
    #expect(kept != before)
    #expect(try layer.refine("dsnot", before, budget, scores: layer.wanda()) == kept)
  }

  /// The scores that a mask was made from choose what is pruned.
  @Test func dsnotUsesTheScoresThatItIsGiven() throws {
    let layer = try Layer("wide")
    let scores = ScoreMatrix(rows: layer.sample.rows, columns: layer.sample.columns)
    for i in scores.values.values.indices { scores.values.values[i] = Float(i % 64) }
    let budget = try #require(SolverGolden.budgets["row"])
    let before = try Layer.kept("wide/mask/row")
    #expect(
      try layer.refine("dsnot", before, budget, scores: scores) != layer.refine("dsnot", before, budget))
  }

  /// Expected errors come closer to 0 and keep their sign.
  @Test func dsnotLowersTheExpectedError() throws {
    let layer = try Layer("wide")
    let before = try Layer.kept("wide/mask/row")
    let after = try layer.refine("dsnot", before, try #require(SolverGolden.budgets["row"]))
    let moments = try #require(layer.sample.moments)
    func errors(_ kept: [UInt8]) -> [Double] {
      var errors = [Double](repeating: 0, count: layer.sample.rows)
      for i in kept.indices where kept[i] == 0 {
        errors[i / 64] += Double(layer.sample.weights[i]) * moments.sum[i % 64] / Double(moments.sequences)
      }
      return errors
    }
    for (a, b) in zip(errors(before), errors(after)) {
      #expect(abs(b) <= abs(a))
      #expect(a * b >= 0)
    }
    #expect(errors(before) != errors(after))
  }

  @Test(arguments: SolverGolden.matrices, SolverGolden.groups)
  func gramSwapTakesTheBestPair(matrix: String, group: String) throws {
    let layer = try Layer(matrix)
    let kept = try layer.refine(
      "gram-swap", Layer.kept("\(matrix)/mask/\(group)"), try #require(SolverGolden.budgets[group]), Self.exact)
    #expect(try kept == Layer.kept("\(matrix)/gram-swap/\(group)"))
    let error = try SolverGolden.load().numbers("\(matrix)/gram-swap/\(group)/error").values[0]
    #expect(abs(layer.error(layer.masked(kept)) - error) <= 1e-6 * error)
  }

  /// With few candidates: never worse than before, and close to the best pairs.
  @Test(arguments: SolverGolden.groups)
  func gramSwapNeverRaisesTheError(group: String) throws {
    let layer = try Layer("wide")
    let before = try Layer.kept("wide/mask/\(group)")
    let budget = try #require(SolverGolden.budgets[group])
    func error(_ candidates: Int64) throws -> Double {
      layer.error(
        layer.masked(try layer.refine("gram-swap", before, budget, ["candidates": .integer(candidates)])))
    }
    let none = layer.error(layer.masked(before))
    #expect(try error(1) < none)
    #expect(try abs(error(8) - error(1000)) < 0.02 * none)
  }

  /// One exchange a row: the closed form of the change is the difference of errors computed anew. (pruning identity 6)
  @Test func theChangeOfTheErrorIsExact() throws {
    let layer = try Layer("wide")
    let before = try Layer.kept("wide/mask/row")
    let n = 64
    // A fraction that rounds up to 1 of the 35 pruned weights of a row.
    let after = try layer.refine(
      "gram-swap", before, try #require(SolverGolden.budgets["row"]),
      ["swaps": .number(0.02), "candidates": .integer(1000)])
    func error(_ kept: [UInt8], row: Int) -> Double {
      let e = (row * n..<(row + 1) * n).map { kept[$0] == 0 ? Double(layer.sample.weights[$0]) : 0 }
      var sum = 0.0
      for i in 0..<n { for j in 0..<n { sum += e[i] * Double(layer.gram[i * n + j]) * e[j] } }
      return sum
    }
    for row in 0..<layer.sample.rows {
      let moved = (0..<n).filter { before[row * n + $0] != after[row * n + $0] }
      #expect(moved.count == 2)
      let p = try #require(moved.first { before[row * n + $0] == 0 })
      let u = try #require(moved.first { before[row * n + $0] == 1 })
      func g(_ i: Int, _ j: Int) -> Double { Double(layer.gram[i * n + j]) }
      func w(_ j: Int) -> Double { Double(layer.sample.weights[row * n + j]) }
      func c(_ i: Int) -> Double {
        var sum = 0.0
        for j in 0..<n where before[row * n + j] == 0 { sum += g(i, j) * w(j) }
        return sum
      }
      let restored = w(p) * w(p) * g(p, p) - 2 * w(p) * c(p)
      let pruned = w(u) * w(u) * g(u, u) + 2 * w(u) * c(u)
      let change = restored + pruned - 2 * w(p) * w(u) * g(p, u)
      let recomputed = error(after, row: row) - error(before, row: row)
      #expect(recomputed < 0)
      #expect(abs(change - recomputed) <= 1e-5 * abs(recomputed))
    }
  }

  @Test(arguments: refiners)
  func theBitsDoNotDependOnTheThreads(id: String) throws {
    let layer = try Layer("wide")
    let before = try Layer.kept("wide/mask/row")
    let budget = try #require(SolverGolden.budgets["row"])
    let serial = PluginRegistry(services: .backwards)
    try serial.load(path: SolverGolden.registry().describe(id: id).path)
    #expect(try layer.refine(id, before, budget) == layer.refine(id, before, budget, registry: serial))
  }

  @Test(arguments: refiners)
  func theySayWhenTheyAreCancelled(id: String) throws {
    let cancellation = Cancellation()
    let registry = PluginRegistry(services: .cancelling(cancellation))
    try registry.load(path: SolverGolden.registry().describe(id: id).path)
    #expect(throws: Cancelled.self) {
      try Layer("wide").refine(
        id, Layer.kept("wide/mask/row"), try #require(SolverGolden.budgets["row"]), registry: registry,
        monitor: Monitor(cancellation: cancellation))
    }
  }
}

@Suite struct AllocatorTests {
  static func allocate(
    _ id: String, _ shares: [Share], _ total: Double, _ settings: [String: ParameterValue] = [:],
    diagnostics: Diagnostics = Diagnostics()
  ) throws -> [Double] {
    let allocator = try SolverGolden.registry().allocator(id: id)
    return try allocator.allocate(
      shares, total: total, parameters: Layer.values(allocator.description.method, settings), monitor: Monitor(),
      diagnostics: diagnostics)
  }

  static func reached(_ shares: [Share], _ sparsities: [Double]) -> Double {
    let all = shares.reduce(0) { $0 + $1.elements }
    return zip(shares, sparsities).reduce(0) { $0 + Double($1.0.elements) * $1.1 } / Double(all)
  }

  @Test func uniformIsUniform() throws {
    let shares = [Share(tensor: "a", layer: 0, elements: 10), Share(tensor: "b", layer: 1, elements: 1000)]
    #expect(try Self.allocate("uniform", shares, 0.37) == [0.37, 0.37])
  }

  /// Layers of one size: the published formula, keep = (1 - s) + delta - mean(delta).
  @Test func owlFollowsTheirCode() throws {
    let outliers = [1.0, 4, 2, 9]
    let shares = outliers.enumerated().map { Share(tensor: "\($0)", layer: $0, elements: 50, measure: $1) }
    let deltas = outliers.map { 2 * 0.08 * ($0 - 1) / 8 }
    let mean = deltas.reduce(0, +) / 4
    let sparsities = try Self.allocate("owl", shares, 0.7)
    for (found, delta) in zip(sparsities, deltas) { #expect(abs(found - (0.7 - delta + mean)) < 1e-12) }
  }

  @Test func owlReachesTheTotalWithLayersOfAnySize() throws {
    let shares = [(100, 1.0), (200, 4), (3000, 2), (50, 9)].enumerated().map {
      Share(tensor: "\($0)", layer: $0, elements: $1.0, measure: $1.1)
    }
    let diagnostics = Diagnostics()
    let sparsities = try Self.allocate("owl", shares, 0.6, diagnostics: diagnostics)
    #expect(abs(Self.reached(shares, sparsities) - 0.6) < 1e-12)
    #expect(diagnostics.all.kept.isEmpty)
    // At 99 % some would lose more than all they have.
    let clamped = try Self.allocate("owl", shares, 0.99, diagnostics: diagnostics)
    #expect(abs(Self.reached(shares, clamped) - 0.99) < 1e-12)
    #expect(clamped.max() == 1)
    #expect(diagnostics.all.kept.map(\.kind) == ["clamped"])
  }

  @Test func owlWithEqualLayersIsUniform() throws {
    let shares = (0..<3).map { Share(tensor: "\($0)", layer: $0, elements: 7 + $0, measure: 3) }
    for sparsity in try Self.allocate("owl", shares, 0.4) { #expect(abs(sparsity - 0.4) < 1e-12) }
  }

  /// The share of Wanda's scores of both matrices above M times their mean.
  @Test func owlCountsOutliers() throws {
    let layers = [try Layer("small"), try Layer("wide")]
    let scores = try layers.flatMap { layer in
      let scores = try layer.wanda()
      return (0..<layer.sample.weights.count).map { Double(scores[0, $0]) }
    }
    let mean = scores.reduce(0, +) / Double(scores.count)
    let allocator = try SolverGolden.registry().allocator(id: "owl")
    for factor in [1.0, 2, 5] {
      let parameters = Layer.values(allocator.description.method, ["outlierFactor": .number(factor)])
      let measured = try layers[0].sample.withInput { first in
        try layers[1].sample.withInput { second in
          try allocator.measure(
            [first, second], parameters: parameters, monitor: Monitor(), diagnostics: Diagnostics())
        }
      }
      #expect(measured == 100 * Double(scores.count { $0 > factor * mean }) / Double(scores.count))
    }
  }

  /// No score is above a mean that is no number: without a look at it the layer would pass for one without outliers.
  @Test(arguments: [Float.nan, .infinity])
  func owlRefusesWeightsThatAreNoNumbers(weight: Float) throws {
    var layer = try Layer("wide")
    layer.sample.weights[2 * 64 + 9] = weight
    let allocator = try SolverGolden.registry().allocator(id: "owl")
    let parameters = Layer.values(allocator.description.method, [:])
    do {
      _ = try layer.sample.withInput {
        try allocator.measure([$0], parameters: parameters, monitor: Monitor(), diagnostics: Diagnostics())
      }
      Issue.record("accepted")
    } catch PluginError.failed("owl", _, 2, let message) {
      #expect(message.hasPrefix("the scores |W| * ||X|| in row 2 of it add up to \(weight.isNaN ? "nan" : "inf");"))
    }
  }

  static let points = [0, 0.25, 0.5, 0.75]
  static let curves = [[3, 3.05, 3.3, 5], [3, 3.2, 3.5, 3.9], [3, 2.9, 3.3, 3.2]]
  static func shares(_ curves: [[Double]], elements: (Int) -> Int) -> [Share] {
    curves.enumerated().flatMap { layer, losses in
      ["q", "k"].map { name in
        Share(
          tensor: "\(layer).\(name)", layer: layer, elements: elements(layer),
          sensitivity: SensitivityCurve(sparsities: points, losses: losses))
      }
    }
  }

  /// The lower convex hull of a curve at a sparsity, by trying all chords.
  static func hull(_ losses: [Double], _ s: Double) -> Double {
    var least = Double.infinity
    for a in points.indices {
      for b in a..<points.count where points[a] <= s && s <= points[b] {
        let slope = a == b ? 0 : (losses[b] - losses[a]) / (points[b] - points[a])
        least = min(least, losses[a] + slope * (s - points[a]))
      }
    }
    return least
  }

  /// No allocation on a grid has less predicted loss.
  @Test(arguments: [0.1, 0.35, 0.5, 0.6, 0.75])
  func sensitivityIsTheLeastPredictedLoss(total: Double) throws {
    let shares = Self.shares(Self.curves) { 100 * ($0 + 1) }
    let found = try Self.allocate("sensitivity", shares, total)
    #expect(abs(Self.reached(shares, found) - total) < 1e-9)
    for layer in 0..<3 { #expect(found[2 * layer] == found[2 * layer + 1]) }
    func loss(_ s: [Double]) -> Double { (0..<3).reduce(0) { $0 + Self.hull(Self.curves[$1], min(s[$1], 0.75)) } }
    let predicted = loss([found[0], found[2], found[4]])
    for i in 0...75 {
      for j in 0...75 {
        let (a, b) = (Double(i) / 100, Double(j) / 100)
        let c = (6 * total - a - 2 * b) / 3
        if (0...0.75).contains(c) { #expect(loss([a, b, c]) >= predicted - 1e-9) }
      }
    }
  }

  @Test func equalCurvesAreUniform() throws {
    let shares = Self.shares([Self.curves[0], Self.curves[0], Self.curves[0]]) { _ in 64 }
    for sparsity in try Self.allocate("sensitivity", shares, 0.6) { #expect(abs(sparsity - 0.6) < 1e-12) }
  }

  @Test func whatWasNotMeasuredComesLastAndIsSaid() throws {
    let shares = Self.shares(Self.curves) { 100 * ($0 + 1) }
    let diagnostics = Diagnostics()
    _ = try Self.allocate("sensitivity", shares, 0.75, diagnostics: diagnostics)
    #expect(diagnostics.all.kept.isEmpty)
    let beyond = try Self.allocate("sensitivity", shares, 0.9, diagnostics: diagnostics)
    #expect(beyond.allSatisfy { $0 >= 0.75 && $0 <= 1 })
    #expect(diagnostics.all.kept.map(\.kind) == ["extrapolated"])
  }

  @Test func totalsOfNothingAndEverythingAreReached() throws {
    for id in ["uniform", "owl", "sensitivity"] {
      for total in [0.0, 1.0] {
        let found = try Self.allocate(id, Self.shares(Self.curves) { _ in 10 }, total)
        #expect(found.allSatisfy { abs($0 - total) < 1e-9 })
      }
    }
  }
}
