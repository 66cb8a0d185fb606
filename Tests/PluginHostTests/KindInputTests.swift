// Blocks, allocations and units; what selectors are shown of the statistics; and the host's linear algebra in a plugin.

import Compression
import PluginHost
import Tensors
import Testing

@Suite struct KindInputTests {
  static let tensor = "model.layers.3.mlp.down_proj.weight"
  func registry() throws -> PluginRegistry { try KindSpecimen.registry.get() }

  // MARK: Block compensator

  /// Gradients of 0.25 everywhere, for sequences 1 and 2 only.
  struct Block: Region {
    struct Broken: Error {}
    let samples = 3
    var sizes = [48, 48]
    var breaks = false
    var cancellation: Cancellation?

    func gradient(
      _ range: Range<Int>, weights: [UnsafePointer<Float>], into gradients: [UnsafeMutablePointer<Float>]
    ) throws -> Double {
      #expect(range == 1..<3)
      if breaks { throw Broken() }
      if let cancellation {
        cancellation.cancel()
        throw Cancelled()
      }
      for (gradient, size) in zip(gradients, sizes) { gradient.update(repeating: 0.25, count: size) }
      return Double(weights.count)
    }
  }

  func fit(
    _ behaviour: KindSpecimen.Behaviour, block: Block = Block(), monitor: Monitor = Monitor(), masks: Int = 2,
    check: ([[Float]], Sample) -> Void = { _, _ in }
  ) throws {
    let sample = Sample(rows: 6, columns: 8)
    let compensator = try registry().blockCompensator(id: "kinds")
    var kept = [UInt8](repeating: 1, count: 48)
    kept[3] = 0
    let weights = (0..<2).map { _ in UnsafeMutableBufferPointer<Float>.allocate(capacity: 48) }
    defer { for buffer in weights { buffer.deallocate() } }
    for buffer in weights { buffer.initialize(repeating: 9) }
    try sample.withInput { input in
      try kept.withUnsafeBufferPointer { kept in
        try compensator.fit(
          [input, input], kept: Array(repeating: kept, count: masks), region: block, parameters: [behaviour.value],
          weights: weights, monitor: monitor, diagnostics: Diagnostics())
      }
    }
    check(weights.map(Array.init), sample)
  }

  @Test func aBlockIsFittedByItsGradients() throws {
    for behaviour in [KindSpecimen.Behaviour.good, .dirty] {
      try fit(behaviour) { weights, sample in
        let expected = (0..<48).map { $0 == 3 ? 0 : sample.weights[$0] - 0.25 + 2 }
        #expect(weights == [expected, expected])
      }
    }
    #expect(Verdict { try fit(.strange) } == .broken(Self.tensor, .notFinite(what: "weights", index: 0, value: "nan")))
    #expect(Verdict { try fit(.good, masks: 1) } == .invalid(.count(what: "masks", given: 1, expected: 2)))
  }

  @Test func aRegionRefusesMisuse() {
    #expect(Verdict { try fit(.misuse) } == .failed("3 2 2 2 2 2"))
    #expect(Verdict { try fit(.inLoop) } == .failed("2"))
  }

  @Test func whatARegionThrowsArrives() {
    // Whether the plugin passes it on, or says that all is well.
    for behaviour in [KindSpecimen.Behaviour.good, .shared] {
      #expect(throws: Block.Broken.self) { try fit(behaviour, block: Block(breaks: true)) }
      let monitor = Monitor()
      #expect(throws: Cancelled.self) {
        try fit(behaviour, block: Block(cancellation: monitor.cancellation), monitor: monitor)
      }
    }
  }

  // MARK: Allocator

  static let curve = SensitivityCurve(sparsities: [0, 0.5], losses: [3, 3.25])
  static let shares = [
    Share(tensor: "a", layer: 0, elements: 100),
    Share(tensor: "b", layer: 1, elements: 300, measure: 0.5, sensitivity: curve),
  ]

  func allocate(
    _ behaviour: KindSpecimen.Behaviour, _ shares: [Share] = shares, total: Double = 0.5
  ) throws -> [Double] {
    try registry().allocator(id: "kinds").allocate(
      shares, total: total, parameters: [behaviour.value], monitor: Monitor(), diagnostics: Diagnostics())
  }

  @Test func sharesAreAllocated() throws {
    #expect(try allocate(.good) == [0.5, 0.5])
    #expect(try allocate(.oneMore) == [0.5005, 0.5])
    #expect(
      Verdict { _ = try allocate(.echo) } == .failed("b 1 300 0.5, 2 points, 0.5 3.25"))
    #expect(
      Verdict { _ = try allocate(.echo, Array(Self.shares[..<1])) } == .failed("a 0 100 0, 0 points, -1 -1"))
  }

  @Test func whatAnAllocatorPromisesIsHeldAgainstIt() {
    let broken = { (body: @escaping () throws -> [Double]) in Verdict { _ = try body() } }
    #expect(broken { try allocate(.nothing) } == .broken("b", .sparsityInvalid(share: "b", value: "nan")))
    #expect(broken { try allocate(.strange) } == .broken("b", .sparsityInvalid(share: "b", value: "-0.25")))
    guard case .broken("a", .totalMissed(0.5, let given)) = broken({ try allocate(.tooMany) }) else {
      Issue.record("accepted")
      return
    }
    #expect(abs(given - 0.5025) < 1e-9)
  }

  @Test func anAllocatorIsNotCalledWithNonsense() {
    var shares = Self.shares
    #expect(Verdict { _ = try allocate(.good, total: 1.5) } == .invalid(.ratioInvalid(given: "1.5")))
    for curve in [
      SensitivityCurve(sparsities: [0.1, 0.5], losses: [1, 2]), SensitivityCurve(sparsities: [0, 0], losses: [1, 2]),
      SensitivityCurve(sparsities: [0, 0.5], losses: [1]), SensitivityCurve(sparsities: [0, 0.5], losses: [1, .nan]),
      SensitivityCurve(sparsities: [0, 1.5], losses: [1, 2]),
    ] {
      shares[0].sensitivity = curve
      #expect(Verdict { _ = try allocate(.good, shares) } == .invalid(.sensitivityInvalid))
    }
  }

  @Test func layersAreMeasured() throws {
    let allocator = try registry().allocator(id: "kinds")
    #expect(allocator.description.measures)
    let sample = Sample(rows: 6, columns: 8)
    func measure(_ behaviour: KindSpecimen.Behaviour, matrices: Int = 2) throws -> Double {
      try sample.withInput {
        try allocator.measure(
          Array(repeating: $0, count: matrices), parameters: [behaviour.value], monitor: Monitor(),
          diagnostics: Diagnostics())
      }
    }
    let sum = try #require(sample.moments?.sum[0])
    #expect(try measure(.good) == 6 * sum + 6 * sum)
    #expect(
      Verdict { _ = try measure(.nothing) }
        == .broken(Self.tensor, .notFinite(what: "measure", index: 0, value: "nan")))
    #expect(
      Verdict { _ = try measure(.good, matrices: 0) } == .invalid(.count(what: "matrices", given: 0, expected: 1)))
  }

  // MARK: Unit selector

  func units(_ behaviour: KindSpecimen.Behaviour, _ units: UnitsInput) throws -> [Double] {
    try registry().unitSelector(id: "kinds").score(
      units, parameters: [behaviour.value], monitor: Monitor(), diagnostics: Diagnostics())
  }

  static var layers: UnitsInput {
    UnitsInput(
      unit: .layer, layer: nil, count: 2, width: 1, matrices: [], cosineSums: [1.5, 2.5], tokens: 9,
      lossesWithout: [4, 5], loss: 3)
  }

  @Test func unitsAreScored() throws {
    #expect(try registry().unitSelector(id: "kinds").description.units == [.head, .neuron, .layer])
    #expect(try units(.good, Self.layers) == [1.5, 2.5])
    #expect(try units(.infinite, Self.layers) == [.infinity, .infinity])
    #expect(Verdict { _ = try units(.nothing, Self.layers) } == .broken("layers", .scoreMissing(unit: 1)))
    #expect(
      Verdict { _ = try units(.echo, Self.layers) }
        == .failed("unit 8 layer -1, 2 x 1, 0 matrices, cosine 2.5, 9 tokens, 5 3"))
    let sample = Sample(rows: 6, columns: 8)
    try sample.withInput { input in
      let heads = UnitsInput(unit: .head, layer: 3, count: 4, width: 2, matrices: [input])
      let scored = try units(.good, heads)
      #expect(scored == [0, 2, 4, 6].map { sample.moments?.sum[$0] })
      #expect(
        Verdict { _ = try units(.echo, heads) }
          == .failed("unit 1 layer 3, 4 x 2, 1 matrices, cosine -1, 0 tokens, -1 0"))
      let wide = UnitsInput(unit: .head, layer: 3, count: 4, width: 3, matrices: [input])
      #expect(Verdict { _ = try units(.good, wide) } == .invalid(.count(what: "columns", given: 8, expected: 12)))
      let channels = UnitsInput(unit: .channel, layer: nil, count: 8, width: 1, matrices: [input])
      #expect(
        Verdict { _ = try units(.good, channels) }
          == .invalid(.unitUnknown(given: .channel, known: [.head, .neuron, .layer])))
    }
    let without = UnitsInput(
      unit: .layer, layer: nil, count: 2, width: 1, matrices: [], cosineSums: [1, 2], tokens: 9)
    #expect(Verdict { _ = try units(.good, without) } == .invalid(.count(what: "losses", given: 0, expected: 2)))
  }

  // MARK: Selector

  func words(_ behaviour: KindSpecimen.Behaviour, _ sample: Sample) throws -> Verdict {
    let selector = try registry().selector(id: "kinds")
    return Verdict { _ = try sample.score(with: selector, [behaviour.value]) }
  }

  static func gradients(_ count: Int, movement: Bool) -> GradientSums {
    let buffer = FloatBuffer(count: count)
    buffer.values.update(repeating: 1)
    return GradientSums(
      samples: 4, steps: movement ? 2 : 0, sum: buffer, sumOfSquares: buffer, movement: movement ? buffer : nil)
  }

  @Test func aSelectorSeesWhatItAskedForAndNothingElse() throws {
    let selector = try registry().selector(id: "kinds")
    let echo = [KindSpecimen.Behaviour.echo.value], shared = [KindSpecimen.Behaviour.shared.value]
    #expect(selector.statistics(parameters: echo, hasDataset: true) == .all)
    #expect(selector.statistics(parameters: echo, hasDataset: false) == .none)
    #expect(selector.statistics(parameters: shared, hasDataset: false) == .crossGram)
    #expect(selector.description.terms == ["reward", "penalty"])
    #expect(selector.description.compensator == "kinds")

    var sample = Sample(rows: 6, columns: 8)
    sample.moments?.sumOfSquaredMeans[1] = 2.5
    sample.statistics.input.gram = KindCallTests.gram(8, cross: true)
    sample.statistics.gradients = Self.gradients(48, movement: true)
    // With less than it asks for with a dataset, it is taken to have none.
    #expect(try words(.echo, sample) == .failed("00000, 0 terms  0, means 0, movement absent"))
    sample.statistics.regionalGradients = Self.gradients(48, movement: false)
    let scores = ScoreMatrix(rows: 6, columns: 8)
    scores.values.values.update(repeating: 7)
    sample.terms = [("stranger", scores), ("penalty", scores)]
    #expect(try words(.echo, sample) == .failed("11111, 1 terms penalty 7, means 2.5, movement there"))
    sample.statistics.gradients = Self.gradients(48, movement: false)
    #expect(try words(.echo, sample) == .failed("11111, 1 terms penalty 7, means 2.5, movement absent"))

    sample.statistics.gradients = Self.gradients(47, movement: false)
    #expect(
      try words(.echo, sample)
        == .invalid(.statisticsMismatch(.gradients, what: "elements", given: 47, expected: 48)))
    sample.statistics.input.gram = KindCallTests.gram(8)
    #expect(try words(.shared, sample) == .invalid(.statisticsMissing(.crossGram)))
    sample.terms = [("reward", ScoreMatrix(rows: 8, columns: 5))]
    #expect(
      try words(.echo, sample) == .invalid(.shape(what: "scores of 'reward'", rows: 6, columns: 8, given: 40)))
  }

  @Test func aSelectorMustNotAskForMoreThanItDeclares() throws {
    let selector = try registry().selector(id: "kinds")
    #expect(selector.statistics(parameters: [KindSpecimen.Behaviour.undeclared.value], hasDataset: true) == .none)
    #expect(
      try words(.undeclared, Sample(rows: 6, columns: 8))
        == .broken(Self.tensor, .statisticsUndeclared(asked: 64, declared: .all)))
  }

  @Test func aChoiceIsOneOfItsWords() throws {
    let selector = try registry().selector(id: "kinds")
    let all = KindSpecimen.Behaviour.allCases.map(\.rawValue)
    for value in [ParameterValue.choice(index: 0, word: "fail"), .choice(index: 16, word: "good"), .integer(0)] {
      #expect(
        Verdict { _ = try Sample(rows: 6, columns: 8).score(with: selector, [value]) }
          == .invalid(.parameterValue(name: "behaviour", given: value, allowed: .choice(default: 0, words: all))))
    }
  }

  // MARK: Linear algebra

  @Test func linearAlgebraIsTheSameInAndOutOfLoops() throws {
    let sample = Sample(rows: 33, columns: 47)
    let scores = try sample.score(with: registry().selector(id: "kinds"), [KindSpecimen.Behaviour.algebra.value])
    for i in 0..<33 {
      for j in 0..<47 {
        var sum = 0.0
        for r in 0..<33 {
          let square = (0..<47).reduce(0.0) { $0 + Double(sample.weights[i * 47 + $1] * sample.weights[r * 47 + $1]) }
          sum += square * Double(sample.weights[r * 47 + j])
        }
        #expect(abs(Double(scores[i * 47 + j]) - sum) < 1e-2, "\(i), \(j)")
      }
    }
  }

  @Test func linearAlgebraSaysWhatItCannotDo() throws {
    #expect(try words(.misuse, Sample(rows: 6, columns: 8)) == .failed("2 2 2 3 at 1, 2 0"))
  }

  @Test func missingLinearAlgebraIsTheErrorOfTheCall() throws {
    let error = BLASError.symbolMissing(name: "dpotrf_", library: "libopenblas.so")
    let registry = PluginRegistry(
      services: PluginServices(
        log: { _, _, _ in }, parallelFor: { count, body in (0..<count).forEach(body) },
        linearAlgebra: { () throws(BLASError) in throw error }))
    let workshop = try Workshop()
    try registry.load(path: KindSpecimen.path(in: workshop))
    #expect(throws: error) {
      try Sample(rows: 6, columns: 8).score(
        with: registry.selector(id: "kinds"), [KindSpecimen.Behaviour.algebra.value])
    }
  }

  // MARK: The library

  @Test func aLibraryOffersAnySetOfKinds() throws {
    #expect(try registry().describe(id: "kinds").methods.map(\.kind) == KindSpecimen.kinds)
    let workshop = try Workshop()
    let some = PluginRegistry(services: Ear().services)
    try some.load(path: KindSpecimen.path(in: workshop, ["LEFT_OUT": "ESPALIER_SOLVER"]))
    try some.load(path: workshop.compile(Specimen.source, to: "specimen.so"))
    let offers = KindSpecimen.kinds.filter { $0 != .solver }
    #expect(throws: PluginError.otherKind(id: "kinds", wanted: .solver, offers: offers, available: [])) {
      try some.solver(id: "kinds")
    }
    let error = PluginError.otherKind(id: "specimen", wanted: .refiner, offers: [.selector], available: ["kinds"])
    #expect(throws: error) { try some.refiner(id: "specimen") }
    #expect(throws: PluginError.notFound(id: "x", loaded: ["kinds", "specimen"])) { try some.allocator(id: "x") }
  }

  @Test(arguments: [
    ("SOLVER_GROUP", "ESPALIER_GROUP_GLOBAL", "espalier_solver.default_group"),
    ("UNIT_GROUP", "ESPALIER_GROUP_ROW", "espalier_unit_selector.default_group"),
    ("UNITS", "0", "espalier_unit_selector.units"), ("UNITS", "17", "espalier_unit_selector.units"),
    ("CHANGES_BIAS", "2", "espalier_compensator.changes_bias"),
    ("NEEDS_SENSITIVITY", "2", "espalier_allocator.needs_sensitivity"),
    ("MEASURE", "NULL", "espalier_allocator.statistics"),
  ])
  func aBadFieldIsNamed(name: String, value: String, field: String) throws {
    let workshop = try Workshop()
    let path = try KindSpecimen.path(in: workshop, [name: value])
    guard case .fieldInvalid(field, _) = LoadingTests.rejection(of: path) else {
      Issue.record("\(String(describing: LoadingTests.rejection(of: path)))")
      return
    }
  }
}
