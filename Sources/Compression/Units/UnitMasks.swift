// Chosen structures into masks.

package import OrderedCollections
package import Tensors
import Transformers
import Workspace

/// The masks that cut `choices` out of `state`, beside what its own masks prune: of every tensor that any of the
/// choices' groups could touch, nil for one that then keeps every weight.
/// - Throws: `CompressionError.channelsNotRemovable`.
package func unitMasks(
  _ choices: [UnitChoice], of state: ModelState
) throws(CompressionError) -> OrderedDictionary<String, MaskBits?> {
  let model = state.transformer
  var touched: OrderedDictionary<String, (rows: [Int], columns: [Int])> = [:]
  for choice in choices {
    if choice.unit == .channel { try state.requireRemovableChannels() }
    // What the group could touch: the slices of its first unit name all tensors.
    let reach = model.slices(of: choice.unit, [0], layer: choice.layer) + model.keyValueSlices(choice)
    for slice in state.withAddedBiases(reach) {
      if touched[slice.tensor] == nil { touched[slice.tensor] = ([], []) }
    }
    for slice in state.withAddedBiases(model.slices(of: choice.unit, choice.cut, layer: choice.layer)) {
      if touched[slice.tensor] == nil { touched[slice.tensor] = ([], []) }
      if slice.axis == .rows {
        touched[slice.tensor]?.rows += slice.range
      } else {
        touched[slice.tensor]?.columns += slice.range
      }
    }
  }
  var masks: OrderedDictionary<String, MaskBits?> = [:]
  for (name, shape) in state.maskShapes {
    guard let (rows, columns) = touched[name] else { continue }
    let own = state.revision.tensors[name]?.mask?.bits
    if rows.isEmpty, columns.isEmpty {
      masks[name] = .some(own)
    } else {
      let base = own ?? MaskBits(keepingAll: shape.rows, columns: shape.columns)
      masks[name] = .some(base.pruning(rows: rows, columns: columns))
    }
  }
  return masks
}

extension Transformer {
  fileprivate func slices(of unit: UnitKind, _ indices: [Int], layer: Int?) -> [WeightSlice] {
    switch unit {
    case .head: slices(ofHeads: indices, layer: layer ?? 0)
    case .neuron: indices.flatMap { slices(of: .neuron($0), layer: layer ?? 0) }
    case .channel: indices.flatMap { slices(ofChannel: $0) }
    case .layer: indices.flatMap { slices(of: .layer, layer: $0) }
    }
  }

  /// For heads every key/value row too, which another choice may have cut before; for layers those of all layers.
  fileprivate func keyValueSlices(_ choice: UnitChoice) -> [WeightSlice] {
    switch choice.unit {
    case .head:
      slices(ofHeads: Array(0..<unitCounts(layer: choice.layer ?? 0).heads), layer: choice.layer ?? 0)
    case .layer: (0..<shape.layers).flatMap { slices(of: .layer, layer: $0) }
    case .neuron, .channel: []
    }
  }
}
