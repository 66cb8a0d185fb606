// From a checkpoint to a transformer with the tensors that it reads: every matrix with outputs as rows, everything
// checked to fit.

package import Checkpoints
package import OrderedCollections
package import Tensors

/// A checkpoint that computations can use.
package struct LoadedTransformer: Sendable {
  package let transformer: Transformer
  /// What the transformer reads, in the checkpoint's order; matrices are `[outputs, inputs]` whatever the file has.
  package let tensors: OrderedDictionary<String, TensorView>
}

/// Reads `checkpoint`'s configuration and checks that it has every tensor that the architecture reads, in its shape and
/// in a type that holds weights, and none that would be left unread.
///
/// Weights stay mapped, but those that an architecture stores as [inputs, outputs] are copied, transposed.
/// - Throws: `TransformerError`.
package func loadTransformer(_ checkpoint: Checkpoint) throws(TransformerError) -> LoadedTransformer {
  let transformer = try makeTransformer(
    configuration: checkpoint.configuration, tensorNames: checkpoint.tensors.keys)
  var tensors = checkpoint.tensors
  for name in checkpoint.tensors.keys where transformer.isUnused(name) { tensors[name] = nil }
  let expected = transformer.expectedTensors
  for (name, shape) in expected {
    guard let tensor = tensors[name] else { throw .tensorMissing(name: name, shape: shape) }
    let isTransposed = checkpoint.format == .huggingFace && transformer.isTransposedInHuggingFace(name)
    let stored = isTransposed ? Array(shape.reversed()) : shape
    guard tensor.shape == stored else { throw .shapeMismatch(name: name, expected: stored, given: tensor.shape) }
    guard tensor.dtype.holdsWeights else { throw .dtypeUnsupported(name: name, given: tensor.dtype.rawValue) }
    if isTransposed { tensors[name] = tensor.transposed }
  }
  for name in tensors.keys where expected[name] == nil { throw .tensorUnexpected(name: name) }
  return LoadedTransformer(transformer: transformer, tensors: tensors)
}

extension Transformer {
  /// Whether Hugging Face layout stores `tensor` as [inputs, outputs].
  package func isTransposedInHuggingFace(_ tensor: String) -> Bool {
    transposedInHuggingFace.contains { tensor.hasSuffix($0) }
  }

  /// Checks that sequences of `length` of these tokens can go through the model.
  /// - Throws: `TransformerError` if a token is outside the vocabulary or the sequences are longer than the model's
  ///   positions.
  package func checkTokens(_ tokens: [Int32], length: Int) throws(TransformerError) {
    guard length <= shape.maximumLength else {
      throw .sequenceTooLong(length: length, maximum: shape.maximumLength)
    }
    if let position = tokens.firstIndex(where: { $0 < 0 || $0 >= shape.vocabularySize }) {
      throw .tokenOutOfRange(
        token: Int(tokens[position]), position: position, vocabularySize: shape.vocabularySize)
    }
  }
}
