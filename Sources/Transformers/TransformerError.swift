// What can be wrong with a model's description: facts, and the one place that puts them into words.

package import JSON

/// Why a checkpoint is not a model that Espalier can compute with.
package enum TransformerError: Error, Equatable {
  case unknownArchitecture(name: String, known: [String])
  case configurationInvalid(JSONFieldError)
  case tensorMissing(name: String, shape: [Int])
  case tensorUnexpected(name: String)
  case shapeMismatch(name: String, expected: [Int], given: [Int])
  case dtypeUnsupported(name: String, given: String)
  case tokenOutOfRange(token: Int, position: Int, vocabularySize: Int)
  case sequenceTooLong(length: Int, maximum: Int)

  /// A stable word for clients.
  package var kind: String {
    switch self {
    case .unknownArchitecture: "unknownArchitecture"
    case .configurationInvalid: "configurationInvalid"
    case .tensorMissing: "tensorMissing"
    case .tensorUnexpected: "tensorUnexpected"
    case .shapeMismatch: "shapeMismatch"
    case .dtypeUnsupported: "dtypeUnsupported"
    case .tokenOutOfRange: "tokenOutOfRange"
    case .sequenceTooLong: "sequenceTooLong"
    }
  }

  package var message: String {
    switch self {
    case .unknownArchitecture(let name, let known):
      "The architecture \"\(name)\" is not known. Known: \(known.joined(separator: ", ")). Load a model of one of these."
    case .configurationInvalid(let error):
      "The model's configuration is not one that this architecture computes: " + error.message
    case .tensorMissing(let name, let shape):
      "The configuration needs the tensor \"\(name)\" of shape \(shape), which the checkpoint does not have. "
        + "Is it complete, and is config.json the one that belongs to these weights?"
    case .tensorUnexpected(let name):
      "The checkpoint has the tensor \"\(name)\", which the configuration gives no place. "
        + "Is config.json the one that belongs to these weights?"
    case .shapeMismatch(let name, let expected, let given):
      "The tensor \"\(name)\" has shape \(given) in the checkpoint; the configuration implies \(expected). "
        + "Is config.json the one that belongs to these weights?"
    case .dtypeUnsupported(let name, let given):
      "The tensor \"\(name)\" is stored as \(given), which cannot hold weights; "
        + "supported: f32, f16, bf16, and in GGUF q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k."
    case .tokenOutOfRange(let token, let position, let vocabularySize):
      "The token id \(token) at position \(position) is outside the vocabulary (0...\(vocabularySize - 1)). "
        + "Use ids of this model's own tokenizer."
    case .sequenceTooLong(let length, let maximum):
      "Sequences of \(length) tokens do not fit the model, whose positions end at \(maximum). Use shorter windows."
    }
  }
}
