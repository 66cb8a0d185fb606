// What leaves a model's last layer, remembered sequence by sequence: whoever needs it again only runs the head.

import Tensors
import Transformers
import Workspace

/// The memory of one model's way through one dataset.
struct LastStates {
  private let model: CalibrationKey
  private let form: StatesForm
  private let width: Int
  private let store: StatisticsStore

  /// - Parameters:
  ///   - computed: how the model computes them.
  ///   - kept: how they are remembered; bf16 rounds them.
  init(_ state: ModelState, dataset: Dataset, computed: Precision, kept: Precision, store: StatisticsStore) {
    model = KeyChains(state, dataset: dataset).wholeModel
    form = StatesForm(computed: computed, kept: kept)
    width = state.transformer.shape.hiddenSize
    self.store = store
  }

  /// Fills `hidden`, `[rows of all, hiddenSize]`, with what is remembered of `sequences`; false if something is missing,
  /// and `hidden` is then undefined.
  func recall(_ sequences: [DatasetSequence], into hidden: UnsafeMutablePointer<Float>) -> Bool {
    guard !sequences.isEmpty, sequences.allSatisfy({ store.contains(key($0)) }) else { return false }
    var row = 0
    for sequence in sequences {
      guard let states = store.value(key(sequence))?.states, states.count == sequence.rows * width else { return false }
      states.read(into: hidden + row * width)
      row += sequence.rows
    }
    return true
  }

  /// Remembers `hidden`, and makes it what the memory gives back: the same every time.
  func keep(_ sequences: [DatasetSequence], _ hidden: UnsafeMutablePointer<Float>) {
    var row = 0
    for sequence in sequences {
      let start = hidden + row * width
      let states = KeptStates(start, count: sequence.rows * width, precision: form.kept)
      store.remember(.states(states), for: key(sequence))
      if form.kept != .fp32 { states.read(into: start) }
      row += sequence.rows
    }
  }

  private func key(_ sequence: DatasetSequence) -> StatisticsKey {
    .lastStates(model, sequence: sequence.number, form: form)
  }
}
