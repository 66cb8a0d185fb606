// The list of architectures: from a configuration to a transformer.

package import JSON

/// An architecture that configurations name by their `model_type`.
struct Architecture: Sendable {
  /// Values of `model_type`.
  let names: [String]
  /// What the names of tensors may begin with, the usual one first: a model may be saved with or without its head, or
  /// as the text part of a larger one.
  let prefixes: [String]
  /// The tensor that embeds tokens, behind the prefix.
  let embedding: String
  /// Where configurations keep sizes.
  var sizes = SizeFields.rotary
  /// Reads a configuration.
  let read: @Sendable (_ fields: inout JSONFields, _ prefix: String) throws(JSONFieldError) -> Transformer
}

private let architectures: [Architecture] = [.llama, .mistral, .qwen2, .qwen3, .gemma3, .gpt2, .opt]

/// Names of the architectures that `makeTransformer` knows.
package var knownArchitectures: [String] { architectures.flatMap(\.names) }

/// Where the configurations of an architecture keep sizes; nil if it is not known.
func sizeFields(ofArchitecture name: String) -> SizeFields? {
  architectures.first { $0.names.contains(name) }?.sizes
}

/// The transformer that `configuration` (the keys of a Hugging Face config.json) describes.
/// - Parameter tensorNames: the checkpoint's, which tell what its names begin with; without them the usual beginning.
/// - Throws: `TransformerError` if the architecture is unknown, or a field is missing, wrong, not supported, or not
///   known to leave the arithmetic alone.
package func makeTransformer(
  configuration: JSONObject, tensorNames: some Collection<String> = [String]()
) throws(TransformerError) -> Transformer {
  var fields = JSONFields(members: configuration, at: "config")
  let name: String, isShrunk: Bool
  do throws(JSONFieldError) {
    (name, isShrunk) = architectureName(try fields.string("model_type"))
  } catch {
    throw .configurationInvalid(error)
  }
  guard let architecture = architectures.first(where: { $0.names.contains(name) }) else {
    throw .unknownArchitecture(name: name, known: knownArchitectures)
  }
  let prefix = architecture.prefixes.first { tensorNames.contains($0 + architecture.embedding) }
  do throws(JSONFieldError) {
    var transformer = try architecture.read(&fields, prefix ?? architecture.prefixes[0])
    if isShrunk { transformer = try transformer.keeping(fields.fields(shrunkField)) }
    try fields.requireFalse("is_encoder_decoder", "add_cross_attention", "tie_encoder_decoder")
    if let pruned = try fields.optionalObject("pruned_heads"), !pruned.isEmpty {
      throw fields.error(.outOfRange, "pruned_heads", expected: "an empty object: layers have all of their heads")
    }
    try HarmlessFields.requireKnown(fields)
    return transformer
  } catch {
    throw .configurationInvalid(error)
  }
}
