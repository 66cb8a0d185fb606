// How configurations write a rotary embedding: `rope_parameters` in transformers 5, `rope_theta` and `rope_scaling` before.

import JSON

extension Rotary {
  private static let bases = 1...1e12

  /// The rotary embedding of a configuration with one for all layers.
  init(
    _ fields: inout JSONFields, headSize: Int, maximumLength: Int, defaultBase: Double
  ) throws(JSONFieldError) {
    let base = try fields.double("rope_theta", in: Self.bases, default: defaultBase)
    func rotary(_ object: JSONFields?) throws(JSONFieldError) -> Rotary? {
      guard let object else { return nil }
      return try Rotary(object, headSize: headSize, maximumLength: maximumLength, defaultBase: base)
    }
    let new = try rotary(fields.optionalFields("rope_parameters"))
    let old = try rotary(fields.optionalFields("rope_scaling"))
    if let new, let old, new.scaling != old.scaling {
      throw fields.error(.outOfRange, "rope_scaling", expected: "what rope_parameters says, or nothing")
    }
    self = new ?? old ?? Rotary(headSize: headSize, base: base)
  }

  /// The rotary embedding that one object describes.
  init(
    _ fields: JSONFields, headSize: Int, maximumLength: Int, defaultBase: Double
  ) throws(JSONFieldError) {
    var fields = fields
    let base = try fields.double("rope_theta", in: Self.bases, default: defaultBase)
    let kinds = ["default", "linear", "llama3"]
    let old = try fields.string("type", oneOf: kinds, default: "default")
    let kind = try fields.string("rope_type", oneOf: kinds, default: old)
    _ = try fields.double("partial_rotary_factor", in: 1...1, default: 1)
    let factors = 1...1e6
    switch kind {
    case "linear":
      self.init(headSize: headSize, base: base, scaling: .linear(factor: try fields.double("factor", in: factors)))
    case "llama3":
      let low = try fields.double("low_freq_factor", in: 1e-6...1e6)
      let high = try fields.double("high_freq_factor", in: 1e-6...1e6)
      guard high > low else {
        throw fields.error(.outOfRange, "high_freq_factor", expected: "more than low_freq_factor, \(low)")
      }
      self.init(
        headSize: headSize, base: base,
        scaling: .llama3(
          factor: try fields.double("factor", in: factors), low: low, high: high,
          original: try fields.double(
            "original_max_position_embeddings", in: 1...1e9, default: Double(maximumLength))))
    default: self.init(headSize: headSize, base: base)
    }
    if let stranger = fields.stranger(besides: { $0 == "original_max_position_embeddings" }) {
      throw fields.error(.unknownField, stranger, expected: "only fields that the rope_type \"\(kind)\" has")
    }
  }
}
