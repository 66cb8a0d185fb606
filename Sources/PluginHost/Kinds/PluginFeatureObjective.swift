// A plugin's feature objective, "espalier.feature-objective/1", in the clothes of Compression's `FeatureObjective`.
// Gradients start as NaN.

import CPluginABI
package import Compression
package import Tensors

/// What a plugin offers as a feature objective, every field checked.
struct FeatureObjectiveOffer: @unchecked Sendable {
  let description: FeatureObjectiveDescription
  let table: espalier_feature_objective

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, of identity: PluginIdentity) throws(PluginRejection) {
    let fields = MethodFields(name: "espalier_feature_objective", identity: identity)
    table = try loadStruct(at: pointer, name: fields.name)
    try fields.require(table.compare != nil, "compare")
    description = FeatureObjectiveDescription(
      method: try fields.method(table.parameters, count: table.parameter_count),
      isPerSequence: try fields.flag(table.per_sequence, "per_sequence"),
      needsSameWidth: try fields.flag(table.same_width, "same_width"))
  }
}

package struct PluginFeatureObjective: FeatureObjective {
  /// Floats of a memory bank, at most.
  static let memoryLimit: Int64 = 1 << 28
  /// What errors name in place of a tensor.
  private static let subject = "features"

  package let description: FeatureObjectiveDescription
  private let offer: FeatureObjectiveOffer
  private let caller: MethodCaller

  init(_ offer: FeatureObjectiveOffer, services: PluginServices) {
    description = offer.description
    self.offer = offer
    caller = MethodCaller(method: offer.description.method, services: services)
  }

  /// - Throws: `PluginError`, also for a count that is not in 0...2^28.
  package func memoryCount(
    parameters: [ParameterValue], studentWidth: Int, teacherWidth: Int
  ) throws -> Int {
    let values = try caller.values(parameters, for: Self.subject)
    try caller.checking(Self.subject) { () throws(PluginInputProblem) in
      try check(studentWidth: studentWidth, teacherWidth: teacherWidth)
    }
    guard let memory = offer.table.memory else { return 0 }
    let count = values.withUnsafeBufferPointer { values in
      memory(values.isEmpty ? nil : values.baseAddress, Int64(studentWidth), Int64(teacherWidth))
    }
    guard (0...Self.memoryLimit).contains(count) else {
      throw PluginError.contractBroken(
        id: description.method.id, tensor: Self.subject, .memoryInvalid(given: count))
    }
    return Int(count)
  }

  /// - Throws: `Cancelled`; `PluginError`. The memory is then what the plugin left of it.
  package func compare(
    _ features: Features, parameters: [ParameterValue], gradient: UnsafeMutableBufferPointer<Float>,
    monitor: Monitor, diagnostics: Diagnostics
  ) throws -> Double {
    let values = try caller.values(parameters, for: Self.subject)
    let memory = try memoryCount(
      parameters: parameters, studentWidth: features.studentWidth, teacherWidth: features.teacherWidth)
    try caller.checking(Self.subject) { () throws(PluginInputProblem) in
      try features.check()
      let rows = features.rows
      guard let count = rows.product(features.studentWidth), gradient.count == count,
        rows.product(features.teacherWidth) != nil
      else {
        throw .shape(
          what: "elements of the gradient", rows: rows, columns: features.studentWidth, given: gradient.count)
      }
      guard features.memory.count == memory else {
        throw .count(what: "floats of memory", given: features.memory.count, expected: memory)
      }
    }
    gradient.update(repeating: .nan)
    var loss = Double.nan
    let arena = ForeignArena()
    let foreign = features.foreign(arena)
    try withExtendedLifetime(arena) {
      try caller.call(Self.subject, values, monitor: monitor, diagnostics: diagnostics) { host, values, message in
        offer.table.compare?(host, foreign, values, &loss, gradient.baseAddress, message) ?? ESPALIER_FAILED
      }
    }
    try caller.judging(Self.subject) { () throws(PluginViolation) in
      try checkLoss(loss)
      try checkGradient(UnsafeBufferPointer(gradient))
      let memory = UnsafeBufferPointer(features.memory)
      if !memory.isAllFinite { try checkFinite(memory, "memory") }
    }
    return loss
  }

  private func check(studentWidth: Int, teacherWidth: Int) throws(PluginInputProblem) {
    for (what, width) in [("the student's width", studentWidth), ("the teacher's width", teacherWidth)]
    where width < 1 {
      throw .tooSmall(what: what, given: width, least: 1)
    }
    guard !description.needsSameWidth || studentWidth == teacherWidth else {
      throw .count(what: "student features of a position", given: studentWidth, expected: teacherWidth)
    }
  }
}

extension Int {
  /// nil if the product is beyond an Int.
  fileprivate func product(_ other: Int) -> Int? {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? nil : product
  }
}

extension Features {
  fileprivate func check() throws(PluginInputProblem) {
    guard !lengths.isEmpty else { throw .tooSmall(what: "the number of sequences", given: 0, least: 1) }
    if let shortest = lengths.min(), shortest < 1 {
      throw .tooSmall(what: "the length of a sequence", given: shortest, least: 1)
    }
    guard heads >= 1 else { throw .tooSmall(what: "the number of heads", given: heads, least: 1) }
    for width in [studentWidth, teacherWidth] where width % heads != 0 {
      throw .count(what: "features in \(heads) heads", given: width, expected: width / heads * heads)
    }
    if let (index, value) = MaskBytes.firstStrange(in: UnsafeBufferPointer(start: counted, count: rows)) {
      throw .maskValue(index: index, value: value)
    }
  }

  /// The C form, which lives as long as `arena` and the features.
  fileprivate func foreign(_ arena: ForeignArena) -> UnsafePointer<espalier_features> {
    arena.copy(
      one: espalier_features(
        struct_size: UInt32(MemoryLayout<espalier_features>.size), reserved: 0, sequences: Int64(lengths.count),
        lengths: UnsafePointer(arena.copy(lengths.map(Int64.init))), student_width: Int64(studentWidth),
        teacher_width: Int64(teacherWidth), heads: Int64(heads), student: student, teacher: teacher,
        counted: counted, seed: seed, memory: memory.isEmpty ? nil : memory.baseAddress,
        memory_count: Int64(memory.count)))
  }
}
