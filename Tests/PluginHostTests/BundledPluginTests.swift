// Plugins as the package builds them, found beside this test program; magnitude and wanda compared with their formulas.

import Compression
import Foundation
import PluginHost
import Tensors
import Testing

@Suite struct BundledPluginTests {
  /// Every plugin of the package: the folders of `plugins/` with a README.
  static let ids = ((try? FileManager.default.contentsOfDirectory(atPath: Project.plugins.path)) ?? [])
    .filter { FileManager.default.fileExists(atPath: Project.plugins.appending(path: "\($0)/README.md").path) }
    .sorted()

  static func registry() throws -> PluginRegistry {
    let folder = try #require(PluginSearch.executableFolder())
    let registry = PluginRegistry(services: Ear().services)
    registry.discover(PluginSearch(folders: [.init(path: folder, prefix: "libespalier-")]))
    return registry
  }

  @Test func theyAreFoundInTheBuildFolder() throws {
    let registry = try Self.registry()
    let loaded = registry.list().compactMap { listing -> String? in
      if case .loaded(let identity) = listing.state { identity.id } else { nil }
    }
    #expect(Self.ids.contains("magnitude"))
    #expect(loaded.sorted() == Self.ids, "build all products first: swift build --build-tests")
    #expect(loaded.count == registry.list().count)
  }

  @Test func theyDescribeThemselves() throws {
    let registry = try Self.registry()
    let magnitude = try #require(registry.describe(id: "magnitude").selector)
    #expect(magnitude.method.statistics == .none)
    #expect(magnitude.defaultGroup == .matrix)
    #expect(magnitude.method.parameters == [])
    let wanda = try #require(registry.describe(id: "wanda").selector)
    #expect(wanda.method.statistics == .moments)
    #expect(wanda.defaultGroup == .row)
    #expect(wanda.method.parameters.map(\.name) == ["normExponent"])
    #expect(wanda.method.parameters.first?.kind == .number(default: 1, minimum: 0, maximum: 4))
  }

  /// What a plugin exports besides its descriptor could clash with another's.
  @Test(arguments: ids)
  func onlyTheDescriptorIsExported(id: String) throws {
    let path = try Self.registry().describe(id: id).path
    let symbols = try Workshop.run("nm", ["-D", "--defined-only", path]).split(separator: "\n")
      .compactMap { $0.split(separator: " ").last.map(String.init) }
      .filter { !$0.hasPrefix("__") && !["_edata", "_end", "_init", "_fini"].contains($0) }  // the linker's own
    #expect(symbols == ["espalier_plugin"])
  }

  @Test(arguments: ids)
  func theyCompileWithoutWarnings(id: String) throws {
    let workshop = try Workshop()
    let folder = Project.plugins.appending(path: id)
    let source = try String(
      contentsOf: folder.appending(path: "\(id.replacing("-", with: "_")).c"), encoding: .utf8)
    try workshop.compile(
      source, to: "\(id).so",
      flags: [
        "-shared", "-fPIC", "-fvisibility=hidden", "-Wshadow", "-Wconversion", "-Wno-unused-parameter", "-lm",
        "-I", folder.path, "-I", Project.plugins.appending(path: "support").path,
      ])
  }

  @Test(arguments: [(1, 1), (1, 77), (77, 1), (64, 64), (130, 57)])
  func magnitudeIsExact(rows: Int, columns: Int) throws {
    let sample = Sample(rows: rows, columns: columns)
    let scores = try sample.score(with: Self.registry().selector(id: "magnitude"), [])
    #expect(scores == sample.weights.map { abs($0) })
    #expect(scores.allSatisfy { $0.sign == .plus })
  }

  @Test(arguments: [(1, 1), (1, 77), (77, 1), (64, 64), (130, 57)], [0, 0.5, 1, 2, 4])
  func wandaFollowsItsFormula(shape: (Int, Int), exponent: Double) throws {
    let (rows, columns) = shape
    let sample = Sample(rows: rows, columns: columns)
    let moments = try #require(sample.moments)
    let scores = try sample.score(with: Self.registry().selector(id: "wanda"), [.number(exponent)])
    for i in sample.weights.indices {
      let norm = (moments.sumOfSquares[i % columns] / Double(moments.sequences)).squareRoot()
      let expected = abs(Double(sample.weights[i])) * pow(norm, exponent)
      // Roundings to fp32: the statistic (halved by the root), the root (both times the exponent), power and product.
      let tolerance = (1.5 * exponent + 2) * 0x1p-24 * expected
      #expect(abs(Double(scores[i]) - expected) <= tolerance, "element \(i)")
    }
  }

  /// The published code's operations in its own precision, bit for bit.
  @Test func wandaRoundsLikeThePublishedCode() throws {
    let sample = Sample(rows: 50, columns: 61)
    let moments = try #require(sample.moments)
    let scores = try sample.score(with: Self.registry().selector(id: "wanda"), [.number(1)])
    for i in sample.weights.indices {
      let statistic = Float(moments.sumOfSquares[i % 61] / Double(moments.sequences))
      #expect(scores[i] == abs(sample.weights[i]) * statistic.squareRoot())
    }
  }

  @Test func wandaWithExponentZeroIsMagnitude() throws {
    let registry = try Self.registry()
    let sample = Sample(rows: 9, columns: 40)
    #expect(
      try sample.score(with: registry.selector(id: "wanda"), [.number(0)])
        == sample.score(with: registry.selector(id: "magnitude"), []))
  }

  @Test(arguments: [
    (Double.nan, 1.0), (.infinity, 1.0), (.infinity, 0.0), (-1, 1.0), (-1, 0.0), (1e78, 1.0), (1e30, 4.0),
  ])
  func wandaRefusesStatisticsThatFp32CannotHold(squares: Double, exponent: Double) throws {
    var sample = Sample(rows: 2, columns: 5)
    sample.moments?.sumOfSquares[3] = squares
    do {
      _ = try sample.score(with: Self.registry().selector(id: "wanda"), [.number(exponent)])
      Issue.record("accepted")
    } catch PluginError.failed("wanda", sample.tensor, 2, let message) {
      #expect(message.hasPrefix("input 3 of \(sample.tensor) has the sum of squares "))
    }
  }

  @Test(arguments: ["magnitude", "wanda"])
  func theySayWhenTheyAreCancelled(id: String) throws {
    let cancellation = Cancellation()
    let registry = PluginRegistry(services: .cancelling(cancellation))
    try registry.load(path: Self.registry().describe(id: id).path)
    let selector = try registry.selector(id: id)
    let parameters = id == "wanda" ? [ParameterValue.number(1)] : []
    #expect(throws: Cancelled.self) {
      try Sample(rows: 40, columns: 5).score(
        with: selector, parameters, monitor: Monitor(cancellation: cancellation))
    }
  }

  @Test(arguments: ["magnitude", "wanda"])
  func theBitsDoNotDependOnTheThreads(id: String) throws {
    let serial = PluginRegistry(services: .backwards)
    try serial.load(path: Self.registry().describe(id: id).path)
    let sample = Sample(rows: 333, columns: 129)
    let parameters = id == "wanda" ? [ParameterValue.number(1.5)] : []
    let expected = try sample.score(with: serial.selector(id: id), parameters)
    for _ in 0..<5 {
      #expect(try sample.score(with: Self.registry().selector(id: id), parameters) == expected)
    }
  }
}
