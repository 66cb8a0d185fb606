// How sparsity is shared out: pins, totals, patterns, allocators that answer what a closure says.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Workspace

/// Answers what closures say; measures layers by the sum of their weights' squares.
private struct Sharing: Allocator {
  var needsSensitivity = false
  var answer: @Sendable ([Share], Double) -> [Double]
  var description: AllocatorDescription {
    AllocatorDescription(
      method: MethodDescription(id: "sharing", version: "1", summary: ""), needsSensitivity: needsSensitivity,
      measures: true)
  }

  func measure(
    _ matrices: [MatrixInput], parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> Double {
    matrices.reduce(0) { $0 + $1.weights.reduce(0) { $0 + Double($1) * Double($1) } }
  }

  func allocate(
    _ shares: [Share], total: Double, parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> [Double] { answer(shares, total) }
}

@Suite struct AllocationTests {
  static func targets(
    _ request: AllocationRequest, _ target: SparsityTarget, _ model: TestModel,
    _ diagnostics: Diagnostics = Diagnostics()
  ) throws -> [String: SparsityTarget] {
    try allocate(
      request, target: target, tensors: model.state.prunableTensors, of: model.state, dataset: nil,
      store: Engine.store(), compute: Engine.compute, monitor: Monitor(), diagnostics: diagnostics)
  }

  /// The fraction of all weights that targets prune.
  static func total(_ targets: [String: SparsityTarget], _ model: TestModel) -> Double {
    let tensors = model.state.prunableTensors.values
    let all = tensors.reduce(0.0) { $0 + Double($1.elementCount) }
    return tensors.reduce(0.0) { $0 + Double($1.elementCount) * (targets[$1.name]?.ratio ?? .nan) } / all
  }

  @Test func pinsAreKeptAndTheRestMakesUpForThem() throws {
    let model = try TestModel(tiny: "grouped-f32")
    var request = AllocationRequest()
    request.pins = [("model.layers.0.*", 0.4), ("model.layers.0.mlp.*", 0)]
    let targets = try Self.targets(request, .ratio(0.5), model)
    #expect(targets["model.layers.0.self_attn.q_proj.weight"] == .ratio(0.4))
    #expect(targets["model.layers.0.mlp.up_proj.weight"] == .ratio(0), "the last pin that matches counts")
    #expect(abs(Self.total(targets, model) - 0.5) < 1e-12)
    let rest = Set(targets.filter { $0.key.contains("layers.1.") }.map(\.value.ratio))
    #expect(rest.count == 1 && (rest.first ?? 0) > 0.5)

    request.holdsTotal = false
    let loose = try Self.targets(request, .ratio(0.5), model)
    #expect(loose["model.layers.1.mlp.up_proj.weight"] == .ratio(0.5))
    #expect(Self.total(loose, model) < 0.4)
  }

  @Test func whatCannotBeSharedOutIsRefused() throws {
    let model = try TestModel(tiny: "grouped-f32")
    var request = AllocationRequest()
    request.pins = [("model.layers.0.*", 0)]
    #expect(throws: CompressionError.self) { try Self.targets(request, .ratio(0.9), model) }
    request.pins = [("nothing.*", 0)]
    let unknown = #expect(throws: CompressionError.self) { try Self.targets(request, .ratio(0.5), model) }
    #expect(unknown?.kind == "modulesMatchNothing")
    request.pins = [("*", 1.5)]
    #expect(throws: CompressionError.sparsityInvalid(given: "1.5")) {
      try Self.targets(request, .ratio(0.5), model)
    }
    request.pins = []
    request.allocator = Configured(Sharing(needsSensitivity: true) { shares, total in shares.map { _ in total } })
    let missing = #expect(throws: CompressionError.self) { try Self.targets(request, .ratio(0.5), model) }
    #expect(missing?.kind == "allocationInvalid")
  }

  /// Pins that leave nothing to make up for them: what then has no effect is said, and only that.
  @Test func pinsThatCoverEverything() throws {
    let model = try TestModel(tiny: "grouped-f32")
    func kinds(_ change: (inout AllocationRequest) -> Void) throws -> [String] {
      var request = AllocationRequest()
      request.pins = [("*", 0.25)]
      change(&request)
      let diagnostics = Diagnostics()
      _ = try Self.targets(request, .ratio(0.5), model, diagnostics)
      #expect(diagnostics.all.kept.allSatisfy { $0.severity == .warning && $0.tensor == nil })
      return diagnostics.all.kept.map(\.kind)
    }
    #expect(try kinds { _ in } == ["totalNotHeld"])
    #expect(try kinds { $0.pins = [("*", 0.5)] } == [], "the total holds")
    #expect(try kinds { $0.holdsTotal = false } == [])
    #expect(try kinds { $0.pins = [("*.layers.0.*", 0.25)] } == [])
    let sharing = Configured<any Allocator>(Sharing { shares, total in shares.map { _ in total } })
    #expect(try kinds { $0.allocator = sharing } == ["allocatorUnused", "totalNotHeld"])
  }

  @Test func allocatorsSeeWhatIsLeft() throws {
    let model = try TestModel(tiny: "grouped-f32")
    var request = AllocationRequest()
    request.pins = [("*.q_proj.*", 0.1)]
    request.sensitivity = [1: SensitivityCurve(sparsities: [0, 0.5], losses: [1, 2])]
    request.allocator = Configured(
      Sharing { shares, total in
        shares.map { share in
          let isWhole = share.sensitivity == nil ? share.layer == 0 : share.sensitivity?.losses == [1, 2]
          return isWhole && share.measure > 0 && !share.tensor.contains("q_proj") && total > 0.5 ? total : .nan
        }
      })
    let targets = try Self.targets(request, .ratio(0.5), model)
    #expect(targets["model.layers.0.self_attn.q_proj.weight"] == .ratio(0.1))
    #expect(abs(Self.total(targets, model) - 0.5) < 1e-12)
  }

  /// N of every 8, whole, as near to the total as whole N allow.
  @Test func patternsVaryByWholeWeights() throws {
    let model = try TestModel(tiny: "grouped-f32")
    var request = AllocationRequest()
    request.pins = [("model.layers.0.self_attn.q_proj.weight", 0)]
    let targets = try Self.targets(request, .pattern(prune: 4, of: 8), model)
    #expect(targets["model.layers.0.self_attn.q_proj.weight"] == .ratio(0))
    let counts = Set(targets.values.map(\.description))
    #expect(counts.isSubset(of: ["0.0", "4:8", "5:8"]) && counts.contains("5:8"))
    #expect(abs(Self.total(targets, model) - 0.5) < 0.01)
  }

  /// Pins take the nearest N; only what else there is makes up for them, and only if the total is to be held.
  @Test(arguments: [(0.3, "1:4"), (0.4, "2:4"), (0.1, "0.0"), (0.9, "1.0")])
  func patternsHoldPins(pin: Double, nearest: String) throws {
    let model = try TestModel(tiny: "grouped-f32")
    for holdsTotal in [true, false] {
      var request = AllocationRequest()
      request.pins = [("model.layers.0.self_attn.*", pin)]
      request.holdsTotal = holdsTotal
      let targets = try Self.targets(request, .pattern(prune: 2, of: 4), model)
      let pinned = targets.filter { $0.key.contains("layers.0.self_attn") }
      #expect(pinned.count == 4 && pinned.values.allSatisfy { $0.description == nearest })
      let rest = targets.filter { pinned[$0.key] == nil }
      if holdsTotal {
        #expect(abs(Self.total(targets, model) - 0.5) < 0.02)
      } else {
        #expect(rest.values.allSatisfy { $0.description == "2:4" })
      }
    }
  }

  @Test func roundsRiseToTheTarget() {
    #expect(SparsityTarget.ratio(0.5).rounds(1) == [.ratio(0.5)])
    let ratios = SparsityTarget.ratio(0.8).rounds(6).map(\.ratio)
    #expect(ratios.count == 6 && ratios == ratios.sorted() && ratios[3...] == [0.8, 0.8, 0.8])
    #expect(abs(ratios[1] - 0.8 * 0.875) < 1e-12, "the second of four that rise")
    #expect(
      SparsityTarget.pattern(prune: 4, of: 8).rounds(8).map(\.description)
        == ["2:8", "3:8", "4:8", "4:8", "4:8", "4:8", "4:8", "4:8"])
    #expect(SparsityTarget.pattern(prune: 2, of: 4).rounds(5).last == .pattern(prune: 2, of: 4))
  }
}
