// Every bundled selector against its paper's formula in double (selectors.golden.safetensors), and what it refuses.

import Compression
import Foundation
import PluginHost
import TestSupport
import Tensors
import Testing

@Suite struct SelectorGoldenTests {
  static let selectors: Set = [
    "magnitude", "wanda", "wanda-variant", "ria", "snip", "taylor", "gblm", "wanda-plus-plus", "movement", "mama",
  ]
  /// Those that BundledPluginTests do not test on their own.
  static let added = selectors.subtracting(["magnitude", "wanda"]).sorted()

  /// Four roundings to fp32 at most: the sum of squares, its root (to a power of up to 1.5), the product. Terms of both
  /// signs, which only mama adds, cancel: there the largest score counts.
  static func tolerance(_ test: SelectorGolden.Case, _ expected: [Double]) -> Tolerance {
    let largest = expected.map(abs).max() ?? 0
    return Tolerance(absolute: test.plugin == "mama" ? 0x1p-22 * largest : 0, relative: 0x1p-22)
  }

  @Test func everySelectorHasCases() {
    #expect(Set(SelectorGolden.cases.map(\.plugin)) == Self.selectors)
    #expect(SelectorGolden.cases.count == 78)
  }

  @Test(arguments: SelectorGolden.cases)
  func scoresFollowTheFormula(_ test: SelectorGolden.Case) throws {
    let golden = try SelectorGolden.load()
    let patient = try golden.patient(test.matrix)
    let scores = try patient.scores(test.plugin, test.settings, given: test.given)
    let expected = try golden.golden.numbers(test.description)
    let actual = Numbers(scores.values.readOnly.map(Double.init), shape: [patient.rows, patient.columns])
    let tolerance = Self.tolerance(test, expected.values)
    let wrong = try golden.golden.difference(actual, from: test.description, tolerance)
    #expect(wrong == nil, "\(wrong ?? "")")

    // One score off by a part in 100,000 is found.
    var values = actual.values
    let largest = values.indices.max { abs(values[$0]) < abs(values[$1]) } ?? 0
    values[largest] *= 1 + 1e-5
    let perturbed = Numbers(values, shape: actual.shape)
    #expect(try golden.golden.difference(perturbed, from: test.description, tolerance) != nil)
  }

  /// Parameters arrive: no two settings of a plugin expect the same scores, but for those that are the same by design.
  @Test func settingsDiffer() throws {
    let golden = try SelectorGolden.load()
    let same: Set<Set<String>> = [["", "rewardWeight=0.0"], ["", "normalisation=none"]]
    let wide = SelectorGolden.cases.filter { $0.matrix == "wide" && $0.given == "data" }
    for a in wide {
      for b in wide where a.plugin == b.plugin && a.description < b.description {
        let words = Set([a, b].map { $0.description.split(separator: "/").last.map(String.init) ?? "" })
        if same.contains(words) { continue }
        #expect(try golden.doubles(a.description) != golden.doubles(b.description), "\(a) and \(b)")
      }
    }
  }

  @Test(arguments: added)
  func theBitsDoNotDependOnTheThreads(id: String) throws {
    let patient = try SelectorGolden.load().patient("wide")
    let serial = PluginRegistry(services: .backwards)
    try serial.load(path: BundledPluginTests.registry().describe(id: id).path)
    let expected = try patient.scores(id, registry: serial)
    for _ in 0..<5 {
      let scores = try patient.scores(id)
      #expect(scores.values.readOnly.elementsEqual(expected.values.readOnly) { $0.bitPattern == $1.bitPattern })
    }
  }

  @Test(arguments: added)
  func theySayWhenTheyAreCancelled(id: String) throws {
    let cancellation = Cancellation()
    let registry = PluginRegistry(services: .cancelling(cancellation))
    try registry.load(path: BundledPluginTests.registry().describe(id: id).path)
    let patient = try SelectorGolden.load().patient("wide")
    #expect(throws: Cancelled.self) {
      try patient.scores(id, registry: registry, monitor: Monitor(cancellation: cancellation))
    }
  }

  @Test(arguments: added, [Float.nan, .infinity])
  func weightsThatAreNoNumbersAreNamed(id: String, weight: Float) throws {
    var patient = try SelectorGolden.load().patient("wide")
    patient.weights = FloatBuffer(Array(patient.weights.readOnly))
    patient.weights.pointer[5 * patient.columns + 3] = weight
    do {
      _ = try patient.scores(id)
      Issue.record("accepted")
    } catch PluginError.failed(id, "wide", 2, let message) {
      #expect(message.contains("the weight in row 5, column 3 of wide"))
      #expect(message.hasSuffix("check the checkpoint") || message.hasSuffix("check the checkpoint and the dataset"))
    }
  }

  @Test(arguments: ["snip", "taylor", "gblm", "wanda-plus-plus", "movement"])
  func gradientsThatAreNoNumbersAreNamed(id: String) throws {
    var patient = try SelectorGolden.load().patient("wide")
    let bad = FloatBuffer(Array(repeating: 1, count: patient.rows * patient.columns))
    bad.pointer[2 * patient.columns + 9] = .nan
    let gradients = GradientSums(samples: 5, sum: bad, sumOfSquares: bad)
    patient.statistics.gradients = gradients
    patient.statistics.regionalGradients = gradients
    do {
      _ = try patient.scores(id)
      Issue.record("accepted")
    } catch PluginError.failed(id, "wide", 2, let message) {
      #expect(message.contains("row 2, column 9 of wide is nan"))
      #expect(message.contains("the sum of its gradients nan"))
    }
  }

  @Test(arguments: ["wanda-variant", "ria", "gblm", "wanda-plus-plus", "mama"])
  func momentsThatAreNoNumbersAreNamed(id: String) throws {
    var patient = try SelectorGolden.load().patient("wide")
    patient.statistics.input.moments?.sumOfSquares[4] = 1e78
    do {
      _ = try patient.scores(id, id == "mama" ? ["scale": "norm"] : [:])
      Issue.record("accepted")
    } catch PluginError.failed(id, "wide", 2, let message) {
      #expect(message.hasPrefix("input 4 of wide has the sum of squares 1e+78"))
    }
  }

  @Test func mamaSaysWhenNothingIsLeftToScoreBy() throws {
    let patient = try SelectorGolden.load().patient("wide")
    do {
      _ = try patient.scores("mama", ["magnitudeWeight": "0"])
      Issue.record("accepted")
    } catch PluginError.failed("mama", "wide", 2, let message) {
      #expect(message.hasPrefix("no term is left to score by"))
    }
  }
}
