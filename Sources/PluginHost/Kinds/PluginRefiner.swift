// A plugin's refiner, "espalier.refiner/1", in the clothes of Compression's `Refiner`. As many weights of each
// row, or of each group of a pattern, must stay pruned.

import CPluginABI
package import Compression
package import Tensors

/// What a plugin offers as a refiner, every field checked.
struct RefinerOffer: @unchecked Sendable {
  let description: MethodDescription
  let table: espalier_refiner

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, of identity: PluginIdentity) throws(PluginRejection) {
    let fields = MethodFields(name: "espalier_refiner", identity: identity)
    table = try loadStruct(at: pointer, name: fields.name)
    try fields.require(table.refine != nil, "refine")
    description = try fields.method(statistics: table.statistics, table.parameters, count: table.parameter_count)
  }
}

package struct PluginRefiner: Refiner {
  package let description: MethodDescription
  private let offer: RefinerOffer
  private let caller: MethodCaller

  init(_ offer: RefinerOffer, services: PluginServices) {
    description = offer.description
    self.offer = offer
    caller = MethodCaller(method: offer.description, services: services)
  }

  /// - Throws: `Cancelled`; `PluginError`. The mask is without meaning then.
  package func refine(
    _ matrix: MatrixInput, budget: Budget, scores: ScoreMatrix?, parameters: [ParameterValue],
    kept: UnsafeMutableBufferPointer<UInt8>, monitor: Monitor, diagnostics: Diagnostics
  ) throws {
    let values = try caller.values(parameters, for: matrix.tensor)
    let matrices = try ForeignMatrices([matrix], need: description.statistics, caller: caller)
    try caller.checking(matrix.tensor) { () throws(PluginInputProblem) in
      try matrix.checkMask(UnsafeBufferPointer(kept))
      try matrix.check(budget)
      if let scores { try matrix.checkShape("scores", scores.elementCount) }
    }
    let mask = MaskBytes(UnsafeBufferPointer(kept), of: matrix)
    var size = matrix.columns
    if case .pattern(_, let of) = budget.target { size = of }
    let before = mask.pruned(ofEach: size)

    let foreignBudget = matrices.arena.copy(one: budget.foreign)
    try withExtendedLifetime((matrices, scores)) {
      try caller.call(matrix.tensor, values, monitor: monitor, diagnostics: diagnostics) { host, values, message in
        offer.table.refine?(
          host, matrices.pointers[0], foreignBudget, scores.map { UnsafePointer($0.values.pointer) }, values,
          kept.baseAddress, message) ?? ESPALIER_FAILED
      }
    }
    try caller.judging(matrix.tensor) { () throws(PluginViolation) in
      try mask.checkValues()
      let after = mask.pruned(ofEach: size)
      if let group = after.indices.first(where: { after[$0] != before[$0] }) {
        throw .countChanged(
          row: group * size / matrix.columns, column: group * size % matrix.columns, before: before[group],
          after: after[group])
      }
    }
  }
}
