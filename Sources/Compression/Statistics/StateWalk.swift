// A dataset's hidden states on their way through a model, which remember where they have been: after an edit the next
// walk begins at the last place that is still as it was.

import Tensors
import Transformers
import Workspace

/// Takes hidden states from layer to layer, and leaves copies behind at as many layers as the store's budget allows,
/// evenly spaced.
struct StateWalk {
  let states: DatasetStates
  private let chains: KeyChains
  private let store: StatisticsStore
  /// Copies are left at multiples of it; nil if not even one fits.
  private let spacing: Int?
  /// What `states` enter next.
  private(set) var layer = 0

  /// - Parameter layers: of the model.
  init(states: DatasetStates, chains: KeyChains, layers: Int, store: StatisticsStore) {
    self.states = states
    self.chains = chains
    self.store = store
    let copies = store.stateBytes / max(1, states.hidden.bytes)
    // The states that enter layer 0 are quickly made again.
    spacing = copies == 0 ? nil : max(1, (layers - 1 + copies - 1) / copies)
  }

  /// Goes to the last layer up to `target` that remembered states enter, else to the first.
  mutating func begin(atOrBefore target: Int, weights: any WeightSource) {
    for candidate in stride(from: target, to: 0, by: -1) {
      guard let remembered = store.states.value(chains.enteringLayer(candidate)),
        remembered.count == states.hidden.count
      else { continue }
      states.hidden.pointer.update(from: remembered.pointer, count: remembered.count)
      layer = candidate
      return
    }
    states.embed(weights: weights)
    layer = 0
  }

  /// Goes through one layer.
  /// - Throws: `Cancelled`; the walk is then over.
  mutating func advance(
    weights: any WeightSource, observer: LayerObserver?, cancellation: Cancellation, progress: (Double) -> Void
  ) throws(Cancelled) {
    if let spacing, layer > 0, layer % spacing == 0 { leaveCopy() }
    try states.advance(
      through: layer, weights: weights, observer: observer, cancellation: cancellation, progress: progress)
    layer += 1
  }

  private func leaveCopy() {
    let key = chains.enteringLayer(layer)
    guard store.states.value(key) == nil else { return }
    let copy = FloatBuffer(count: states.hidden.count)
    copy.pointer.update(from: states.hidden.pointer, count: copy.count)
    store.states.remember(copy, for: key, bytes: copy.bytes)
  }
}
