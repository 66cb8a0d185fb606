// A plugin's unit selector, "espalier.unit-selector/1", in the clothes of Compression's `UnitSelector`. Scores start
// as NaN.

import CPluginABI
package import Compression
package import Tensors

/// What a plugin offers as a unit selector, every field checked.
struct UnitSelectorOffer: @unchecked Sendable {
  let description: UnitSelectorDescription
  let table: espalier_unit_selector

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, of identity: PluginIdentity) throws(PluginRejection) {
    let fields = MethodFields(name: "espalier_unit_selector", identity: identity)
    table = try loadStruct(at: pointer, name: fields.name)
    try fields.require(table.score != nil, "score")
    let bits = table.units
    let units = Set(UnitKind.allCases.filter { bits & UInt32($0.number) != 0 })
    guard !units.isEmpty, units.reduce(0, { $0 | UInt32($1.number) }) == bits else {
      throw fields.invalid("units", "is \(bits), expected is a sum of 1 (head), 2 (neuron), 4 (channel), 8 (layer)")
    }
    description = UnitSelectorDescription(
      method: try fields.method(statistics: table.statistics, table.parameters, count: table.parameter_count),
      units: units, needsLosses: try fields.flag(table.needs_losses, "needs_losses"),
      defaultGroup: try fields.group(table.default_group, of: [.matrix, .global]))
  }
}

extension UnitKind {
  /// ESPALIER_UNIT_...
  fileprivate var number: Int32 {
    switch self {
    case .head: ESPALIER_UNIT_HEAD
    case .neuron: ESPALIER_UNIT_NEURON
    case .channel: ESPALIER_UNIT_CHANNEL
    case .layer: ESPALIER_UNIT_LAYER
    }
  }
}

package struct PluginUnitSelector: UnitSelector {
  package let description: UnitSelectorDescription
  private let offer: UnitSelectorOffer
  private let caller: MethodCaller

  init(_ offer: UnitSelectorOffer, services: PluginServices) {
    description = offer.description
    self.offer = offer
    caller = MethodCaller(method: offer.description.method, services: services)
  }

  /// - Throws: `Cancelled`; `PluginError`, which names the first tensor, or the kind of the units.
  package func score(
    _ units: UnitsInput, parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> [Double] {
    let subject = units.matrices.first?.tensor ?? "\(units.unit.rawValue)s"
    let values = try caller.values(parameters, for: subject)
    try caller.checking(subject) { () throws(PluginInputProblem) in
      guard description.units.contains(units.unit) else {
        throw .unitUnknown(given: units.unit, known: UnitKind.allCases.filter(description.units.contains))
      }
      try units.check(losses: description.needsLosses)
    }
    let matrices = try ForeignMatrices(units.matrices, need: description.method.statistics, caller: caller)
    let foreign = units.foreign(matrices, losses: description.needsLosses)
    var scores = [Double](repeating: .nan, count: units.count)
    try withExtendedLifetime(matrices) {
      try scores.withUnsafeMutableBufferPointer { scores in
        try caller.call(subject, values, monitor: monitor, diagnostics: diagnostics) { host, values, message in
          offer.table.score?(host, foreign, values, scores.baseAddress, message) ?? ESPALIER_FAILED
        }
      }
    }
    if let unit = scores.firstIndex(where: \.isNaN) {
      throw PluginError.contractBroken(id: description.method.id, tensor: subject, .scoreMissing(unit: unit))
    }
    return scores
  }
}

extension UnitsInput {
  fileprivate func check(losses: Bool) throws(PluginInputProblem) {
    guard count >= 1 else { throw .count(what: "units", given: count, expected: 1) }
    guard width >= 1 else { throw .count(what: "columns of a unit", given: width, expected: 1) }
    guard unit == .layer else {
      guard !matrices.isEmpty else { throw .count(what: "matrices", given: 0, expected: 1) }
      let (columns, overflow) = count.multipliedReportingOverflow(by: width)
      for matrix in matrices where overflow || matrix.columns != columns {
        throw .count(what: "columns", given: matrix.columns, expected: overflow ? .max : columns)
      }
      return
    }
    guard matrices.isEmpty else { throw .count(what: "matrices", given: matrices.count, expected: 0) }
    guard width == 1 else { throw .count(what: "columns of a layer", given: width, expected: 1) }
    guard cosineSums.count == count else {
      throw .count(what: "cosine sums", given: cosineSums.count, expected: count)
    }
    guard tokens >= 1 else { throw .count(what: "tokens", given: tokens, expected: 1) }
    guard !losses || lossesWithout.count == count else {
      throw .count(what: "losses", given: lossesWithout.count, expected: count)
    }
  }

  /// The C form, which lives as long as `matrices`.
  fileprivate func foreign(_ matrices: ForeignMatrices, losses: Bool) -> UnsafePointer<espalier_units> {
    let isLayers = unit == .layer, arena = matrices.arena
    return arena.copy(
      one: espalier_units(
        struct_size: UInt32(MemoryLayout<espalier_units>.size), unit: unit.number,
        layer: unit == .head || unit == .neuron ? Int64(layer ?? -1) : -1, count: Int64(count), width: Int64(width),
        matrix_count: Int64(matrices.pointers.count),
        matrices: matrices.pointers.isEmpty ? nil : UnsafePointer(matrices.list),
        cosine_sums: isLayers ? UnsafePointer(arena.copy(cosineSums)) : nil, tokens: isLayers ? Int64(tokens) : 0,
        losses_without: isLayers && losses ? UnsafePointer(arena.copy(lossesWithout)) : nil,
        loss: isLayers && losses ? loss : 0))
  }
}
