// Weights under edits that are not a revision yet: what a layer-by-layer run computes with, and what it commits.

package import OrderedCollections
import Tensors
import Transformers
package import Workspace

/// A source of weights with some tensors pruned anew.
struct Edited: WeightSource {
  let base: any WeightSource
  private let tensors: [String: MaskedTensor]
  private let biases: [String: MaskedTensor]

  /// - Parameter biasNames: the bias of a linear map by its weight, for maps that have one.
  init(_ base: any WeightSource, _ pruned: OrderedDictionary<String, PrunedTensor>, biasNames: [String: String]) {
    self.base = base
    var tensors: [String: MaskedTensor] = [:], biases: [String: MaskedTensor] = [:]
    for (name, new) in pruned {
      let old = base.tensor(name)
      tensors[name] = MaskedTensor(weights: new.view(of: old.weights) ?? old.weights, mask: new.mask)
      guard let added = new.bias else { continue }
      let own = biasNames[name]
      let sum = MaskedTensor(weights: biasView(added, to: own.map(base.tensor) ?? base.addedBias(to: name)))
      if let own { tensors[own] = sum } else { biases[name] = sum }
    }
    self.tensors = tensors
    self.biases = biases
  }

  func tensor(_ name: String) -> MaskedTensor { tensors[name] ?? base.tensor(name) }
  func addedBias(to name: String) -> MaskedTensor? { biases[name] ?? base.addedBias(to: name) }
}

extension PrunedTensor {
  /// The new weights as a tensor of the old one's shape; nil if they stay.
  fileprivate func view(of old: TensorView) -> TensorView? { weights.flatMap { TensorView($0, shape: old.shape) } }
}

/// `added` on top of a bias that may be there.
private func biasView(_ added: [Float], to bias: MaskedTensor?) -> TensorView {
  let sum = FloatBuffer(count: added.count)
  let old = bias?.vector
  for index in 0..<added.count { sum.pointer[index] = added[index] + (old?.pointer[index] ?? 0) }
  guard let view = TensorView(sum, shape: [added.count]) else { preconditionFailure("a vector of no elements") }
  return view
}

extension ModelState {
  /// The tensors of the next revision: those of this one with `pruned` in their place. New biases follow their weights.
  package func replacing(
    _ pruned: OrderedDictionary<String, PrunedTensor>
  ) -> OrderedDictionary<String, StoredTensor> {
    var tensors: OrderedDictionary<String, StoredTensor> = [:]
    let biasNames = transformer.biasNames
    var newBiases: [String: StoredTensor] = [:]
    for (name, new) in pruned {
      guard let added = new.bias else { continue }
      let own = biasNames[name]
      let view = biasView(added, to: own.map(revision.tensor) ?? revision.addedBias(to: name))
      newBiases[own ?? biasName(ofMap: name)] = StoredTensor(
        weights: WeightsBlob(view), biasOf: own == nil ? name : nil)
    }
    for (name, old) in revision.tensors {
      if let bias = newBiases.removeValue(forKey: name) {
        tensors[name] = bias
      } else if let new = pruned[name] {
        let weights = new.view(of: old.weights.view).map { WeightsBlob($0, madeUnder: new.mask) } ?? old.weights
        tensors[name] = StoredTensor(weights: weights, biasOf: old.biasOf).with(mask: MaskBlob(new.mask))
        let added = biasName(ofMap: name)
        if let bias = newBiases[added], bias.biasOf == name, revision.tensors[added] == nil {
          tensors[added] = bias
          newBiases[added] = nil
        }
      } else {
        tensors[name] = old
      }
    }
    return tensors
  }
}

/// What an added bias of the linear map of `weight` is called: `....o_proj.weight` gives `....o_proj.bias`.
func biasName(ofMap weight: String) -> String {
  weight.hasSuffix(".weight") ? weight.dropLast("weight".count) + "bias" : weight + ".bias"
}
