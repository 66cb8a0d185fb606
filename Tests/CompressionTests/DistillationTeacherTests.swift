// The teacher's memory: what is kept of it changes nothing, or little, and never stands for another teacher.

import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Compression

@Suite struct DistillationTeacherTests {
  static func bench(
    _ memory: TeacherMemory, store: StatisticsStore = Engine.store(), shuffled: Bool = true
  ) throws -> RunBench {
    var bench = try RunBench([.forward()])
    bench.options.teacherMemory = memory
    bench.options.isShuffled = shuffled
    bench.store = store
    return bench
  }

  static func train(_ bench: RunBench, steps: Int = 6) throws -> (metrics: [StepMetrics], bits: [[UInt32]]) {
    let run = try bench.run()
    return (try (0..<steps).map { _ in try run.step() }, run.bits)
  }

  /// Six sequences, four a step, two at a time: from the third step on everything was there before.
  @Test func keptExactly() throws {
    for shuffled in [false, true] {
      let none = try Self.train(Self.bench(.none, shuffled: shuffled))
      let kept = try Self.train(Self.bench(.fp32, shuffled: shuffled))
      #expect(none.bits == kept.bits && none.metrics.map(\.report) == kept.metrics.map(\.report))
      #expect(none.metrics.allSatisfy { $0.teacherReused == 0 && $0.sequences == 4 })
      if !shuffled { #expect(kept.metrics.map(\.teacherReused) == [0, 2, 4, 4, 4, 4]) }
      #expect(kept.metrics[3...].allSatisfy { $0.teacherReused == 4 })
    }
    // With places to look at the teacher goes through its layers every time.
    var looking = try Self.bench(.fp32)
    looking.plan.features = [try .of("hidden-cosine", .output, (2, 1))]
    #expect(try Self.train(looking).metrics.allSatisfy { $0.teacherReused == 0 })
  }

  /// Another run finds what the first left; bf16 is near, the same in every epoch, and apart from fp32.
  @Test func keptInHalfTheRoom() throws {
    let bench = try Self.bench(.fp32), exact = try Self.train(bench), again = try Self.train(bench)
    #expect(again.metrics.allSatisfy { $0.teacherReused == 4 } && again.bits == exact.bits)
    var other = bench
    other.options.teacherMemory = .bf16
    let half = try Self.train(other), alone = try Self.train(Self.bench(.bf16))
    #expect(half.metrics[0].teacherReused == 0)
    #expect(half.metrics.map(\.teacherReused) == alone.metrics.map(\.teacherReused))
    #expect(half.bits == alone.bits && half.bits != exact.bits)
    for (a, b) in zip(half.metrics, exact.metrics) { #expect(abs(a.report.loss / b.report.loss - 1) < 0.01) }
    let third = try Self.train(other)
    #expect(third.bits == alone.bits && third.metrics.allSatisfy { $0.teacherReused == 4 })
  }

  /// The same model at another revision, and other data, are not taken for each other.
  @Test func othersAreNotMixedUp() throws {
    let store = Engine.store(), first = try Self.bench(.fp32, store: store)
    let plain = try Self.train(first)
    var pruned = first
    let model = try TestModel(tiny: "llama-linear"), name = "model.layers.0.mlp.up_proj.weight"
    let (rows, columns) = (52, 24)
    var bytes = [UInt8](repeating: 0, count: rows * MaskBits.rowBytes(columns: columns))
    for place in bytes.indices { bytes[place] = 0x5a }
    pruned.teacher = model.commit([name: try #require(MaskBits(rows: rows, columns: columns, bytes: bytes))])
    var fresh = pruned
    fresh.store = Engine.store()
    let expected = try Self.train(fresh), found = try Self.train(pruned)
    #expect(found.metrics == expected.metrics && found.bits == expected.bits)
    #expect(found.metrics[0].report.loss != plain.metrics[0].report.loss && found.metrics[0].teacherReused == 0)

    var other = first
    other.dataset = try RunBench.dataset(sequences: 6, seed: 11)
    #expect(try Self.train(other).metrics[0].teacherReused == 0)
    #expect(try Self.train(first).metrics[0].teacherReused == 4, "the first teacher is still remembered")
  }
}
