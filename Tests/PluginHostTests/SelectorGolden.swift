// selectors.golden.safetensors as the tests use it: matrices, units, expected scores, and calls of the bundled plugins.

import Compression
import Foundation
import PluginHost
import TestSupport
import Tensors

/// The golden that selector_goldens.py wrote; that script says what the names mean.
struct SelectorGolden {
  private static let loaded = Result {
    try SelectorGolden(golden: Golden(Repository.goldens(of: "PluginHostTests") + "/selectors.golden.safetensors"))
  }
  static func load() throws -> SelectorGolden { try loaded.get() }

  let golden: Golden

  /// Expected scores of weights: `scores/MATRIX/GIVEN/PLUGIN/SETTINGS`.
  struct Case: Sendable, CustomStringConvertible {
    let description: String
    let matrix: String
    let given: String
    let plugin: String
    let settings: [String: String]

    init?(_ name: String) {
      let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 5, parts[0] == "scores" else { return nil }
      description = name
      (matrix, given, plugin) = (parts[1], parts[2], parts[3])
      settings = Dictionary(
        uniqueKeysWithValues: parts[4].split(separator: ",").map { setting in
          let words = setting.split(separator: "=", maxSplits: 1).map(String.init)
          return (words[0], words[1])
        })
    }
  }

  /// Expected scores of units: `units/UNITS/PLUGIN`.
  struct UnitCase: Sendable, CustomStringConvertible {
    let description: String
    let units: String
    let plugin: String

    init?(_ name: String) {
      let parts = name.split(separator: "/").map(String.init)
      guard parts.count == 3, parts[0] == "units" else { return nil }
      description = name
      (units, plugin) = (parts[1], parts[2])
    }
  }

  /// None if there is no golden: a test counts them.
  private static let names = ((try? load())?.golden.names ?? []).sorted()
  static let cases = names.compactMap(Case.init)
  static let unitCases = names.compactMap(UnitCase.init)

  func doubles(_ name: String) throws -> [Double] { try golden.numbers(name).values }
  func buffer(_ name: String) throws -> FloatBuffer { FloatBuffer(try doubles(name).map(Float.init)) }
  private func sizes(_ name: String) throws -> [Int] { try doubles(name + "/sizes").map { Int($0) } }

  /// A matrix with all that there is to know about it.
  func patient(_ name: String) throws -> Patient {
    let shape = try golden.numbers(name + "/weights").shape
    let sizes = try self.sizes(name)
    var moments = Moments(inputs: shape[1])
    moments.sequences = sizes[0]
    moments.tokens = sizes[1]
    moments.sum = try doubles(name + "/moments/sum")
    moments.sumOfSquares = try doubles(name + "/moments/sum_of_squares")
    moments.sumOfMagnitudes = try doubles(name + "/moments/sum_of_magnitudes")
    moments.sumOfSquaredMeans = try doubles(name + "/moments/sum_of_squared_means")
    let gram = Gram(
      sequences: sizes[0], tokens: sizes[1], inputs: shape[1], products: try buffer(name + "/gram"), cross: nil)
    let gradients = GradientSums(
      samples: sizes[2], steps: sizes[3], sum: try buffer(name + "/gradients/sum"),
      sumOfSquares: try buffer(name + "/gradients/sum_of_squares"),
      movement: sizes[3] > 0 ? try buffer(name + "/gradients/movement") : nil)
    let regional = GradientSums(
      samples: sizes[2], sum: try buffer(name + "/regional/sum"),
      sumOfSquares: try buffer(name + "/regional/sum_of_squares"))
    return Patient(
      tensor: name, rows: shape[0], columns: shape[1], weights: try buffer(name + "/weights"),
      statistics: MatrixStatistics(
        input: InputStatistics(moments: moments, gram: gram), gradients: gradients, regionalGradients: regional),
      rewards: try buffer(name + "/rewards"))
  }

  /// What `body` makes of the units, which live as long as it runs.
  func withUnits<Result>(_ name: String, _ body: (UnitsInput) throws -> Result) throws -> Result {
    let sizes = try self.sizes(name)
    let kinds: [Int: UnitKind] = [1: .head, 2: .neuron, 4: .channel, 8: .layer]
    let isLayers = sizes[0] == 8
    let patients = try (0..<sizes[4]).map { try patient("\(name)-\($0)") }
    let units = UnitsInput(
      unit: kinds[sizes[0]] ?? .layer, layer: sizes[1] < 0 ? nil : sizes[1], count: sizes[2], width: sizes[3],
      matrices: patients.map { $0.input(.all) },
      cosineSums: isLayers ? try doubles(name + "/cosines") : [], tokens: sizes[5],
      lossesWithout: isLayers ? try doubles(name + "/lossesWithout") : [],
      loss: isLayers ? try doubles(name + "/loss")[0] : 0)
    return try withExtendedLifetime(patients) { try body(units) }
  }
}

/// A matrix with statistics, owned.
struct Patient {
  var tensor: String
  var rows: Int
  var columns: Int
  var weights: FloatBuffer
  var statistics: MatrixStatistics
  var rewards: FloatBuffer

  /// With what of the statistics is needed; valid as long as the buffers.
  func input(_ need: StatisticsNeed, rewarded: Bool = false) -> MatrixInput {
    var given = MatrixStatistics()
    if need.contains(.moments) { given.input.moments = statistics.input.moments }
    if need.contains(.gram) { given.input.gram = statistics.input.gram }
    if need.contains(.gradients) { given.gradients = statistics.gradients }
    if need.contains(.regionalGradients) { given.regionalGradients = statistics.regionalGradients }
    let scores = ScoreMatrix(rows: rows, columns: columns)
    _ = scores.values.values.update(from: rewards.readOnly)
    return MatrixInput(
      tensor: tensor, layer: 0, rows: rows, columns: columns, weights: weights.readOnly, statistics: given,
      terms: rewarded ? [("reward", scores)] : [])
  }

  /// The scores of a bundled plugin, given what it asks for.
  /// - Parameter given: `data`, `rewards` (and data) or `nothing`.
  func scores(
    _ plugin: String, _ settings: [String: String] = [:], given: String = "data",
    registry: PluginRegistry? = nil, monitor: Monitor = Monitor(), diagnostics: Diagnostics = Diagnostics()
  ) throws -> ScoreMatrix {
    let selector = try (registry ?? BundledPluginTests.registry()).selector(id: plugin)
    let parameters = try selector.description.method.parameters.map { try $0.value(settings[$0.name]) }
    let need = selector.statistics(parameters: parameters, hasDataset: given != "nothing")
    let scores = ScoreMatrix(rows: rows, columns: columns)
    try withExtendedLifetime(self) {
      try selector.score(
        input(need, rewarded: given == "rewards"), parameters: parameters, into: scores.values.values,
        monitor: monitor, diagnostics: diagnostics)
    }
    return scores
  }
}

extension ParameterDescription {
  struct Unreadable: Error {
    let name: String
    let text: String
  }

  /// The value that a text means, the default without one.
  func value(_ text: String?) throws -> ParameterValue {
    guard let text else { return defaultValue }
    switch kind {
    case .choice(_, let words):
      if let index = words.firstIndex(of: text) { return .choice(index: index, word: text) }
    case .number:
      if let number = Double(text) { return .number(number) }
    case .text:
      return .text(text)
    case .integer, .boolean:
      break
    }
    throw Unreadable(name: name, text: text)
  }
}

extension FloatBuffer {
  convenience init(_ numbers: [Float]) {
    self.init(count: numbers.count)
    _ = values.update(from: numbers)
  }
}
