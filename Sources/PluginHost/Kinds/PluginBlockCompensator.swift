// A plugin's block compensator, "espalier.block-compensator/1", in the clothes of Compression's `BlockCompensator`. The
// plugin reaches the block through the host's extension ESPALIER_REGION, see HostCall+Region.swift.

import CPluginABI
package import Compression
package import Tensors

/// What a plugin offers as a block compensator, every field checked.
struct BlockCompensatorOffer: @unchecked Sendable {
  let description: MethodDescription
  let table: espalier_block_compensator

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, of identity: PluginIdentity) throws(PluginRejection) {
    let fields = MethodFields(name: "espalier_block_compensator", identity: identity)
    table = try loadStruct(at: pointer, name: fields.name)
    try fields.require(table.fit != nil, "fit")
    description = try fields.method(table.parameters, count: table.parameter_count)
  }
}

package struct PluginBlockCompensator: BlockCompensator {
  package let description: MethodDescription
  private let offer: BlockCompensatorOffer
  private let caller: MethodCaller

  init(_ offer: BlockCompensatorOffer, services: PluginServices) {
    description = offer.description
    self.offer = offer
    caller = MethodCaller(method: offer.description, services: services)
  }

  /// - Throws: `Cancelled`; what `region` threw; `PluginError`, which names the tensor, or the first of several.
  package func fit(
    _ matrices: [MatrixInput], kept: [UnsafeBufferPointer<UInt8>], region: any Region, parameters: [ParameterValue],
    weights: [UnsafeMutableBufferPointer<Float>], monitor: Monitor, diagnostics: Diagnostics
  ) throws {
    guard let first = matrices.first?.tensor else { return }
    let values = try caller.values(parameters, for: first)
    let foreign = try ForeignMatrices(matrices, need: .none, caller: caller)
    try caller.checking(first) { () throws(PluginInputProblem) in
      for (what, given) in [("masks", kept.count), ("arrays of new weights", weights.count)]
      where given != matrices.count {
        throw .count(what: what, given: given, expected: matrices.count)
      }
      guard region.samples >= 1 else {
        throw .count(what: "calibration sequences", given: region.samples, expected: 1)
      }
    }
    for (index, matrix) in matrices.enumerated() {
      try caller.checking(matrix.tensor) { () throws(PluginInputProblem) in
        try matrix.checkMask(kept[index])
        try matrix.checkShape("new weights", weights[index].count)
      }
      _ = weights[index].update(fromContentsOf: matrix.weights)
    }
    let masks = foreign.arena.copy(kept.map(\.baseAddress))
    let outputs = foreign.arena.copy(weights.map(\.baseAddress))
    let list = foreign.list
    try withExtendedLifetime(foreign) {
      try caller.call(
        first, values, monitor: monitor, diagnostics: diagnostics,
        region: RegionCall(region, matrices: matrices.count)
      ) { host, values, message in
        offer.table.fit?(host, list, Int64(matrices.count), masks, values, outputs, message) ?? ESPALIER_FAILED
      }
    }
    for (index, matrix) in matrices.enumerated() {
      try caller.judging(matrix.tensor) { () throws(PluginViolation) in
        try settle(weights[index], kept: kept[index])
      }
    }
  }
}
