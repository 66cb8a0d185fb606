// Every bundled unit selector against its paper's formula in double (selectors.golden.safetensors), and its identities.

import Compression
import Foundation
import PluginHost
import TestSupport
import Tensors
import Testing

@Suite struct UnitSelectorGoldenTests {
  static let selectors: Set = ["activation-norm", "block-influence", "depth-loss", "fluctuation"]

  func scores(_ plugin: String, _ units: UnitsInput, _ diagnostics: Diagnostics = Diagnostics()) throws -> [Double] {
    try BundledPluginTests.registry().unitSelector(id: plugin).score(
      units, parameters: [], monitor: Monitor(), diagnostics: diagnostics)
  }

  @Test func everySelectorHasCases() {
    #expect(Set(SelectorGolden.unitCases.map(\.plugin)) == Self.selectors)
    #expect(SelectorGolden.unitCases.count == 7)
  }

  /// All is in double: what differs is the order of sums.
  @Test(arguments: SelectorGolden.unitCases)
  func scoresFollowTheFormula(_ test: SelectorGolden.UnitCase) throws {
    let golden = try SelectorGolden.load()
    let tolerance = Tolerance(absolute: 1e-13, relative: 1e-12)
    var values = try golden.withUnits(test.units) { try scores(test.plugin, $0) }
    let wrong = try golden.golden.difference(Numbers(values), from: test.description, tolerance)
    #expect(wrong == nil, "\(wrong ?? "")")
    values[0] += 1e-9
    #expect(try golden.golden.difference(Numbers(values), from: test.description, tolerance) != nil)
  }

  @Test func theyDescribeThemselves() throws {
    let registry = try BundledPluginTests.registry()
    let known: [String: (Set<UnitKind>, MaskGroup, Bool, StatisticsNeed)] = [
      "activation-norm": ([.head, .neuron, .channel], .matrix, false, .moments),
      "block-influence": ([.layer], .global, false, .none),
      "depth-loss": ([.layer], .global, true, .none),
      "fluctuation": ([.head, .neuron], .global, false, .moments),
    ]
    for (id, (units, group, losses, statistics)) in known {
      let description = try registry.unitSelector(id: id).description
      #expect(description.units == units)
      #expect(description.defaultGroup == group)
      #expect(description.needsLosses == losses)
      #expect(description.method.statistics == statistics)
      #expect(description.method.parameters == [])
    }
  }

  /// The golden's third layer hands on what it got: as many cosines of 1 as tokens.
  @Test func theInfluenceOfAnIdentityBlockIsNothing() throws {
    let golden = try SelectorGolden.load()
    let influences = try golden.withUnits("layers") { try scores("block-influence", $0) }
    #expect(abs(influences[2]) < 1e-15)
    #expect(influences.enumerated().allSatisfy { $0.offset == 2 || $0.element > 0.01 })
    let exact = UnitsInput(
      unit: .layer, layer: nil, count: 3, width: 1, matrices: [], cosineSums: [1000, 0, -1000], tokens: 1000)
    #expect(try scores("block-influence", exact) == [0, 1, 2])
  }

  @Test func layersAreWorthTheLossWithoutThem() throws {
    let units = UnitsInput(
      unit: .layer, layer: nil, count: 3, width: 1, matrices: [], cosineSums: [1, 1, 1], tokens: 1,
      lossesWithout: [3.5, 2, 2.25], loss: 2.25)
    #expect(try scores("depth-loss", units) == [1.25, -0.25, 0])
  }

  /// z-scores: mean 0 and, for neurons, variance 1 with n - 1.
  @Test func fluctuationsAreStandardised() throws {
    let golden = try SelectorGolden.load()
    let neurons = try golden.withUnits("neurons") { try scores("fluctuation", $0) }
    let count = Double(neurons.count)
    #expect(abs(neurons.reduce(0, +)) < 1e-12)
    #expect(abs(neurons.reduce(0) { $0 + $1 * $1 } - (count - 1)) < 1e-10)
    let heads = try golden.withUnits("heads") { try scores("fluctuation", $0) }
    #expect(abs(heads.reduce(0, +)) < 1e-12)
  }

  @Test func withoutFluctuationThereIsADiagnostic() throws {
    var patient = try SelectorGolden.load().patient("neurons-0")
    patient.weights = FloatBuffer(Array(repeating: 0, count: patient.rows * patient.columns))
    let units = UnitsInput(
      unit: .neuron, layer: 0, count: patient.columns, width: 1, matrices: [patient.input(.moments)])
    let diagnostics = Diagnostics()
    let found = try withExtendedLifetime(patient) { try scores("fluctuation", units, diagnostics) }
    #expect(found == Array(repeating: 0, count: patient.columns))
    #expect(diagnostics.all.kept.map(\.kind) == ["noFluctuation"])
  }

  @Test func weightsThatAreNoNumbersAreNamed() throws {
    var patient = try SelectorGolden.load().patient("heads-0")
    patient.weights = FloatBuffer(Array(patient.weights.readOnly))
    patient.weights.pointer[2 * patient.columns + 3] = .nan
    let units = UnitsInput(unit: .head, layer: 2, count: 4, width: 5, matrices: [patient.input(.moments)])
    do {
      _ = try withExtendedLifetime(patient) { try scores("fluctuation", units) }
      Issue.record("accepted")
    } catch PluginError.failed("fluctuation", "heads-0", 2, let message) {
      #expect(message == "the weight in row 2, column 3 of heads-0 is nan; check the checkpoint")
    }
  }

  @Test(arguments: ["activation-norm", "fluctuation"])
  func layersAreNotForAll(id: String) throws {
    try SelectorGolden.load().withUnits("layers") { units in
      _ = #expect(throws: PluginError.self) { try scores(id, units) }
    }
  }
}
