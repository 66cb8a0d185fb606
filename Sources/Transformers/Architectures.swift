// The list of architectures: from a configuration to the arithmetic, and the check that a checkpoint fits it.

package import Checkpoints
package import JSON
import OrderedCollections
import Tensors

/// An architecture that configurations name by their `model_type`.
private struct Architecture: Sendable {
  let name: String
  let make: @Sendable (JSONObject) throws(TransformerError) -> any Transformer
}

private let architectures: [Architecture] = [
  Architecture(name: "llama") { configuration throws(TransformerError) in
    Llama(try LlamaConfiguration(configuration))
  }
]

/// Names of the architectures that `makeTransformer` knows.
package var knownArchitectures: [String] { architectures.map(\.name) }

/// The arithmetic of the model that `configuration` (the keys of a Hugging Face config.json) describes.
/// - Throws: `TransformerError` if the architecture is unknown, or a field is missing, wrong or not supported.
package func makeTransformer(configuration: JSONObject) throws(TransformerError) -> any Transformer {
  var fields = JSONFields(members: configuration, at: "config")
  let name: String
  do throws(JSONFieldError) {
    name = try fields.string("model_type")
  } catch {
    throw .configurationInvalid(error)
  }
  guard let architecture = architectures.first(where: { $0.name == name }) else {
    throw .unknownArchitecture(name: name, known: knownArchitectures)
  }
  return try architecture.make(configuration)
}

/// Checks that `checkpoint` has every tensor that `model` reads, in its shape and in a type that holds weights, and
/// none that the model would leave unread.
/// - Throws: `TransformerError`.
package func checkTensors(of checkpoint: Checkpoint, fit model: any Transformer) throws(TransformerError) {
  let expected = model.expectedTensors
  for (name, shape) in expected {
    guard let tensor = checkpoint.tensors[name] else { throw .tensorMissing(name: name, shape: shape) }
    guard tensor.shape == shape else { throw .shapeMismatch(name: name, expected: shape, given: tensor.shape) }
    guard tensor.dtype.holdsWeights else {
      throw .dtypeUnsupported(name: name, given: tensor.dtype.rawValue)
    }
  }
  for name in checkpoint.tensors.keys where expected[name] == nil { throw .tensorUnexpected(name: name) }
}

extension Transformer {
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
