// A plugin's objective, "espalier.objective/1", in the clothes of Compression's `Objective`. It is called for every
// token of a run: what the host adds to the plugin's work is one pass over the gradient.

import CPluginABI
package import Compression
package import Tensors

/// What a plugin offers as an objective, every field checked.
struct ObjectiveOffer: @unchecked Sendable {
  let description: ObjectiveDescription
  let table: espalier_objective

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, of identity: PluginIdentity) throws(PluginRejection) {
    let fields = MethodFields(name: "espalier_objective", identity: identity)
    table = try loadStruct(at: pointer, name: fields.name)
    try fields.require(table.evaluate != nil, "evaluate")
    description = ObjectiveDescription(
      method: try fields.method(table.parameters, count: table.parameter_count),
      needsTeacher: try fields.flag(table.needs_teacher, "needs_teacher"),
      fixedTemperature: try fields.flag(table.fixed_temperature, "fixed_temperature"))
  }
}

package struct PluginObjective: Objective {
  /// What errors name in place of a tensor.
  private static let subject = "a prediction"

  package let description: ObjectiveDescription
  private let offer: ObjectiveOffer
  private let caller: MethodCaller

  init(_ offer: ObjectiveOffer, services: PluginServices) {
    description = offer.description
    self.offer = offer
    caller = MethodCaller(method: offer.description.method, services: services)
  }

  /// The first and the last element of the gradient start as NaN: a plugin that does not write it is found out.
  /// - Throws: `Cancelled`; `PluginError`.
  package func evaluate(
    _ prediction: Prediction, parameters: [ParameterValue], gradient: UnsafeMutablePointer<Float>, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws -> Double {
    let values = try caller.values(parameters, for: Self.subject)
    try caller.checking(Self.subject) { () throws(PluginInputProblem) in
      try prediction.check(needsTeacher: description.needsTeacher)
    }
    let gradient = UnsafeMutableBufferPointer(start: gradient, count: prediction.vocabulary)
    gradient[0] = .nan
    gradient[gradient.count - 1] = .nan
    var loss = Double.nan
    let foreign = prediction.foreign(withTeacher: description.needsTeacher)
    try withUnsafePointer(to: foreign) { foreign in
      try caller.call(
        Self.subject, values, monitor: monitor, diagnostics: diagnostics, isInLoop: true
      ) { host, values, message in
        offer.table.evaluate?(host, foreign, values, &loss, gradient.baseAddress, message) ?? ESPALIER_FAILED
      }
    }
    try caller.judging(Self.subject) { () throws(PluginViolation) in
      try checkLoss(loss)
      try checkGradient(UnsafeBufferPointer(gradient))
    }
    return loss
  }
}

/// - Throws: `notFinite`.
func checkLoss(_ loss: Double) throws(PluginViolation) {
  guard loss.isFinite else { throw .notFinite(what: "loss", index: 0, value: "\(loss)") }
}

/// - Throws: `notFinite`, of the first such element.
func checkGradient(_ gradient: UnsafeBufferPointer<Float>) throws(PluginViolation) {
  if !gradient.isAllFinite { try checkFinite(gradient, "gradient") }
}

extension Prediction {
  fileprivate func check(needsTeacher: Bool) throws(PluginInputProblem) {
    guard vocabulary >= 1 else { throw .tooSmall(what: "the vocabulary", given: vocabulary, least: 1) }
    guard (0..<vocabulary).contains(target) else { throw .targetInvalid(given: target, vocabulary: vocabulary) }
    guard !needsTeacher || teacher != nil else { throw .teacherMissing }
  }

  /// The C form, with a teacher only for those who asked for one.
  fileprivate func foreign(withTeacher: Bool) -> espalier_prediction {
    espalier_prediction(
      struct_size: UInt32(MemoryLayout<espalier_prediction>.size), reserved: 0, vocabulary: Int64(vocabulary),
      target: Int64(target), seed: seed, student_log: student.logProbabilities, student: student.probabilities,
      teacher_log: withTeacher ? teacher?.logProbabilities : nil,
      teacher: withTeacher ? teacher?.probabilities : nil)
  }
}
