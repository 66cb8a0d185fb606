// What cut heads knew, given back to heads that stay. (Muralidharan et al. 2024, Minitron, section 2.3)
//
// With L heads in the order of their scores, the best first and counted from 1, of which K stay, the paper gives
// head_i + (head_i - head_{2K-i+1}) for i in [K - (L - K), K]. Read here as: for i = max(1, 2K - L + 1) ... K, so that
// the partner 2K - i + 1 runs over K + 1 ... L, the weakest that stays getting the strongest that goes; a "head" is all
// its weights: the rows of queries, keys and values with their biases, and the columns of the output map.

import OrderedCollections
import Tensors
import Transformers
import Workspace

/// The tensors of `state` whose heads get residuals, before anything is cut out of them.
/// - Throws: `CompressionError.residualHeadsInvalid` if heads share key/value heads, or scores are missing.
func headResiduals(
  of state: ModelState, kept: KeptUnits, scores: UnitScores
) throws(CompressionError) -> [String: StoredTensor] {
  let model = state.transformer
  var additions: OrderedDictionary<String, [(own: WeightSlice, partner: WeightSlice)]> = [:]
  for layer in kept.layers {
    let count = model.unitCounts(layer: layer.layer).heads, kvHeads = model.keyValueHeads(layer: layer.layer)
    guard layer.heads.count < count else { continue }
    guard kvHeads == count else {
      throw .residualHeadsInvalid(
        reason: "layer \(layer.layer) has \(count) heads on \(kvHeads) key/value heads; residuals are defined for heads "
          + "with keys and values of their own")
    }
    if let map = model.linearInputs(layer: layer.layer)[0].tensors.first(where: {
      state.revision.addedBias(to: $0) != nil
    }) {
      throw .residualHeadsInvalid(reason: "an edit has added a bias to \(map)")
    }
    let own = scores.groups.first { $0.unit == .head && $0.layer == layer.layer }?.scores ?? []
    guard own.count == count else {
      throw .residualHeadsInvalid(reason: "the scores say nothing about the heads of layer \(layer.layer)")
    }
    for (head, partner) in residualPairs(scores: own, kept: layer.heads) {
      let parts = zip(model.parts(ofHead: head, layer: layer.layer), model.parts(ofHead: partner, layer: layer.layer))
      for (own, partner) in parts { additions[own.tensor, default: []].append((own, partner)) }
    }
  }
  var tensors: [String: StoredTensor] = [:]
  for (name, pairs) in additions { tensors[name] = state.revision.tensors[name]?.addingResiduals(pairs) }
  return tensors
}

/// For every head that gets a residual, the cut head that it is given.
func residualPairs(scores: [Double], kept: [Int]) -> [(head: Int, partner: Int)] {
  func ranked(_ heads: [Int]) -> [Int] {
    heads.sorted { scores[$0] > scores[$1] || (scores[$0] == scores[$1] && $0 < $1) }
  }
  let going = ranked(scores.indices.filter { !kept.contains($0) })
  return zip(ranked(kept).reversed(), going).map { ($0, $1) }
}

extension StoredTensor {
  /// This tensor with own + (own - partner) in the place of each `own`; as f32, since sums need not fit the file's type.
  /// What the mask prunes of a head that stays counts as zero; a head that goes counts with the weights that it had.
  fileprivate func addingResiduals(_ pairs: [(own: WeightSlice, partner: WeightSlice)]) -> StoredTensor {
    let view = weights.view, rows = view.rows, columns = view.columns, unmasked = MaskedTensor(weights: view)
    let storage = OwnedBytes(count: rows * columns * 4) { target in
      guard let base = target.bindMemory(to: Float.self).baseAddress else { return }
      let scratch = FloatBuffer(count: columns)
      func add(_ own: Int, _ partner: Int) { base[own] += base[own] - scratch.pointer[partner] }
      for row in 0..<rows { masked.readRow(row, into: base + row * columns) }
      for (own, partner) in pairs {
        switch own.axis {
        case .rows:
          for (row, other) in zip(own.range, partner.range) {
            unmasked.readRow(other, into: scratch.pointer)
            for column in 0..<columns { add(row * columns + column, column) }
          }
        case .columns:
          for row in 0..<rows {
            unmasked.readRow(row, into: scratch.pointer)
            for (column, other) in zip(own.range, partner.range) { add(row * columns + column, other) }
          }
        }
      }
    }
    guard let sums = TensorView(storage: storage, byteOffset: 0, dtype: .f32, shape: view.shape) else {
      preconditionFailure("\(view.shape) floats do not fit the memory that was made for them")
    }
    return StoredTensor(weights: WeightsBlob(sums), mask: mask)
  }
}
