// Objectives, feature objectives and rewards: good calls, every promise that a result can break, and the fields that
// are refused on loading.

import Compression
import Dispatch
import PluginHost
import Synchronization
import Tensors
import Testing

@Suite struct LessonCallTests {
  typealias Behaviour = LessonSpecimen.Behaviour
  static let q: [Float] = [0.25, 0.5, 0.125, 0.125], log: [Float] = [-1.25, -0.75, -2, -2.5]
  static let p: [Float] = [0.5, 0.375, 0.0625, 0.0625], teacherLog: [Float] = [-0.5, -1, -3, -4]

  func registry() throws -> PluginRegistry { try LessonSpecimen.registry.get() }
  func other() throws -> PluginRegistry { try LessonSpecimen.other.get() }

  // MARK: Objective

  func evaluate(
    _ behaviour: Behaviour, target: Int = 2, vocabulary: Int = 4, hasTeacher: Bool = true, monitor: Monitor = Monitor(),
    diagnostics: Diagnostics = Diagnostics(), registry: PluginRegistry? = nil
  ) throws -> (loss: Double, gradient: [Float]) {
    let objective = try (registry ?? self.registry()).objective(id: "lessons")
    var gradient = [Float](repeating: 7, count: 5), loss = 0.0
    try Self.q.withUnsafeBufferPointer { q in
      try Self.log.withUnsafeBufferPointer { log in
        try Self.p.withUnsafeBufferPointer { p in
          try Self.teacherLog.withUnsafeBufferPointer { teacherLog in
            let student = try Prediction.Distribution(
              logProbabilities: #require(log.baseAddress), probabilities: #require(q.baseAddress))
            let teacher = try Prediction.Distribution(
              logProbabilities: #require(teacherLog.baseAddress), probabilities: #require(p.baseAddress))
            let prediction = Prediction(
              vocabulary: vocabulary, target: target, student: student, teacher: hasTeacher ? teacher : nil, seed: 77)
            loss = try gradient.withUnsafeMutableBufferPointer { gradient in
              try objective.evaluate(
                prediction, parameters: [behaviour.value, .number(1.5)], gradient: #require(gradient.baseAddress),
                monitor: monitor, diagnostics: diagnostics)
            }
          }
        }
      }
    }
    return (loss, gradient)
  }

  @Test func aPredictionIsJudged() throws {
    let (loss, gradient) = try evaluate(.good)
    #expect(loss == 2.5)
    #expect(gradient == [0, 1, 2, 3, 7])
    let description = try registry().objective(id: "lessons").description
    #expect(description.needsTeacher && !description.fixedTemperature)
    #expect(
      Verdict { _ = try evaluate(.echo) } == .failed("2 of 4, seed 77, q -0.75 0.5, p -1 0.375, factor 1.5"))
    // One that asks for no teacher sees none.
    #expect(try other().objective(id: "lessons").description.fixedTemperature)
    #expect(
      Verdict { _ = try evaluate(.echo, registry: other()) }
        == .failed("2 of 4, seed 77, q -0.75 0.5, p -1 -1, factor 1.5"))
    _ = try evaluate(.good, hasTeacher: false, registry: other())
  }

  @Test func whatAnObjectivePromisesIsHeldAgainstIt() {
    func broken(_ what: String, _ index: Int, _ value: String) -> Verdict {
      .broken("a prediction", .notFinite(what: what, index: index, value: value))
    }
    #expect(Verdict { _ = try evaluate(.nanLoss) } == broken("loss", 0, "nan"))
    #expect(Verdict { _ = try evaluate(.infiniteLoss) } == broken("loss", 0, "inf"))
    #expect(Verdict { _ = try evaluate(.nanInside) } == broken("gradient", 2, "nan"))
    #expect(Verdict { _ = try evaluate(.infiniteInside) } == broken("gradient", 2, "-inf"))
    #expect(Verdict { _ = try evaluate(.nothing) } == broken("loss", 0, "nan"))
    #expect(Verdict { _ = try evaluate(.fail) } == .failed("as told"))
  }

  @Test func anObjectiveIsNotCalledWithNonsense() {
    #expect(Verdict { _ = try evaluate(.good, hasTeacher: false) } == .invalid(.teacherMissing))
    #expect(
      Verdict { _ = try evaluate(.good, target: 4) } == .invalid(.targetInvalid(given: 4, vocabulary: 4)))
    #expect(
      Verdict { _ = try evaluate(.good, target: -1) } == .invalid(.targetInvalid(given: -1, vocabulary: 4)))
    #expect(
      Verdict { _ = try evaluate(.good, target: 0, vocabulary: 0) }
        == .invalid(.tooSmall(what: "the vocabulary", given: 0, least: 1)))
  }

  /// It is called from the bodies of a loop of the host's.
  @Test func anObjectiveHasNoLoops() {
    #expect(Verdict { _ = try evaluate(.loop) } == .failed("a loop gives 2"))
  }

  @Test func predictionsAreJudgedOnSeveralThreads() throws {
    let failures = Mutex(0), diagnostics = Diagnostics()
    DispatchQueue.concurrentPerform(iterations: 200) { index in
      let result = try? evaluate(index % 2 == 0 ? .good : .diagnose, diagnostics: diagnostics)
      if result?.loss != 2.5 || result?.gradient != [0, 1, 2, 3, 7] { failures.withLock { $0 += 1 } }
    }
    #expect(failures.withLock { $0 } == 0)
    #expect(
      diagnostics.all.kept == [Diagnostic(.warning, kind: "strangeToken", "a strange token")])
  }

  // MARK: Feature objective

  struct Batch {
    var lengths = [2, 1]
    var widths = (student: 4, teacher: 6)
    var heads = 2
    var counted: [UInt8] = [1, 0, 1]
    var memory = 46
    var elements = 12
    var factor = 1.5
  }

  func compare(
    _ behaviour: Behaviour, _ batch: Batch = Batch(), monitor: Monitor = Monitor(), registry: PluginRegistry? = nil
  ) throws -> (loss: Double, gradient: [Float], memory: [Float]) {
    let objective = try (registry ?? self.registry()).featureObjective(id: "lessons")
    let student = FloatBuffer((0..<12).map { Float($0) }), teacher = FloatBuffer((0..<18).map { 2 * Float($0) })
    let gradient = FloatBuffer(count: batch.elements), memory = FloatBuffer(count: batch.memory)
    memory.values.update(repeating: 0.5)
    let loss = try batch.counted.withUnsafeBufferPointer { counted in
      let features = try Features(
        lengths: batch.lengths, studentWidth: batch.widths.student, teacherWidth: batch.widths.teacher,
        heads: batch.heads, student: student.pointer, teacher: teacher.pointer,
        counted: #require(counted.baseAddress), seed: 9, memory: memory.values)
      return try objective.compare(
        features, parameters: [behaviour.value, .number(batch.factor)], gradient: gradient.values, monitor: monitor,
        diagnostics: Diagnostics())
    }
    return (loss, Array(gradient.readOnly), Array(memory.readOnly))
  }

  @Test func featuresAreCompared() throws {
    let (loss, gradient, memory) = try compare(.good)
    #expect(loss == 2.5)
    #expect(gradient == (0..<12).map { 3 * Float($0) })
    #expect(memory == [Float](repeating: 1.5, count: 46))
    #expect(
      Verdict { _ = try compare(.echo) } == .failed("2 sequences, 3 rows, 4 | 6 in 2 heads, 1 2 10, seed 9, 46"))
    let description = try registry().featureObjective(id: "lessons").description
    #expect(description.isPerSequence && !description.needsSameWidth)
    let other = try other().featureObjective(id: "lessons")
    #expect(!other.description.isPerSequence && other.description.needsSameWidth)
    let values = [Behaviour.good.value, ParameterValue.number(1)]
    #expect(try other.memoryCount(parameters: values, studentWidth: 4, teacherWidth: 4) == 0)
  }

  @Test func whatAFeatureObjectivePromisesIsHeldAgainstIt() {
    func broken(_ what: String, _ index: Int, _ value: String) -> Verdict {
      .broken("features", .notFinite(what: what, index: index, value: value))
    }
    #expect(Verdict { _ = try compare(.nanLoss) } == broken("loss", 0, "nan"))
    #expect(Verdict { _ = try compare(.nothing) } == broken("loss", 0, "nan"))
    #expect(Verdict { _ = try compare(.nanInside) } == broken("gradient", 6, "nan"))
    #expect(Verdict { _ = try compare(.infiniteInside) } == broken("gradient", 6, "-inf"))
    #expect(Verdict { _ = try compare(.good, Batch(factor: 0)) } == broken("memory", 1, "nan"))
    #expect(Verdict { _ = try compare(.badMemory) } == .broken("features", .memoryInvalid(given: -1)))
    #expect(Verdict { _ = try compare(.hugeMemory) } == .broken("features", .memoryInvalid(given: 268_435_457)))
  }

  @Test func aFeatureObjectiveIsNotCalledWithNonsense() throws {
    let cases: [(Batch, PluginInputProblem)] = [
      (Batch(lengths: []), .tooSmall(what: "the number of sequences", given: 0, least: 1)),
      (Batch(lengths: [3, 0]), .tooSmall(what: "the length of a sequence", given: 0, least: 1)),
      (Batch(heads: 0), .tooSmall(what: "the number of heads", given: 0, least: 1)),
      (Batch(heads: 3), .count(what: "features in 3 heads", given: 4, expected: 3)),
      (Batch(counted: [1, 2, 0]), .maskValue(index: 1, value: 2)),
      (Batch(memory: 45), .count(what: "floats of memory", given: 45, expected: 46)),
      (Batch(elements: 11), .shape(what: "elements of the gradient", rows: 3, columns: 4, given: 11)),
      (Batch(widths: (0, 6), memory: 6), .tooSmall(what: "the student's width", given: 0, least: 1)),
    ]
    for (batch, problem) in cases { #expect(Verdict { _ = try compare(.good, batch) } == .invalid(problem)) }
    let other = try other()
    #expect(
      Verdict { _ = try compare(.good, Batch(memory: 0), registry: other) }
        == .invalid(.count(what: "student features of a position", given: 4, expected: 6)))
  }

  // MARK: Reward

  static let text = SampledText(
    prompt: "2+2=", completion: "4é", answer: "4", tokens: 3, hasEnded: true, teacherLogLikelihood: -1.5)

  func judge(
    _ behaviour: Behaviour, _ text: SampledText = text, pattern: ParameterValue = .text("x|y"),
    monitor: Monitor = Monitor(), diagnostics: Diagnostics = Diagnostics(), registry: PluginRegistry? = nil
  ) throws -> Double {
    try (registry ?? self.registry()).reward(id: "lessons").judge(
      text, parameters: [behaviour.value, .number(1), pattern, .text("")], monitor: monitor,
      diagnostics: diagnostics)
  }

  @Test func aTextIsJudged() throws {
    #expect(try judge(.good) == 2.5)
    let reward = try registry().reward(id: "lessons").description
    #expect(reward.needsTeacher && !reward.needsAnswer)
    #expect(reward.method.parameters[2].kind == .text(default: "a+"))
    #expect(reward.method.parameters[3].defaultValue == .text(""))
    #expect(Verdict { _ = try judge(.echo) } == .failed("2+2=|4é|4|31|-1.5|x|y||01"))
    let open = SampledText(
      prompt: "", completion: "", answer: "", tokens: 1, hasEnded: false, teacherLogLikelihood: -2)
    #expect(Verdict { _ = try judge(.echo, open, registry: other()) } == .failed("|||10|0|x|y||01"))
    let unanswered = SampledText(
      prompt: "a", completion: "b", answer: nil, tokens: 1, hasEnded: false, teacherLogLikelihood: -2)
    #expect(Verdict { _ = try judge(.echo, unanswered) } == .failed("a|b|none|10|-2|x|y||01"))
    #expect(Verdict { _ = try judge(.good, unanswered, registry: other()) } == .invalid(.answerMissing))
  }

  @Test func whatARewardPromisesIsHeldAgainstIt() {
    func broken(_ value: String) -> Verdict {
      .broken("a completion", .notFinite(what: "reward", index: 0, value: value))
    }
    #expect(Verdict { _ = try judge(.nanLoss) } == broken("nan"))
    #expect(Verdict { _ = try judge(.infiniteLoss) } == broken("inf"))
    #expect(Verdict { _ = try judge(.nothing) } == broken("nan"))
    #expect(Verdict { _ = try judge(.loop) } == .failed("a loop gives 2"))
  }

  @Test func aRewardIsNotCalledWithNonsense() {
    func text(prompt: String = "a", tokens: Int = 1, likelihood: Double? = -1) -> SampledText {
      SampledText(
        prompt: prompt, completion: "b", answer: nil, tokens: tokens, hasEnded: true,
        teacherLogLikelihood: likelihood)
    }
    #expect(Verdict { _ = try judge(.good, text(likelihood: nil)) } == .invalid(.teacherMissing))
    #expect(Verdict { _ = try judge(.good, text(likelihood: -.infinity)) } == .invalid(.teacherMissing))
    #expect(
      Verdict { _ = try judge(.good, text(tokens: 0)) }
        == .invalid(.tooSmall(what: "the number of tokens", given: 0, least: 1)))
    #expect(Verdict { _ = try judge(.good, text(prompt: "a\0")) } == .invalid(.zeroInText(what: "prompt")))
    for value in [ParameterValue.text(String(repeating: "é", count: 513)), .text("a\0b"), .number(1)] {
      #expect(
        Verdict { _ = try judge(.good, pattern: value) }
          == .invalid(.parameterValue(name: "pattern", given: value, allowed: .text(default: "a+"))))
    }
    #expect(Verdict { _ = try judge(.good, pattern: .text(String(repeating: "é", count: 512))) } == .done)
  }

  @Test func aZeroThatAModelWroteIsReplacedAndReported() {
    let diagnostics = Diagnostics()
    let text = SampledText(
      prompt: "a", completion: "b\0c", answer: nil, tokens: 3, hasEnded: true, teacherLogLikelihood: -1)
    #expect(
      Verdict { _ = try judge(.echo, text, diagnostics: diagnostics) } == .failed("a|b\u{fffd}c|none|31|-1|x|y||01"))
    #expect(diagnostics.all.kept.map(\.kind) == ["zeroInText"])
  }

  // MARK: All kinds

  @Test func cancellationReachesEveryKind() {
    for call in [
      { _ = try evaluate(.wait, monitor: $0) }, { _ = try compare(.wait, monitor: $0) },
      { _ = try judge(.wait, monitor: $0) },
    ] as [(Monitor) throws -> Void] {
      let cancellation = Cancellation()
      let monitor = Monitor(cancellation: cancellation) { _, _ in cancellation.cancel() }
      #expect(Verdict { try call(monitor) } == .cancelled)
    }
  }

  @Test func aLibraryOffersThem() throws {
    #expect(try registry().describe(id: "lessons").methods.map(\.kind) == LessonSpecimen.kinds)
    #expect(
      throws: PluginError.otherKind(id: "lessons", wanted: .solver, offers: LessonSpecimen.kinds, available: [])
    ) { try registry().solver(id: "lessons") }
    let kinds = try KindSpecimen.registry.get()
    #expect(
      throws: PluginError.otherKind(id: "kinds", wanted: .reward, offers: KindSpecimen.kinds, available: [])
    ) { try kinds.reward(id: "kinds") }
  }

  @Test(arguments: [
    ("EVALUATE", "NULL", "espalier_objective.evaluate"), ("COMPARE", "NULL", "espalier_feature_objective.compare"),
    ("JUDGE", "NULL", "espalier_reward.judge"), ("NEEDS_TEACHER", "2", "espalier_objective.needs_teacher"),
    ("FIXED_TEMPERATURE", "2", "espalier_objective.fixed_temperature"),
    ("PER_SEQUENCE", "2", "espalier_feature_objective.per_sequence"),
    ("SAME_WIDTH", "0xffffffff", "espalier_feature_objective.same_width"),
    ("NEEDS_ANSWER", "2", "espalier_reward.needs_answer"), ("PLAIN_COUNT", "65", "espalier_objective.parameters"),
    ("PLAIN", "NULL", "espalier_objective.parameters"), ("PLAIN", "texts", "espalier_objective.parameters[2]"),
    ("DEFAULT_TEXT", "NULL", "espalier_reward.parameters[2].default_text"),
    ("DEFAULT_TEXT", "\"a\\nb\"", "espalier_reward.parameters[2].default_text"),
    ("TEXT_MORE", ".maximum=1", "espalier_reward.parameters[2]"),
    ("TEXT_MORE", ".choice_count=2", "espalier_reward.parameters[2].choices"),
  ])
  func aBadFieldIsNamed(name: String, value: String, field: String) throws {
    let workshop = try Workshop()
    var definitions = [name: value]
    // Texts in an objective.
    if value == "texts" { definitions["PLAIN_COUNT"] = "3" }
    let path = try LessonSpecimen.path(in: workshop, definitions)
    let rejection = LoadingTests.rejection(of: path)
    guard case .fieldInvalid(let found, _) = rejection, found.hasPrefix(field) else {
      Issue.record("\(String(describing: rejection))")
      return
    }
  }

  @Test func anObjectiveOfWrongSizeIsRefused() throws {
    let workshop = try Workshop()
    let path = try LessonSpecimen.path(in: workshop, ["OBJECTIVE_SIZE": "24"])
    #expect(
      LoadingTests.rejection(of: path) == .structSize(name: "espalier_objective", found: 24, expected: 32))
  }

  /// What the host adds to a call for every token of a run. Generous: a debug build on a busy machine.
  @Test func aCallCostsLittle() throws {
    let clock = ContinuousClock()
    let best = try (0..<20).map { _ in
      try clock.measure { for _ in 0..<100 { _ = try evaluate(.good) } }
    }.min()
    #expect(try #require(best) < .milliseconds(20))
  }
}
