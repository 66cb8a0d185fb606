// A plugin's reward, "espalier.reward/1", in the clothes of Compression's `Reward`. The one kind whose parameters may
// be texts: they travel beside the completion, and the plugin's double is the index of the text.

import CPluginABI
package import Compression
package import Tensors

/// What a plugin offers as a reward, every field checked.
struct RewardOffer: @unchecked Sendable {
  let description: RewardDescription
  let table: espalier_reward

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, of identity: PluginIdentity) throws(PluginRejection) {
    let fields = MethodFields(name: "espalier_reward", identity: identity)
    table = try loadStruct(at: pointer, name: fields.name)
    try fields.require(table.judge != nil, "judge")
    description = RewardDescription(
      method: try fields.method(table.parameters, count: table.parameter_count, takesText: true),
      needsTeacher: try fields.flag(table.needs_teacher, "needs_teacher"),
      needsAnswer: try fields.flag(table.needs_answer, "needs_answer"))
  }
}

package struct PluginReward: Reward {
  /// What errors name in place of a tensor.
  private static let subject = "a completion"

  package let description: RewardDescription
  private let offer: RewardOffer
  private let caller: MethodCaller

  init(_ offer: RewardOffer, services: PluginServices) {
    description = offer.description
    self.offer = offer
    caller = MethodCaller(method: offer.description.method, services: services)
  }

  /// - Throws: `Cancelled`; `PluginError`.
  package func judge(
    _ text: SampledText, parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> Double {
    let values = try caller.values(parameters, for: Self.subject)
    try caller.checking(Self.subject) { () throws(PluginInputProblem) in try text.check(for: description) }
    if text.completion.utf8.contains(0) {
      diagnostics.add(
        Diagnostic(
          .information, kind: "zeroInText", "Completions have the character U+0000; rewards see U+FFFD instead."))
    }
    let arena = ForeignArena()
    let foreign = text.foreign(
      arena, texts: parameters.compactMap { if case .text(let text) = $0 { text } else { nil } },
      withTeacher: description.needsTeacher)
    var reward = Double.nan
    try withExtendedLifetime(arena) {
      try caller.call(
        Self.subject, values, monitor: monitor, diagnostics: diagnostics, isInLoop: true
      ) { host, values, message in
        offer.table.judge?(host, foreign, values, &reward, message) ?? ESPALIER_FAILED
      }
    }
    try caller.judging(Self.subject) { () throws(PluginViolation) in
      guard reward.isFinite else { throw .notFinite(what: "reward", index: 0, value: "\(reward)") }
    }
    return reward
  }
}

extension String {
  /// With U+FFFD for U+0000, at which C would take it to end.
  fileprivate var withoutZeros: String {
    guard utf8.contains(0) else { return self }
    return String(String.UnicodeScalarView(unicodeScalars.map { $0.value == 0 ? "\u{fffd}" : $0 }))
  }
}

extension SampledText {
  fileprivate func check(for description: RewardDescription) throws(PluginInputProblem) {
    guard tokens >= 1 else { throw .tooSmall(what: "the number of tokens", given: tokens, least: 1) }
    guard !description.needsTeacher || teacherLogLikelihood?.isFinite == true else { throw .teacherMissing }
    guard !description.needsAnswer || answer != nil else { throw .answerMissing }
    for (what, text) in [("prompt", prompt), ("answer", answer ?? "")] where text.utf8.contains(0) {
      throw .zeroInText(what: what)
    }
  }

  /// The C form, which lives as long as `arena`.
  fileprivate func foreign(
    _ arena: ForeignArena, texts: [String], withTeacher: Bool
  ) -> UnsafePointer<espalier_completion> {
    let list = texts.map { Optional(arena.copy(text: $0)) }
    return arena.copy(
      one: espalier_completion(
        struct_size: UInt32(MemoryLayout<espalier_completion>.size), ended: hasEnded ? 1 : 0,
        prompt: arena.copy(text: prompt), completion: arena.copy(text: completion.withoutZeros),
        answer: answer.map { arena.copy(text: $0) }, tokens: Int64(tokens),
        teacher_log_likelihood: withTeacher ? teacherLogLikelihood ?? 0 : 0,
        texts: list.isEmpty ? nil : UnsafePointer(arena.copy(list))))
  }
}
