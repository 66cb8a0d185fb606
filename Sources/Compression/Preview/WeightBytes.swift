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
  /// Every weight of the rows and columns that prune/shrink leaves.
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
  /// What prune/shrink leaves of each tensor; nothing of one that is not there.
  private let left: [String: TensorCut]
  /// Whether a head, a neuron, a channel or a layer is gone.
  let cutsUnits: Bool

  /// - Parameter masks: new ones; the other tensors have the revision's.
  init(_ state: ModelState, masks: OrderedDictionary<String, MaskBits>) {
    self.state = state
    self.masks = masks
    // What shrinking would say of them it says when it is asked.
    let diagnostics = Diagnostics(), model = state.transformer
    let kept = LiveUnits(state, masks: masks, diagnostics: diagnostics)
      .kept(in: model, uniform: false, diagnostics: diagnostics)
    cutsUnits = kept.widths != model.widths
    var left: [String: TensorCut] = [:]
    for cut in model.cuts(kept).values { left[cut.source] = cut }
    for (name, tensor) in state.revision.tensors {
      guard let map = tensor.biasOf, let cut = left[map] else { continue }
      left[name] = TensorCut(source: name, rows: nil, columns: cut.rows)
    }
    self.left = left
  }

  /// Elements of a tensor that prune/shrink leaves.
  private func shrunkCount(_ name: String, _ view: TensorView) -> Int {
    guard let cut = left[name] else { return 0 }
    return (cut.rows?.count ?? view.rows) * (cut.columns?.count ?? view.columns)
  }

  /// Bytes of a tensor. Block-quantised weights count as the f32 that they are exported as.
  func bytes(_ name: String) -> FormBytes {
    guard let tensor = state.revision.tensors[name] else { return .none }
    let view = tensor.weights.view, size = view.dtype.blockElements == 1 ? view.dtype.blockBytes : 4
    let dense = size * view.elementCount
    let mask = masks[name] ?? tensor.mask?.bits
    return FormBytes(
      dense: dense,
      bitmask: mask.map { size * $0.keptCount + $0.bytes.count + 8 * $0.rows } ?? dense,
      shrunk: size * shrunkCount(name, view))
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
    func sum(_ count: (String, TensorView) -> Int) -> Int {
      model.bytesPerToken { name in
        guard let view = state.revision.tensors[name]?.weights.view, view.shape.count == 2 else { return 0 }
        return count(name, view)
      }
    }
    return (sum { $1.elementCount }, sum(shrunkCount))
  }
}
