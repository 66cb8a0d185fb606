// Twenty steps of group-relative policy optimisation on fixed samples, as PyTorch takes them; and the sequences of a step.

import Compression
import Glibc
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct PolicyTrainingTests {
  /// The losses of the steps, and the fractions of clipped tokens; at most `tokens` go through the model together.
  static func train(
    _ run: PolicyRun, _ golden: PolicyGolden, steps: Int = 20, tokens: Int = 1000,
    options: PolicyOptions? = nil
  ) throws -> (losses: [Double], clipped: [Double]) {
    let state = try TrainingFamily("llama3").model.state, compute = try Engine.compute
    let lesson = PolicyLesson(try run.sequences(golden), options: options ?? run.options, tokens: tokens)
    let trainer = Trainer(
      state, batch: Batch.covering(lesson.batches.map(\.batch)), options: TrainingFamily.options, compute: compute)
    var losses: [Double] = [], clipped: [Double] = []
    for _ in 0..<steps {
      let report = try trainer.step(
        lesson.batches, lesson: lesson, learningRate: 1e-4, cancellation: Cancellation())
      #expect(report.loss == lesson.metrics.loss && report.tokens == lesson.metrics.tokens)
      losses.append(report.loss)
      clipped.append(lesson.metrics.clippedFraction)
    }
    return (losses, clipped)
  }

  @Test(arguments: PolicyRun.allCases)
  func twentyStepsAgreeWithPyTorch(run: PolicyRun) throws {
    let golden = try PolicyGolden(), (losses, clipped) = try Self.train(run, golden)
    let name = "steps.\(run.rawValue).losses", tolerance = Tolerance(relative: 1e-4)
    #expect(try golden.golden.difference(Numbers(losses), from: name, tolerance) == nil)
    #expect(
      try golden.golden.difference(
        Numbers(clipped), from: "steps.\(run.rawValue).clipped", Tolerance(absolute: 1e-6)) == nil)
    // Sequence by sequence, and a few at a time.
    for tokens in [1, 30] {
      let split = try Self.train(run, golden, steps: 5, tokens: tokens).losses
      for (a, b) in zip(split, losses) { #expect(abs(a - b) < 1e-6) }
    }
  }

  /// Tests of the test: what differs in the recipe shows in the losses.
  @Test(arguments: ["clip", "estimator", "temperature", "divergence"])
  func otherRecipesShow(change: String) throws {
    let golden = try PolicyGolden()
    var options = PolicyRun.dapo.options
    switch change {
    case "clip": options.clipHigh = 0.2
    case "estimator": options.correctsBias = false
    case "temperature": options.temperature = 0.91
    default: options.divergenceWeight = 0.11
    }
    let losses = try Self.train(.dapo, golden, options: options).losses
    #expect(
      try golden.golden.difference(Numbers(losses), from: "steps.dapo.losses", Tolerance(relative: 1e-4)) != nil)
  }

  /// The log-probabilities that the golden has for the reference and for another model as teacher.
  @Test func logProbabilitiesAgreeWithPyTorch() throws {
    let golden = try PolicyGolden(), groups = try golden.groups()
    for (run, model, temperature, tensor) in [
      (PolicyRun.grpo, "llama3", 1.0, "reference"), (.dapo, "llama3", 0.9, "reference"),
      (.drGRPO, "qwen3", 1, "teacher"),
    ] {
      let state = try TrainingFamily(model).model.state
      let found = try logProbabilities(
        of: groups, transformer: state.transformer, weights: state.revision, temperature: temperature,
        compute: Engine.compute, monitor: Monitor())
      let expected = try golden.tokenValues("steps.\(run.rawValue).\(tensor)")
      let flat = Numbers(found.flatMap { $0.flatMap { $0 } })
      let wanted = Numbers(expected.flatMap { $0.flatMap { $0 } })
      #expect(difference(flat, wanted, Tolerance(absolute: 1e-5)) == nil, "\(model)")
    }
    #expect(
      try logProbabilities(
        of: [], transformer: TrainingFamily("llama3").model.transformer,
        weights: TrainingFamily("llama3").model.history.current, compute: Engine.compute, monitor: Monitor()
      ).isEmpty)
  }

  // MARK: Sequences

  static func groups(_ lengths: [[Int]], ended: Bool = true) -> [SampledGroup] {
    lengths.map { lengths in
      SampledGroup(
        example: Example(prompt: "", promptTokens: [1, 2, 3], answer: nil),
        completions: lengths.enumerated().map { index, length in
          SampledCompletion(
            tokens: (0..<length).map { Int32(10 + $0) }, text: "", hasEnded: ended || index > 0, logProbabilities: [])
        })
    }
  }

  static func weight(_ sequence: PolicySequence) -> Double? { sequence.rows.last.flatMap { $0?.weight } }

  @Test func rowsAndWeights() throws {
    let groups = Self.groups([[1, 4], [2, 3]])
    let advantages = try Advantages([[[1, 0], [0, 2]]], weights: [1])
    func sequences(_ normalisation: PolicyNormalisation, skipping: Bool = false) -> [PolicySequence] {
      policySequences(
        skipping ? Self.groups([[1, 4], [2, 3]], ended: false) : groups, advantages: advantages,
        normalisation: normalisation, maximumTokens: 8, skipsTruncated: skipping)
    }
    let all = sequences(.grpo), weight = Self.weight
    #expect(all[1].tokens == [1, 2, 3, 10, 11, 12])
    #expect(all[1].rows.map { $0?.token } == [nil, nil, 10, 11, 12, 13])
    #expect(all[0].tokens == [1, 2, 3] && all[0].rows.map { $0?.token } == [nil, nil, 10])
    let divisors: [Double] = [4, 16, 8, 12]
    #expect(all.map(weight) == divisors.map { 1 / $0 })
    #expect(sequences(.dapo).map(weight) == [0.1, 0.1, 0.1, 0.1])
    #expect(sequences(.drGRPO).map(weight) == [0.03125, 0.03125, 0.03125, 0.03125])
    #expect(all[0].rows[2]?.advantage == advantages.values[0][0])
    // Cut off ones do not count, nor do their tokens; sequences they still are.
    let left = sequences(.dapo, skipping: true)
    #expect(left[0].rows.allSatisfy { $0 == nil } && left[2].rows.allSatisfy { $0 == nil })
    #expect(weight(left[1]) == 1 / 7.0)
    #expect(weight(sequences(.grpo, skipping: true)[1]) == 0.0625)
  }

  /// All were cut off: there is nothing to learn, and still a step.
  @Test func allTruncated() throws {
    let groups = [[1, 4], [2, 3]].map { lengths in
      SampledGroup(
        example: Example(prompt: "", promptTokens: [1], answer: nil),
        completions: lengths.map {
          SampledCompletion(tokens: [Int32](repeating: 5, count: $0), text: "", hasEnded: false, logProbabilities: [])
        })
    }
    let sequences = policySequences(
      groups, advantages: try Advantages([[[1, 0], [0, 2]]], weights: [1]), normalisation: .dapo, maximumTokens: 4,
      skipsTruncated: true)
    let tokens = sequences.flatMap { $0.rows.compactMap(\.self) }
    #expect(tokens.count == 10 && tokens.allSatisfy { $0.advantage == 0 && $0.weight == 0.1 })
  }

  /// Only groups that count become sequences.
  @Test func droppedGroups() throws {
    var options = AdvantageOptions()
    options.dropsDegenerateGroups = true
    let advantages = try Advantages([[[1, 1], [0, 2]]], weights: [1], options: options)
    var knowledge = PolicyKnowledge()
    knowledge.old = [[[-1], [-1, -1, -1, -1]], [[-2, -3], [-4, -5, -6]]]
    let sequences = policySequences(
      Self.groups([[1, 4], [2, 3]]), advantages: advantages, knowledge: knowledge, normalisation: .dapo,
      maximumTokens: 8)
    #expect(sequences.count == 2 && Self.weight(sequences[0]) == 0.2)
    #expect(sequences[1].rows.compactMap { $0?.oldLogProbability } == [-4, -5, -6])
  }

  /// Credits against the sums that define them.
  @Test(arguments: [0, 0.5, 0.9, 1], [false, true])
  func teachersCredits(discount: Double, normalised: Bool) {
    var random = Seeded(3)
    let teacher = (0..<9).map { _ in -random.uniform() }, student = (0..<9).map { _ in -random.uniform() }
    let credits = TeacherTerm(weight: 1, discount: discount, isNormalised: normalised)
      .credits(teacher: teacher, student: student)
    for t in 0..<9 {
      var sum = 0.0, factors = 0.0, factor = 1.0
      for s in t..<9 {
        sum += factor * (teacher[s] - student[s])
        factors += factor
        factor *= discount
      }
      #expect(abs(credits[t] - (normalised ? sum / factors : sum)) < 1e-12)
    }
    #expect(TeacherTerm(weight: 1).credits(teacher: [], student: []).isEmpty)
  }

  /// Expected over a student's own tokens, the teacher's term has the gradient of KL(student || teacher).
  @Test func teachersTermIsReverseDivergence() {
    var random = Seeded(8)
    let q = softmax((0..<6).map { _ in random.normal() }), p = softmax((0..<6).map { _ in random.normal() })
    let divergence = zip(q, p).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) }
    var gradient = q.map { _ in 0.0 }
    for a in q.indices {
      let credit = TeacherTerm(weight: 1).credits(teacher: [log(p[a])], student: [log(q[a])])[0]
      let loss = PolicyTokenLoss(
        PolicyToken(token: Int32(a), advantage: credit, weight: 1), logProbability: log(q[a]), PolicyOptions())
      for j in q.indices { gradient[j] += q[a] * loss.slope * ((j == a ? 1 : 0) - q[j]) }
    }
    let expected = zip(q, p).map { $0 * (log($0 / $1) - divergence) }
    #expect(PolicyLossTests.distance(gradient, expected) < 1e-12)
  }
}
