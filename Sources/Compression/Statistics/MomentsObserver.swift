// The moments alone of one layer's linear inputs, as they pass by.

import Tensors
import Transformers

/// Another name of the store.
package typealias CalibrationCache = StatisticsStore

/// A `LayerObserver` for moments.
final class MomentsObserver {
  private let observer: LayerObserver

  init(_ inputs: [LinearInput], compute: Compute) {
    observer = LayerObserver(inputs, need: .moments, compute: compute)
  }

  /// In the order of the inputs.
  var moments: [Moments] { observer.finish().compactMap(\.moments) }

  func observe(_ input: LinearInput, _ activations: UnsafePointer<Float>, rows: Int, sequences: Int) {
    observer.observe(input, activations, rows: rows, sequences: sequences)
  }
}
