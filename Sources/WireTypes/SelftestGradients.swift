// selftest/gradients: whether the backward pass computes the gradient of the forward pass, tensor by tensor.

package import JSON

package enum SelftestGradients: Method {
  package static let name = "selftest/gradients"

  /// The most tokens of the sequence.
  private static let longest = 4096

  package enum Source: Sendable, Equatable {
    /// Drawn from the vocabulary.
    case random
    /// The beginning of the first sequence of a dataset.
    case dataset(String)
    case tokens([Int])
  }

  package struct Params: MethodParams {
    package let model: String
    package let revision: String?
    package let source: Source
    /// Nil: 32, or what there is of less.
    package let length: Int?
    /// Globs over the names of all tensors; nil takes all.
    package let modules: [String]?
    package let samples: Int
    package let seed: Int

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      let dataset = try fields.optionalString("dataset")
      let tokens = try fields.optionalInts("tokens", in: 0...Int(Int32.max))
      length = try fields.optionalInt("length", in: 2...longest)
      switch (dataset, tokens) {
      case (nil, nil): source = .random
      case (let dataset?, nil): source = .dataset(dataset)
      case (nil, let tokens?):
        guard length == nil, (2...longest).contains(tokens.count) else {
          throw fields.error(.outOfRange, "tokens", expected: "2 to \(longest) token ids, and no `length` beside them")
        }
        source = .tokens(tokens)
      case (_?, _?): throw fields.error(.outOfRange, "tokens", expected: "either `dataset` or `tokens`, not both")
      }
      modules = try fields.optionalGlobs("modules")
      samples = try fields.int("samples", in: 1...4096, default: 512)
      seed = try fields.int("seed", in: 0...Int.max, default: 0)
    }
  }

  /// The check of one tensor.
  package struct Tensor: Sendable {
    let json: JSON

    package init(
      tensor: String, analytic: Double, numeric: Double, error: Double, tolerance: Double, step: Double, samples: Int,
      passed: Bool
    ) {
      json = [
        "tensor": JSON(tensor), "analytic": wireNumber(analytic), "numeric": wireNumber(numeric),
        "error": wireNumber(error), "tolerance": wireNumber(tolerance), "step": wireNumber(step),
        "samples": JSON(samples), "passed": JSON(passed),
      ]
    }
  }

  /// - Parameters:
  ///   - tokens: predicted tokens.
  ///   - loss, noise: nats per predicted token.
  package static func result(
    model: String, revision: String, tokens: Int, seed: Int, loss: Double, noise: Double, passed: Bool,
    tensors: [Tensor], seconds: Double
  ) -> JSON {
    [
      "model": JSON(model), "revision": JSON(revision), "tokens": JSON(tokens), "seed": JSON(seed),
      "loss": wireNumber(loss), "noise": wireNumber(noise), "passed": JSON(passed),
      "tensors": .array(tensors.map(\.json)), "seconds": JSON(seconds),
    ]
  }
}
