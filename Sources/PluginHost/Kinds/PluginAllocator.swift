// A plugin's allocator, "espalier.allocator/1", in the clothes of Compression's `Allocator`. Results start as NaN.

import CPluginABI
package import Compression
package import Tensors

/// What a plugin offers as an allocator, every field checked.
struct AllocatorOffer: @unchecked Sendable {
  let description: AllocatorDescription
  let table: espalier_allocator

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, of identity: PluginIdentity) throws(PluginRejection) {
    let fields = MethodFields(name: "espalier_allocator", identity: identity)
    table = try loadStruct(at: pointer, name: fields.name)
    try fields.require(table.allocate != nil, "allocate")
    guard table.measure != nil || table.statistics == 0 else {
      throw fields.invalid("statistics", "is \(table.statistics), but there is no measure that could use them")
    }
    description = AllocatorDescription(
      method: try fields.method(statistics: table.statistics, table.parameters, count: table.parameter_count),
      needsSensitivity: try fields.flag(table.needs_sensitivity, "needs_sensitivity"), measures: table.measure != nil)
  }
}

package struct PluginAllocator: Allocator {
  package let description: AllocatorDescription
  private let offer: AllocatorOffer
  private let caller: MethodCaller

  init(_ offer: AllocatorOffer, services: PluginServices) {
    description = offer.description
    self.offer = offer
    caller = MethodCaller(method: offer.description.method, services: services)
  }

  /// - Throws: `Cancelled`; `PluginError`, which names the first tensor.
  package func measure(
    _ matrices: [MatrixInput], parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> Double {
    let first = matrices.first?.tensor ?? ""
    try caller.checking(first) { () throws(PluginInputProblem) in
      guard description.measures else { throw .measureMissing }
      guard !matrices.isEmpty else { throw .count(what: "matrices", given: 0, expected: 1) }
    }
    let values = try caller.values(parameters, for: first)
    let foreign = try ForeignMatrices(matrices, need: description.method.statistics, caller: caller)
    let list = foreign.list
    var measure = Double.nan
    try withExtendedLifetime(foreign) {
      try caller.call(first, values, monitor: monitor, diagnostics: diagnostics) { host, values, message in
        offer.table.measure?(host, list, Int64(matrices.count), values, &measure, message) ?? ESPALIER_FAILED
      }
    }
    guard measure.isFinite else {
      throw PluginError.contractBroken(
        id: description.method.id, tensor: first, .notFinite(what: "measure", index: 0, value: "\(measure)"))
    }
    return measure
  }

  /// - Throws: `Cancelled`; `PluginError`, which names the tensor, or the first of all.
  package func allocate(
    _ shares: [Share], total: Double, parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> [Double] {
    guard let first = shares.first?.tensor else { return [] }
    let values = try caller.values(parameters, for: first)
    try caller.checking(first) { () throws(PluginInputProblem) in
      guard (0...1).contains(total) else { throw .ratioInvalid(given: "\(total)") }
    }
    for share in shares {
      try caller.checking(share.tensor) { () throws(PluginInputProblem) in
        try share.check(needsSensitivity: description.needsSensitivity)
      }
    }
    let arena = ForeignArena()
    let list = arena.copy(shares.map { Optional($0.foreign(arena)) })
    var sparsities = [Double](repeating: .nan, count: shares.count)
    try withExtendedLifetime(arena) {
      try sparsities.withUnsafeMutableBufferPointer { sparsities in
        try caller.call(first, values, monitor: monitor, diagnostics: diagnostics) { host, values, message in
          offer.table.allocate?(host, list, Int64(shares.count), total, values, sparsities.baseAddress, message)
            ?? ESPALIER_FAILED
        }
      }
    }
    try judge(sparsities, shares, total)
    return sparsities
  }

  private func judge(_ sparsities: [Double], _ shares: [Share], _ total: Double) throws(PluginError) {
    var lost = 0.0, all = 0.0
    for (share, sparsity) in zip(shares, sparsities) {
      try caller.judging(share.tensor) { () throws(PluginViolation) in
        guard (0...1).contains(sparsity) else { throw .sparsityInvalid(share: share.tensor, value: "\(sparsity)") }
      }
      lost += sparsity * Double(share.elements)
      all += Double(share.elements)
    }
    guard abs(lost / all - total) <= 0.001 else {
      throw .contractBroken(
        id: description.method.id, tensor: shares[0].tensor, .totalMissed(expected: total, given: lost / all))
    }
  }
}

extension Share {
  fileprivate func check(needsSensitivity: Bool) throws(PluginInputProblem) {
    guard elements >= 1 else { throw .count(what: "elements", given: elements, expected: 1) }
    guard let curve = sensitivity else {
      if needsSensitivity { throw .sensitivityMissing }
      return
    }
    let ascends = zip(curve.sparsities, curve.sparsities.dropFirst()).allSatisfy { $0 < $1 }
    guard curve.sparsities.count == curve.losses.count, curve.sparsities.first == 0, ascends,
      curve.sparsities.allSatisfy({ $0 <= 1 }), curve.losses.allSatisfy(\.isFinite)
    else { throw .sensitivityInvalid }
  }

  fileprivate func foreign(_ arena: ForeignArena) -> UnsafePointer<espalier_share> {
    arena.copy(
      one: espalier_share(
        struct_size: UInt32(MemoryLayout<espalier_share>.size), reserved: 0, tensor: arena.copy(text: tensor),
        layer: Int64(layer), elements: Int64(elements), measure: measure,
        point_count: Int64(sensitivity?.sparsities.count ?? 0),
        sparsities: sensitivity.map { UnsafePointer(arena.copy($0.sparsities)) },
        losses: sensitivity.map { UnsafePointer(arena.copy($0.losses)) }))
  }
}
