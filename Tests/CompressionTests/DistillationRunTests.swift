// What holds for every run: micro-batches add up, pruned weights stay pruned, and a pruned model gets better.

import BuiltinModels
import Checkpoints
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Compression

/// ‖a - b‖ / ‖b‖ over everything.
func distance(_ a: FloatBuffer, _ b: FloatBuffer) -> Double {
  var difference = 0.0, norm = 0.0
  for (x, y) in zip(a.readOnly, b.readOnly) {
    difference += (Double(x) - Double(y)) * (Double(x) - Double(y))
    norm += Double(y) * Double(y)
  }
  return (difference / norm).squareRoot()
}

@Suite struct DistillationRunTests {
  /// Eight sequences in 1, 4 and 8 micro-batches: one division by all positions and all sequences together.
  @Test(arguments: ["logits", "inside", "relations"])
  func microBatchesAddUp(kind: String) throws {
    var bench = try RunBench(
      [.forward(2, weight: 0.6), ObjectiveTerm(Bundled.objective("cross-entropy"), weight: 0.4)])
    bench.dataset = try RunBench.dataset(sequences: 8, seed: 3)
    switch kind {
    case "inside":
      bench.plan.features = [
        try .of("hidden-cosine", .output, (0, 0), (2, 1)), try .of("hidden-mse", .embedding, (0, 0), weight: 0.3),
      ]
    case "relations":
      bench.plan.features = [
        try .of("attention-relation", .values, (2, 1)), try .of("attention-relation", .queries, (1, 0)),
      ]
    default: break
    }
    func first(_ batch: Int, _ accumulation: Int) throws -> (DistillationRun, StepMetrics) {
      var bench = bench
      (bench.options.batch, bench.options.accumulation) = (batch, accumulation)
      let run = try bench.run()
      return (run, try run.step())
    }
    let (whole, expected) = try first(8, 1)
    for count in [4, 8] {
      let (split, found) = try first(8 / count, count)
      #expect(distance(split.trainer.gradients.values, whole.trainer.gradients.values) < 1e-6)
      if let maps = split.projections.companion, let others = whole.projections.companion {
        #expect(distance(maps.gradients.values, others.gradients.values) < 1e-6)
      }
      #expect(abs(found.report.loss / expected.report.loss - 1) < 1e-6)
      #expect(abs(found.report.gradientNorm / expected.report.gradientNorm - 1) < 1e-6)
      #expect(found.report.tokens == expected.report.tokens && found.sequences == 8)
      for (a, b) in zip(found.parts, expected.parts) { #expect(a.name == b.name && abs(a.value / b.value - 1) < 1e-6) }
      #expect(found.parts.count == bench.plan.objectives.count + bench.plan.features.count)
    }
    // A test of the test: one sequence less shows.
    let (less, _) = try first(7, 1)
    #expect(distance(less.trainer.gradients.values, whole.trainer.gradients.values) > 1e-3)
  }

  /// A hundred steps: masks as they were, pruned weights and moments zero to the bit, what is kept moves.
  @Test func prunedStaysPruned() throws {
    var bench = try RunBench([.forward()], features: [.of("hidden-cosine", .output, (2, 1))])
    (bench.options.batch, bench.options.accumulation) = (1, 1)
    bench.options.explosion = nil
    let run = try bench.run(), start = run.trainer.parameters.block.values.readOnly.map { $0 }
    for step in 1...100 {
      try run.step()
      if step % 20 == 0 { TrainerTests.expectPrunedZero(run.trainer) }
    }
    #expect(!run.trainer.parameters.masks.isEmpty)
    let history = try TestModel(tiny: "llama3").history
    let revision = history.commit(run.operation(teacher: nil), tensors: run.committedTensors())
    #expect(revision.prunedCount == bench.student.revision.prunedCount && revision.prunedCount > 1000)
    let block = run.trainer.parameters.block
    for (name, entry) in block.layout.entries {
      let moved = (0..<entry.count).count { block[name][$0] != start[entry.offset + $0] }
      let pruned = revision.tensors[name]?.mask.map { entry.count - $0.bits.keptCount } ?? 0
      #expect(moved == entry.count - pruned, "\(name): every weight that is kept, and no other")
    }
  }

  /// Ten steps bring the built-in model, half of it gone, nearer to what it was.
  @Test func aPrunedModelGetsBetter() throws {
    let model = try TestModel(path: try #require(BuiltinModels.path(ofModel: "sapling")))
    let dense = model.state, path = try #require(BuiltinModels.path(ofText: "sapling/calibration"))
    let text = String(decoding: try #require(TemporaryFolder.read(path)), as: UTF8.self)
    let weights = Parameters(model.transformer, copying: model.history.current, pool: Engine.pool)
    var masks: OrderedDictionary<String, MaskBits> = [:]
    for (name, entry) in weights.layout.entries where name.contains("layers") && entry.isMatrix {
      masks[name] = try halfByMagnitude(weights.block[name], rows: entry.shape[0], columns: entry.shape[1])
    }
    var bench = try RunBench([.forward(1)])
    bench.student = model.commit(masks)
    bench.teacher = dense
    bench.tokenizer = model.checkpoint.tokenizer
    bench.plan.vocabulary = model.transformer.shape.vocabularySize
    bench.dataset = try Dataset(
      text: try bench.tokenizer.encode(String(text.prefix(40_000))), sequenceLength: 64, sequences: 80,
      sampling: .contiguous, vocabularySize: bench.plan.vocabulary)
    (bench.options.batch, bench.options.accumulation) = (8, 1)
    bench.options.schedule = try Schedule(.constant, learningRate: 1e-3, steps: 20)
    let run = try bench.run(), losses = try (0..<10).map { _ in try run.step().report.loss }
    #expect(losses[0] > 0.05)
    #expect(losses[7...].reduce(0, +) / 3 < 0.8 * losses[0], "\(losses)")
    TrainerTests.expectPrunedZero(run.trainer)
  }

  /// Keeps the larger half of every row.
  private func halfByMagnitude(_ weights: UnsafePointer<Float>, rows: Int, columns: Int) throws -> MaskBits {
    var bytes = [UInt8](repeating: 0, count: rows * MaskBits.rowBytes(columns: columns))
    for row in 0..<rows {
      let order = (0..<columns).sorted { abs(weights[row * columns + $0]) > abs(weights[row * columns + $1]) }
      for column in order.prefix(columns / 2) {
        bytes[row * MaskBits.rowBytes(columns: columns) + column / 8] |= 1 << (column % 8)
      }
    }
    return try #require(MaskBits(rows: rows, columns: columns, bytes: bytes))
  }
}
