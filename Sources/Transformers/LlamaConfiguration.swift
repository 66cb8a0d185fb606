// The numbers that define a Llama-architecture model, read from the keys of a Hugging Face config.json.

package import JSON
package import Tensors

/// Configuration of the `llama` architecture (Touvron et al. 2023; grouped-query attention as in Llama 2).
package struct LlamaConfiguration: Sendable, Equatable {
  package let layers: Int  // num_hidden_layers
  package let hiddenSize: Int  // hidden_size
  package let intermediateSize: Int  // intermediate_size
  package let attention: AttentionShape  // num_attention_heads, num_key_value_heads, head_dim
  package let vocabularySize: Int  // vocab_size
  package let maximumLength: Int  // max_position_embeddings
  package let rmsNormEps: Float  // rms_norm_eps
  package let ropeTheta: Double  // rope_theta, or rope_parameters.rope_theta
  package let tiedEmbeddings: Bool  // tie_word_embeddings

  /// Bounds of every size, so that products of a few of them stay far from overflow.
  private static let sizes = 1...(1 << 24)
  /// Bounds of the layers: names are made for each before anybody knows whether the checkpoint has them.
  private static let layerCounts = 1...4096

  /// - Throws: `TransformerError` if a field is missing or wrong, or asks for arithmetic that is not this one.
  package init(_ configuration: JSONObject) throws(TransformerError) {
    var fields = JSONFields(members: configuration, at: "config")
    do throws(JSONFieldError) {
      layers = try fields.int("num_hidden_layers", in: Self.layerCounts)
      hiddenSize = try fields.int("hidden_size", in: Self.sizes)
      intermediateSize = try fields.int("intermediate_size", in: Self.sizes)
      let heads = try fields.int("num_attention_heads", in: Self.sizes)
      let kvHeads = try fields.int("num_key_value_heads", in: Self.sizes, default: heads)
      guard heads % kvHeads == 0 else {
        throw fields.error(.outOfRange, "num_key_value_heads", expected: "a divisor of num_attention_heads, \(heads)")
      }
      let headSize = try fields.int("head_dim", in: Self.sizes, default: hiddenSize / heads)
      guard headSize >= 2, headSize % 2 == 0 else {
        throw fields.error(.outOfRange, "head_dim", expected: "an even number")
      }
      attention = AttentionShape(heads: heads, kvHeads: kvHeads, headSize: headSize)
      vocabularySize = try fields.int("vocab_size", in: Self.sizes)
      maximumLength = try fields.int("max_position_embeddings", in: Self.sizes, default: 2048)
      rmsNormEps = Float(try fields.double("rms_norm_eps", in: 0...1, default: 1e-6))
      tiedEmbeddings = try fields.bool("tie_word_embeddings", default: false)

      // transformers 5 keeps the rotary embedding's numbers in one object, earlier versions in two fields.
      let ropeTheta = try fields.double("rope_theta", in: 1...1e12, default: 10000)
      var rope = try fields.optionalFields("rope_parameters")
      self.ropeTheta = try rope?.optionalDouble("rope_theta", in: 1...1e12) ?? ropeTheta
      try Self.refuseOtherArithmetic(&fields)
    } catch {
      throw .configurationInvalid(error)
    }
  }

  /// Fields that change the arithmetic must have the one value that this arithmetic has.
  private static func refuseOtherArithmetic(_ fields: inout JSONFields) throws(JSONFieldError) {
    for name in ["attention_bias", "mlp_bias"] where try fields.bool(name, default: false) {
      throw fields.error(.outOfRange, name, expected: "false: biases are not supported in this architecture")
    }
    _ = try fields.string("hidden_act", oneOf: ["silu"], default: "silu")
    _ = try fields.double("partial_rotary_factor", in: 1...1, default: 1)
    for name in ["rope_scaling", "rope_parameters"] {
      guard var rope = try fields.optionalFields(name) else { continue }
      for key in ["rope_type", "type"] { _ = try rope.string(key, oneOf: ["default"], default: "default") }
    }
  }
}
