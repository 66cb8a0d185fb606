// Forks, saved runs and commits: whatever a run teaches, going on from a copy gives the bits of never having stopped.

import Checkpoints
import JSON
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Compression

/// What a run teaches, and with it all that it carries along.
enum Teaching: String, CaseIterable {
  case logits, projections, memory, onPolicy, adaptive, rewards, rewardsTwice

  func bench() throws -> RunBench {
    var bench = try RunBench([.forward()])
    switch self {
    case .logits: break
    case .projections:
      bench.plan.features = [
        try .of("hidden-cosine", .output, (0, 0), (2, 1)), try .of("hidden-cosine", .embedding, (0, 0)),
      ]
      bench.plan.balance = .dynamic
    case .memory:
      bench.plan.features = [try .of("contrastive-memory", .output, (2, 1), changes: ["bank": .integer(6)])]
    case .onPolicy:
      bench.options.onPolicy = OnPolicy(fraction: 0.6, promptTokens: 5, maximumTokens: 7)
      bench.options.explosion = nil
    case .adaptive:
      bench.options.onPolicy = OnPolicy(
        fraction: 0.7, promptTokens: 5, maximumTokens: 7, adaptation: .init(rise: 0.2, tolerance: 0, memory: 4))
      bench.options.validation = ValidationPlan(try RunBench.dataset(sequences: 3, seed: 9), everySteps: 2)
      bench.options.schedule = try Schedule(.constant, learningRate: 2e-3, steps: 8)
      bench.options.explosion = nil
    case .rewards, .rewardsTwice:
      let documents = (0..<5).map { Document(tokens: (0..<9).map { Int32($0 + 7) }, promptTokens: 3 + $0 % 2) }
      bench.dataset = try Dataset(
        documents: PackedDocuments(documents, sequenceLength: 9, packing: .none),
        examples: (0..<5).map { Example(prompt: "", promptTokens: [Int32(7 + $0), 8, 9], answer: "a") },
        vocabularySize: RunBench.shared)
      let length = try Bundled.reward(
        "length", ["form": .choice(index: 0, word: "target"), "target": .integer(3), "scale": .integer(6)])
      var policy = PolicyPlan(
        rewards: [WeightedReward(length), .warm, WeightedReward(try Bundled.reward("exact-match"), weight: 0.5)])
      (policy.prompts, policy.members, policy.maximumTokens) = (2, 4, 6)
      policy.options.divergenceWeight = 0.1
      if self == .rewardsTwice {
        policy.iterations = 2
        bench.plan.features = [try .of("hidden-cosine", .output, (2, 1))]
      } else {
        bench.plan.objectives = []
      }
      bench.plan.policy = policy
    }
    return bench
  }
}

extension WeightedReward {
  /// A little of everything, so that no group is flat.
  static let warm = WeightedReward(
    RewardRule(MadeUpReward("warm") { Double($0.completion.utf8.reduce(0) { ($0 * 31 + Int($1)) % 97 }) / 97 }),
    weight: 0.3)
}

@Suite struct DistillationBranchTests {
  /// What six steps without a stop give.
  static func straight(_ bench: RunBench) throws -> (metrics: [StepReport], bits: [[UInt32]]) {
    let run = try bench.run()
    return (try (0..<6).map { _ in try run.step().report }, run.bits)
  }

  @Test(arguments: Teaching.allCases)
  func forksGoOn(teaching: Teaching) throws {
    let bench = try teaching.bench(), expected = try Self.straight(bench), run = try bench.run()
    for _ in 0..<3 { try run.step() }
    let fork = run.forked(), before = run.bits
    #expect(fork.bits == before)
    // The fork goes first, then both in turns; neither disturbs the other.
    var metrics = [try fork.step().report]
    #expect(run.bits == before)
    let still = fork.bits
    #expect(try run.step().report == expected.metrics[3])
    #expect(fork.bits == still)
    for step in 4..<6 {
      metrics.append(try fork.step().report)
      #expect(try run.step().report == expected.metrics[step])
    }
    #expect(metrics == Array(expected.metrics[3...]))
    #expect(run.bits == expected.bits && fork.bits == expected.bits)
    // A test of the test: bits see a weight that moved.
    try run.step()
    #expect(run.bits != expected.bits && fork.bits == expected.bits)
  }

  @Test(arguments: Teaching.allCases)
  func savedRunsGoOn(teaching: Teaching) throws {
    let bench = try teaching.bench(), expected = try Self.straight(bench), run = try bench.run()
    let folder = TemporaryFolder()
    for _ in 0..<3 { try run.step() }
    let state: JSONObject = ["seed": 5, "words": ["a", "b"]]
    let bytes = try run.save(to: folder.file("run"), state: state, monitor: Monitor())
    // It is not disturbed by being saved.
    for step in 3..<6 { #expect(try run.step().report == expected.metrics[step]) }
    #expect(run.bits == expected.bits)

    var other = bench
    other.store = Engine.store()
    let loaded = try other.run()
    try loaded.restore(from: folder.file("run"))
    #expect(loaded.steps == 3)
    #expect(try loaded.save(to: folder.file("again"), state: state, monitor: Monitor()) == bytes)
    for name in TemporaryFolder.names(in: folder.file("run")) {
      let first = TemporaryFolder.read(folder.file("run/" + name))
      let second = TemporaryFolder.read(folder.file("again/" + name))
      #expect(first != nil && first == second, "\(name)")
    }
    #expect(try RunFolder.state(at: folder.file("run")) == state)
    for step in 3..<6 { #expect(try loaded.step().report == expected.metrics[step]) }
    #expect(loaded.bits == expected.bits)
    // A saved run replaces another at one stroke.
    _ = try loaded.save(to: folder.file("run"), state: [:], monitor: Monitor())
    let latest = try other.run()
    try latest.restore(from: folder.file("run"))
    #expect(latest.bits == expected.bits)
  }

  /// A run replaces what a run left, and nothing that is somebody else's.
  @Test func foldersOfOthers() throws {
    let folder = TemporaryFolder(), run = try RunBench([.forward()]).run()
    let path = folder.file("run")
    for _ in 0..<2 { _ = try run.save(to: path, state: [:], monitor: Monitor()) }
    _ = folder.write("run/letters.txt", [1, 2, 3])
    let error = #expect(throws: CheckpointError.self) { try run.save(to: path, state: [:], monitor: Monitor()) }
    #expect(error?.kind == "pathTaken")
    #expect(TemporaryFolder.read(folder.file("run/letters.txt")) == [1, 2, 3])
    #expect(TemporaryFolder.names(in: path).count == 4 && TemporaryFolder.names(in: folder.path) == ["run"])
  }

  /// What a daemon that was killed was writing goes when the next one begins; the rest stays.
  @Test func partialCheckpoints() throws {
    let folder = TemporaryFolder(), run = try RunBench([.forward()]).run()
    for name in [".step-00000007.abc.partial", "step-00000006", "other"] {
      _ = try run.save(to: folder.file(name), state: [:], monitor: Monitor())
    }
    try RunFolder.removePartial(in: folder.path)
    #expect(TemporaryFolder.names(in: folder.path) == ["other", "step-00000006"])
    #expect(try RunFolder.newest(at: folder.path) == folder.file("step-00000006"))
  }

  /// Numbers that no run has: none may make a later sum overflow.
  @Test(arguments: [
    ("tokens", "9223372036854775807"), ("tokens", "-1"), ("runSteps", "4"), ("runSteps", "-1"), ("recentLoss", "nan"),
    ("recentSteps", "99"), ("dataset", "sha256:0"),
  ])
  func detailsOfNoRun(key: String, value: String) throws {
    let folder = TemporaryFolder(), bench = try RunBench([.forward()]), run = try bench.run()
    for _ in 0..<3 { try run.step() }
    _ = try run.save(to: folder.file("run"), state: [:], monitor: Monitor())
    let file = folder.file("run/training.safetensors")
    try TrainingStateTests.rewritten(file) { _, metadata in #expect(metadata["details.\(key)"] != nil) }
    try bench.run().restore(from: folder.file("run"))
    try TrainingStateTests.rewritten(file) { _, metadata in metadata["details.\(key)"] = value }
    let error = #expect(throws: TrainingError.self) { try bench.run().restore(from: folder.file("run")) }
    #expect(error?.kind == "trainingStateMismatch")
  }

  /// Of steps whose rewards say nothing nothing is learned, and the run goes on.
  @Test(arguments: [false, true])
  func stepsThatTeachNothing(truncated: Bool) throws {
    var bench = try Teaching.rewards.bench()
    if truncated {
      bench.plan.policy?.skipsTruncated = true
      bench.plan.policy?.maximumTokens = 1
    } else {
      bench.plan.policy?.rewards = [WeightedReward(RewardRule(MadeUpReward("flat") { _ in 1 }))]
      bench.plan.policy?.advantages.dropsDegenerateGroups = true
    }
    let run = try bench.run(), step = try run.step()
    #expect(step.step == 1 && step.report.tokens > 0 && abs(step.report.loss) < 1e-6)
    #expect(step.report.gradientNorm < 1e-4, "no reward, and no way from the reference yet")
    #expect(truncated || step.rewards.contains { $0.name == "equalPrompts" && $0.value == 1 })
    #expect(try run.step().step == 2)
    // A test of the test: what differs teaches.
    #expect(try Teaching.rewards.bench().run().step().report.gradientNorm > 1e-2)
  }

  /// The newest stay, and none of a later step: a run that went on from an earlier one has left those behind. What is no
  /// whole checkpoint is nobody's to remove.
  @Test func checkpointsThatStay() throws {
    let folder = TemporaryFolder(), run = try RunBench([.forward()]).run()
    for step in [1, 2, 3, 5, 7] {
      _ = try run.save(to: RunFolder.path(folder.path, step: step), state: [:], monitor: Monitor())
    }
    try RunFolder.make(folder.file("step-00000004"))
    try RunFolder.keepNewest(2, in: folder.path, upTo: 5)
    #expect(TemporaryFolder.names(in: folder.path).sorted() == ["step-00000003", "step-00000004", "step-00000005"])
    #expect(try RunFolder.newest(at: folder.path) == folder.file("step-00000005"))
  }

  @Test func whatWasCommittedStays() throws {
    let bench = try RunBench([.forward()]), run = try bench.run(), history = try TestModel(tiny: "llama3").history
    func weights(_ revision: Revision) -> [UInt32] {
      let parameters = Parameters(bench.student.transformer, copying: revision, pool: Engine.pool)
      return withExtendedLifetime(parameters) { parameters.block.values.readOnly.map(\.bitPattern) }
    }
    let student = weights(bench.student.revision)
    for _ in 0..<2 { try run.step() }
    let revision = history.commit(run.operation(teacher: "t"), tensors: run.committedTensors())
    let committed = weights(revision)
    #expect(committed == run.bits[0] && committed != student)
    try run.step()
    #expect(weights(revision) == committed && run.bits[0] != committed)
    #expect(weights(bench.student.revision) == student)
    for (name, stored) in bench.student.revision.tensors {
      #expect(revision.tensors[name]?.mask?.bits.bytes == stored.mask?.bits.bytes, "\(name)")
    }
  }

  @Test func runsOfOthers() throws {
    let folder = TemporaryFolder(), path = folder.file("run"), run = try Teaching.projections.bench().run()
    try run.step()
    _ = try run.save(to: path, state: [:], monitor: Monitor())
    func refusal(_ change: (inout RunBench) throws -> Void) throws -> String {
      var bench = try Teaching.projections.bench()
      try change(&bench)
      do {
        try bench.run().restore(from: path)
        return "none"
      } catch { return (error as? TrainingError)?.kind ?? "\(error)" }
    }
    #expect(try refusal { _ in } == "none")
    #expect(try refusal { $0.dataset = try RunBench.dataset(sequences: 6, seed: 9) } == "trainingStateMismatch")
    #expect(try refusal { $0.plan.features = [] } == "trainingStateMismatch")
    #expect(try refusal { $0.plan.features.removeLast() } == "trainingStateMismatch")
    #expect(try refusal { $0.options.training.optimizer.beta1 = 0.8 } == "trainingStateMismatch")
    #expect(try refusal { $0.student = try TrainingFamily("llama3").model.state } == "trainingStateMismatch")
  }
}
