// A real model pruned by the bundled SparseGPT, and by Wanda harder than by half, against the methods' own code.
// Runs under the same conditions as SmolLM2ReferenceTests, whose protocol this is.

import Compression
import OrderedCollections
import PluginHost
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Checkpoints

extension SmolLM2ReferenceTests {
  private static let plugins = Result {
    let services = PluginServices(
      log: { _, _, _ in },
      parallelFor: { count, body in
        Engine.pool.parallelFor(count) { iteration, _ in body(iteration) }
      }, linearAlgebra: { () throws(BLASError) in try LinearAlgebra(pool: Engine.pool) })
    let registry = PluginRegistry(services: services)
    let folder = try #require(PluginSearch.executableFolder())
    registry.discover(PluginSearch(folders: [.init(path: folder, prefix: "libespalier-")]))
    return registry
  }

  /// SparseGPT updates weights by what it has pruned before, so that a near-tie which rounding decides in one layer grows
  /// in those behind it. The method's own code in PyTorch 2.13 on another processor than the reference's agrees with the
  /// reference masks on at least 99.99 % of layer 0 but on 95.2 % of the worst tensor of layer 29 at 0.5, and has a
  /// perplexity of 285.6 at 0.7 where the reference has 254.8. So layers behind the first have a looser bound.
  @Test(arguments: [
    ("0.5", SparsityTarget.ratio(0.5), 0.01, 0.9), ("2:4", .pattern(prune: 2, of: 4), 0.01, 0.8),
    ("0.7", .ratio(0.7), 0.13, nil),
  ] as [(String, SparsityTarget, Double, Double?)])
  func sparsegpt(name: String, target: SparsityTarget, tolerance: Double, agreement: Double?) throws {
    let run = try Self.loaded.get(), solver = try Self.plugins.get().solver(id: "sparsegpt")
    let parameters = solver.description.method.parameters.map { ($0.name, $0.defaultValue) }
    let plan = PruningPlan(
      method: .solver(Configured(solver, parameters: OrderedDictionary(uniqueKeysWithValues: parameters))),
      target: target, group: .matrix, tensors: run.model.state.prunableTensors)
    let diagnostics = Diagnostics()
    let result = try pruneSequentially(
      run.model.state, plan: plan, dataset: run.calibration, store: Engine.store(), compute: Engine.compute,
      monitor: Monitor(), diagnostics: diagnostics)
    #expect(diagnostics.all.kept == [])
    let history = History(
      tensors: run.model.state.replacing(result.tensors), operation: Operation(method: "test", summary: ""))
    let perplexity = try evaluatePerplexity(
      ModelState(transformer: run.model.transformer, revision: history.current), dataset: run.evaluation,
      compute: Engine.compute, monitor: Monitor()
    ).perplexity
    let reference = try run.row("sparsegpt", name)
    print("sparsegpt \(name): perplexity \(perplexity), reference \(reference.perplexity)")
    #expect(abs(perplexity / reference.perplexity - 1) < tolerance)
    guard let agreement else { return }
    try Self.checkMasks(
      result.masks, "masks-sparsegpt-\(name == "2:4" ? "2of4" : name)", run, of: history.current
    ) { $0.contains("layers.0.") ? 0.99 : agreement }
  }

  @Test func wandaHarderThanHalf() throws {
    let run = try Self.loaded.get()
    try Self.checkPerplexity(run.wanda(.ratio(0.7)), "wanda", "0.7", run)
  }
}
