// What every architecture offers: its sizes, its tensors, and a forward pass layer by layer.

package import OrderedCollections
package import Tensors

/// The sizes that computations around a model need.
package struct ModelShape: Sendable, Equatable {
  package let layers: Int
  package let hiddenSize: Int
  package let vocabularySize: Int
  /// Tokens of the longest sequence that the model was made for.
  package let maximumLength: Int
}

/// One distinct input of linear maps: tensors that read the same activations share one.
package struct LinearInput: Sendable, Hashable {
  package let layer: Int
  /// The place in the layer: `attention`, `attentionOutput`, `mlp`, `mlpDown`.
  package let site: String
  /// Names of the weights that are multiplied with it.
  package let tensors: [String]
  /// Width of the activations: the columns of those weights.
  package let columns: Int
}

/// A structure of a layer that spans several of its weights.
package enum StructuralUnit: Sendable, Equatable {
  /// A query head, from 0.
  case head(Int)
  /// A neuron of the MLP, from 0.
  case neuron(Int)
}

/// Rows or columns of a weight matrix.
package struct WeightSlice: Sendable, Equatable {
  package enum Axis: Sendable { case rows, columns }
  package let tensor: String
  package let axis: Axis
  package let range: Range<Int>
}

/// Sequences of one length that go through a model together.
package struct Batch: Sendable, Equatable {
  package let sequences: Int
  package let length: Int
  /// Rows of the activations.
  package var tokens: Int { sequences * length }

  package init(sequences: Int, length: Int) {
    self.sequences = sequences
    self.length = length
  }
}

/// Called with the activations `[rows, input.columns]` that linear maps are about to read.
package typealias LinearInputObserver = (_ input: LinearInput, _ activations: UnsafePointer<Float>, _ rows: Int) -> Void

/// A causal language model as arithmetic over named tensors. Holds no weights: those come from a `WeightSource`,
/// so one value serves every revision.
package protocol Transformer: Sendable {
  var shape: ModelShape { get }

  /// Every tensor that the arithmetic reads, with its shape, in the order of computation.
  var expectedTensors: OrderedDictionary<String, [Int]> { get }

  /// The linear maps of layer `layer`, in the order in which the layer computes them. Their weights are what is pruned.
  func linearInputs(layer: Int) -> [LinearInput]

  /// Query heads and MLP neurons of a layer.
  func unitCounts(layer: Int) -> (heads: Int, neurons: Int)

  /// The weights that belong to a unit of a layer alone: without them it has no effect on the output.
  func slices(of unit: StructuralUnit, layer: Int) -> [WeightSlice]

  /// All tensors that decide the output of layer `layer` given its input.
  func tensors(layer: Int) -> [String]

  /// The tensor that embeds tokens.
  var embeddingTensor: String { get }

  /// Working memory for batches of at most `batch`.
  func makeForwardPass(batch: Batch, compute: Compute) -> any ForwardPass

  /// Floating-point operations of a forward pass over `batch` with its losses: two for each multiplication of a
  /// matrix product, attention counted for the positions that are seen.
  func forwardOperations(batch: Batch) -> Double

  /// Bytes of working memory that one token of a batch needs.
  var activationBytesPerToken: Int { get }
}

/// A forward pass with its working memory, used by one thread at a time.
package protocol ForwardPass: AnyObject {
  /// hidden[n, :] = embedding of tokens[n]. Ids are checked by the caller.
  func embed(_ tokens: [Int32], into hidden: UnsafeMutablePointer<Float>, weights: any WeightSource)

  /// Takes `hidden` (`[batch.tokens, hiddenSize]`) through layer `layer`, in place. Positions count from 0 in each
  /// sequence.
  /// - Throws: `Cancelled`; `hidden` is then undefined.
  func layer(
    _ layer: Int, hidden: UnsafeMutablePointer<Float>, batch: Batch, weights: any WeightSource,
    cancellation: Cancellation, observer: LinearInputObserver?
  ) throws(Cancelled)

  /// The loss of predicting token t+1 from position t, in nats: for each sequence `length - 1` values.
  /// - Parameter tokens: the batch's own tokens, `[sequences * length]`.
  /// - Throws: `Cancelled`.
  func nextTokenLosses(
    hidden: UnsafePointer<Float>, tokens: [Int32], batch: Batch, weights: any WeightSource,
    cancellation: Cancellation
  ) throws(Cancelled) -> [Double]
}
