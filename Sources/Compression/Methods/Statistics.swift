// What methods may want to know beside the weights: of the inputs of a linear map, and of a loss.

package import Tensors

/// Kinds of statistics, as a set. The raw values are those of the plugin ABI.
package struct StatisticsNeed: OptionSet, Sendable, Hashable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Weights only: no dataset is needed.
  package static let none: StatisticsNeed = []
  /// Per-input moments over a calibration dataset (`Moments`).
  package static let moments = StatisticsNeed(rawValue: 1)
  /// `Gram.products`.
  package static let gram = StatisticsNeed(rawValue: 2)
  /// `Gram.cross`.
  package static let crossGram = StatisticsNeed(rawValue: 4)
  /// Gradients of the model's loss (`GradientSums`).
  package static let gradients = StatisticsNeed(rawValue: 8)
  /// Gradients of the norm of the tensor's block's output (`GradientSums`).
  package static let regionalGradients = StatisticsNeed(rawValue: 16)

  package static let all: StatisticsNeed = [.moments, .gram, .crossGram, .gradients, .regionalGradients]

  /// Whether Gram matrices are needed, for themselves or beside cross products.
  package var containsGram: Bool { !isDisjoint(with: [.gram, .crossGram]) }

  /// Whether the inputs of linear maps have to be looked at.
  package var areOfInputs: Bool { !isDisjoint(with: [.moments, .gram, .crossGram]) }

  /// `none`, or the words joined: `moments, gram`.
  package var words: String {
    let names: [(StatisticsNeed, String)] = [
      (.moments, "moments"), (.gram, "gram"), (.crossGram, "crossGram"), (.gradients, "gradients"),
      (.regionalGradients, "regionalGradients"),
    ]
    let own = names.filter { contains($0.0) }.map(\.1)
    return own.isEmpty ? "none" : own.joined(separator: ", ")
  }
}

/// First and second moments of the inputs x of one linear map, over all tokens of a calibration dataset.
/// Each array has one element per input (column of the weight matrix); sums are in double.
package struct Moments: Sendable, Equatable {
  package var sequences: Int
  package var tokens: Int
  package var sum: [Double]
  package var sumOfSquares: [Double]
  package var sumOfMagnitudes: [Double]
  /// Sum over sequences of the square of the mean over a sequence's tokens of |x|: Minitron's activation, squared.
  package var sumOfSquaredMeans: [Double]

  package init(inputs: Int) {
    sequences = 0
    tokens = 0
    sum = Array(repeating: 0, count: inputs)
    sumOfSquares = sum
    sumOfMagnitudes = sum
    sumOfSquaredMeans = sum
  }
}

/// Second moments of the inputs x of one linear map with n inputs, over all tokens of a calibration dataset.
package final class Gram: Sendable {
  package let sequences: Int
  package let tokens: Int
  package let inputs: Int
  /// `[n, n]`, symmetric to the bit: the sum of x xᵀ.
  package let products: FloatBuffer
  /// `[n, n]`: the sum of z xᵀ, where z is the same input before anything was pruned; nil unless asked for.
  package let cross: FloatBuffer?

  package init(sequences: Int, tokens: Int, inputs: Int, products: FloatBuffer, cross: FloatBuffer? = nil) {
    self.sequences = sequences
    self.tokens = tokens
    self.inputs = inputs
    self.products = products
    self.cross = cross
  }

  package var bytes: Int { products.bytes + (cross.map { $0 === products ? 0 : $0.bytes } ?? 0) }
}

/// What was seen of one input of linear maps; tensors that read the same activations share it.
package struct InputStatistics: Sendable {
  package var moments: Moments?
  package var gram: Gram?

  package init(moments: Moments? = nil, gram: Gram? = nil) {
    self.moments = moments
    self.gram = gram
  }
}

/// Gradients g of a loss in one weight matrix, one for each calibration sequence, summed. Each buffer is
/// `[rows, columns]`.
package final class GradientSums: Sendable {
  /// Calibration sequences.
  package let samples: Int
  /// Training steps that the weights took meanwhile; 0 if they stayed.
  package let steps: Int
  package let sum: FloatBuffer
  package let sumOfSquares: FloatBuffer
  /// The sum over steps of w_t g_t; nil if the weights stayed, when it is w times `sum`.
  package let movement: FloatBuffer?

  package init(
    samples: Int, steps: Int = 0, sum: FloatBuffer, sumOfSquares: FloatBuffer, movement: FloatBuffer? = nil
  ) {
    self.samples = samples
    self.steps = steps
    self.sum = sum
    self.sumOfSquares = sumOfSquares
    self.movement = movement
  }

  package var bytes: Int { sum.bytes + sumOfSquares.bytes + (movement?.bytes ?? 0) }
}

/// All that a method is given to know about one weight matrix.
package struct MatrixStatistics: Sendable {
  package var input: InputStatistics
  package var gradients: GradientSums?
  package var regionalGradients: GradientSums?

  package init(
    input: InputStatistics = InputStatistics(), gradients: GradientSums? = nil, regionalGradients: GradientSums? = nil
  ) {
    self.input = input
    self.gradients = gradients
    self.regionalGradients = regionalGradients
  }
}
