// What weights take in the forms in which they could be stored, from counts alone.

import OrderedCollections
import Tensors
import Transformers
import Workspace

/// Bytes of weights in each form.
package struct FormBytes: Sendable, Equatable {
  /// Every weight, zeros too: what model/export writes.
  package var dense: Int
  /// The weights that are kept, one bit a weight, and a 64-bit offset a row (compressed-tensors' sparse bitmask).
  package var bitmask: Int
  /// Every weight of the rows and columns that are left when whole heads and neurons are cut out.
  package var shrunk: Int

  package init(dense: Int, bitmask: Int, shrunk: Int) {
    self.dense = dense
    self.bitmask = bitmask
    self.shrunk = shrunk
  }

  package static func + (a: FormBytes, b: FormBytes) -> FormBytes {
    FormBytes(dense: a.dense + b.dense, bitmask: a.bitmask + b.bitmask, shrunk: a.shrunk + b.shrunk)
  }
  static let none = FormBytes(dense: 0, bitmask: 0, shrunk: 0)
}

/// What the weights of a model take under some masks.
struct FormCounter {
  private let state: ModelState
  private let masks: OrderedDictionary<String, MaskBits>
  /// Rows and columns of each tensor that go with heads and neurons of which nothing is left.
  private let cuts: [String: (rows: Int, columns: Int)]

  /// - Parameter masks: new ones; the other tensors have the revision's.
  init(_ state: ModelState, masks: OrderedDictionary<String, MaskBits>) {
    self.state = state
    self.masks = masks
    var cuts: [String: (rows: Int, columns: Int)] = [:]
    let all = state.revision.tensors.compactMapValues { $0.mask?.bits }.merging(masks) { _, new in new }
    let kept = all.mapValues(KeptLines.init)
    for layer in 0..<state.transformer.shape.layers {
      let counts = state.transformer.unitCounts(layer: layer)
      /// Units of a kind, none if one of their tensors has no mask.
      func masked(_ count: Int, _ unit: (Int) -> StructuralUnit) -> [StructuralUnit] {
        let tensors = state.transformer.slices(of: unit(0), layer: layer).map(\.tensor)
        return tensors.allSatisfy { kept[$0] != nil } ? (0..<count).map(unit) : []
      }
      for unit in masked(counts.heads, StructuralUnit.head) + masked(counts.neurons, StructuralUnit.neuron) {
        let slices = state.transformer.slices(of: unit, layer: layer)
        guard slices.allSatisfy({ kept[$0.tensor]?.keepNothing(of: $0) == true }) else { continue }
        for slice in slices {
          if slice.axis == .rows {
            cuts[slice.tensor, default: (0, 0)].rows += slice.range.count
          } else {
            cuts[slice.tensor, default: (0, 0)].columns += slice.range.count
          }
        }
      }
    }
    self.cuts = cuts
  }

  /// Whether a head or a neuron is gone.
  var cutsUnits: Bool { !cuts.isEmpty }

  /// Bytes of a tensor. Block-quantised weights count as the f32 that they are exported as.
  func bytes(_ name: String) -> FormBytes {
    guard let tensor = state.revision.tensors[name] else { return .none }
    let view = tensor.weights.view, size = view.dtype.blockElements == 1 ? view.dtype.blockBytes : 4
    let dense = size * view.elementCount
    let mask = masks[name] ?? tensor.mask?.bits
    let cut = cuts[name] ?? (0, 0)
    return FormBytes(
      dense: dense,
      bitmask: mask.map { size * $0.keptCount + $0.bytes.count + 8 * $0.rows } ?? dense,
      shrunk: size * (view.rows - cut.rows) * (view.columns - cut.columns))
  }

  /// All tensors of the model.
  var model: FormBytes { state.revision.tensors.keys.reduce(.none) { $0 + bytes($1) } }

  /// What decoding one token reads.
  var perToken: FormBytes {
    func sum(_ form: KeyPath<FormBytes, Int>) -> Int {
      state.transformer.bytesPerToken { bytes($0)[keyPath: form] }
    }
    return FormBytes(dense: sum(\.dense), bitmask: sum(\.bitmask), shrunk: sum(\.shrunk))
  }

  /// Multiplications of a token with the matrices that it goes through, all of them and what is left.
  var multiplications: (dense: Int, shrunk: Int) {
    let model = state.transformer
    func sum(_ count: (_ rows: Int, _ columns: Int, _ cut: (rows: Int, columns: Int)) -> Int) -> Int {
      model.bytesPerToken { name in
        guard let view = state.revision.tensors[name]?.weights.view, view.shape.count == 2 else { return 0 }
        return count(view.rows, view.columns, cuts[name] ?? (0, 0))
      }
    }
    return (sum { rows, columns, _ in rows * columns }, sum { ($0 - $2.rows) * ($1 - $2.columns) })
  }
}

/// Which rows and columns of a mask keep something.
private struct KeptLines {
  private let rows, columns: [Bool]

  init(_ mask: MaskBits) {
    rows = mask.keptRows
    columns = mask.keptColumns
  }

  func keepNothing(of slice: WeightSlice) -> Bool {
    slice.range.allSatisfy { slice.axis == .rows ? !rows[$0] : !columns[$0] }
  }
}
