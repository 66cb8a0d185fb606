// Adds up the gradients of chosen matrices, one calibration sequence after the other.

import OrderedCollections
import Tensors
import Transformers

/// Sums of gradients, of their squares and of what weights times gradients move.
final class GradientAccumulator {
  private struct Place {
    let sum, squares: FloatBuffer
    let movement: FloatBuffer?
  }

  private let compute: Compute
  private var places: OrderedDictionary<String, Place> = [:]
  private var samples = 0

  /// - Parameters:
  ///   - names: tensors of the layout.
  ///   - isTraining: whether the weights move, so that each gradient has weights of its own.
  init(_ names: [String], layout: ParameterLayout, isTraining: Bool, compute: Compute) {
    self.compute = compute
    func zeros(_ count: Int) -> FloatBuffer {
      let buffer = FloatBuffer(count: count)
      buffer.values.initialize(repeating: 0)
      return buffer
    }
    for name in names {
      guard let count = layout.entries[name]?.count else { continue }
      places[name] = Place(sum: zeros(count), squares: zeros(count), movement: isTraining ? zeros(count) : nil)
    }
  }

  /// Bytes of the sums of matrices with `elements` elements together.
  static func bytes(elements: Int, isTraining: Bool) -> Int { elements * (isTraining ? 12 : 8) }

  /// Adds the gradients of one sequence.
  /// - Parameter weights: those that the gradients were taken at; needed if they move.
  func add(_ gradients: ParameterBlock, weights: ParameterBlock? = nil) {
    for (name, place) in places {
      let g = gradients[name], count = place.sum.count
      compute.add(place.sum.pointer, g, count: count)
      compute.addProduct(place.squares.pointer, g, g, count: count)
      if let movement = place.movement, let weights {
        compute.addProduct(movement.pointer, weights[name], g, count: count)
      }
    }
    samples += 1
  }

  /// The sums so far, which go on growing if more is added.
  func sums(steps: Int) -> [String: GradientSums] {
    var sums: [String: GradientSums] = [:]
    for (name, place) in places {
      sums[name] = GradientSums(
        samples: samples, steps: steps, sum: place.sum, sumOfSquares: place.squares, movement: place.movement)
    }
    return sums
  }
}
