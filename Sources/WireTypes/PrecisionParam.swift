// The precision that a client chooses for matrix products, where a method offers the choice.

package import JSON

extension JSONFields {
  /// Member `precision`: `fp32`, which is the default, or `bf16`.
  package mutating func precision() throws(JSONFieldError) -> String {
    try string("precision", oneOf: ["fp32", "bf16"], default: "fp32")
  }
}
