// A plugin's compensator, "espalier.compensator/1", in the clothes of Compression's `Compensator`. Weights start as the
// matrix's, the bias as 0.

import CPluginABI
package import Compression
package import Tensors

/// What a plugin offers as a compensator, every field checked.
struct CompensatorOffer: @unchecked Sendable {
  let description: CompensatorDescription
  let table: espalier_compensator

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, of identity: PluginIdentity) throws(PluginRejection) {
    let fields = MethodFields(name: "espalier_compensator", identity: identity)
    table = try loadStruct(at: pointer, name: fields.name)
    try fields.require(table.compensate != nil, "compensate")
    description = CompensatorDescription(
      method: try fields.method(statistics: table.statistics, table.parameters, count: table.parameter_count),
      changesBias: try fields.flag(table.changes_bias, "changes_bias"))
  }
}

package struct PluginCompensator: Compensator {
  package let description: CompensatorDescription
  private let offer: CompensatorOffer
  private let caller: MethodCaller

  init(_ offer: CompensatorOffer, services: PluginServices) {
    description = offer.description
    self.offer = offer
    caller = MethodCaller(method: offer.description.method, services: services)
  }

  /// - Throws: `Cancelled`; `PluginError`.
  package func compensate(
    _ matrix: MatrixInput, kept: UnsafeBufferPointer<UInt8>, budget: Budget?, parameters: [ParameterValue],
    weights: UnsafeMutableBufferPointer<Float>, bias: UnsafeMutableBufferPointer<Float>, monitor: Monitor,
    diagnostics: Diagnostics
  ) throws {
    let values = try caller.values(parameters, for: matrix.tensor)
    let matrices = try ForeignMatrices([matrix], need: description.method.statistics, caller: caller)
    try caller.checking(matrix.tensor) { () throws(PluginInputProblem) in
      try matrix.checkMask(kept)
      try matrix.checkShape("new weights", weights.count)
      let rows = description.changesBias ? matrix.rows : 0
      guard bias.count == rows else { throw .count(what: "elements of bias", given: bias.count, expected: rows) }
      if let budget { try matrix.check(budget) }
    }
    bias.update(repeating: 0)
    let foreignBudget = budget.map { matrices.arena.copy(one: $0.foreign) }
    try withExtendedLifetime(matrices) {
      try caller.call(matrix.tensor, values, monitor: monitor, diagnostics: diagnostics) { host, values, message in
        offer.table.compensate?(
          host, matrices.pointers[0], kept.baseAddress, foreignBudget, values, weights.baseAddress,
          description.changesBias ? bias.baseAddress : nil, message) ?? ESPALIER_FAILED
      }
    }
    try caller.judging(matrix.tensor) { () throws(PluginViolation) in
      for index in weights.indices where kept[index] == 0 && !weights[index].isFinite { weights[index] = 0 }
      try checkFinite(UnsafeBufferPointer(weights), "weights")
      try checkFinite(UnsafeBufferPointer(bias), "bias")
    }
  }
}
