// evaluate/sensitivity: the loss when one layer is pruned and the others are as they are.

package import JSON

package enum EvaluateSensitivity: Method {
  package static let name = "evaluate/sensitivity"

  /// What is done to a layer.
  package enum Change: Sendable {
    /// Its tensors are pruned.
    case pruning(CriterionParam, group: String?, calibration: String?)
    /// It is left out.
    case leavingOut
  }

  /// What is asked, in full or by the handle of an earlier answer.
  package enum Question: Sendable {
    case new(revision: String?, dataset: String, window: Int?, change: Change)
    case continued(String)
  }

  package struct Params: MethodParams {
    package let model: String
    package let question: Question
    package let sparsities: [Double]
    /// Nil: all.
    package let layers: [Int]?
    /// An integer or a string, under which points are sent as they are found. (LSP 3.17, partial results)
    package let partialResultToken: JSON?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      let handle = try fields.optionalString("sensitivity")
      if let handle { question = .continued(handle) } else { question = try Self.new(&fields) }
      let given = try fields.optionalDoubles("sparsities", in: 0...1)
      if let given, !(1...mostSparsities).contains(given.count) {
        throw fields.error(.outOfRange, "sparsities", expected: "1 to \(mostSparsities) numbers from 0 to 1")
      }
      if given != nil, case .new(_, _, _, .leavingOut) = question {
        throw fields.error(.outOfRange, "sparsities", expected: "no sparsities for the unit layer")
      }
      sparsities = Set(given ?? [0.3, 0.5, 0.7, 0.9]).sorted()
      layers = try fields.optionalInts("layers", in: 0...Int(Int32.max)).map { Set($0).sorted() }
      if layers?.isEmpty == true {
        throw fields.error(.outOfRange, "layers", expected: "at least one layer; leave it out to take all")
      }
      partialResultToken = try fields.partialResultToken()
    }

    private static func new(_ fields: inout JSONFields) throws(JSONFieldError) -> Question {
      let revision = try fields.optionalString("revision")
      let window = try fields.optionalInt("window", in: 2...(1 << 20))
      let dataset = try fields.string("dataset")
      guard try fields.string("unit", oneOf: ["weight", "layer"], default: "weight") == "weight" else {
        return .new(revision: revision, dataset: dataset, window: window, change: .leavingOut)
      }
      let criterion = try CriterionParam(&fields)
      let group = try fields.optionalString("group", oneOf: ["matrix", "row", "column"])
      let calibration = try fields.optionalString("calibration")
      return .new(
        revision: revision, dataset: dataset, window: window,
        change: .pruning(criterion, group: group, calibration: calibration))
    }
  }

  /// Sparsities of one request at most.
  package static let mostSparsities = 64

  package struct Point: Sendable {
    let json: JSON

    /// - Parameters:
    ///   - loss, baseline: nats per predicted token.
    ///   - perplexity: exp(loss).
    package init(layer: Int, sparsity: Double, loss: Double, perplexity: Double, baseline: Double) {
      json = [
        "layer": JSON(layer), "sparsity": JSON(sparsity), "loss": wireNumber(loss),
        "perplexity": wireNumber(perplexity), "deltaLoss": wireNumber(loss - baseline),
      ]
    }
  }

  package static func list(_ points: [Point]) -> JSON { .array(points.map(\.json)) }

  /// - Parameter reusedPoints: points that were known before.
  package static func result(
    sensitivity: String, model: String, revision: String, window: Int, baselineLoss: Double, points: [Point],
    reusedPoints: Int, diagnostics: JSON, seconds: Double
  ) -> JSON {
    [
      "sensitivity": JSON(sensitivity), "model": JSON(model), "revision": JSON(revision), "window": JSON(window),
      "baselineLoss": wireNumber(baselineLoss), "points": list(points), "complete": true,
      "reusedPoints": JSON(reusedPoints), "diagnostics": diagnostics, "seconds": JSON(seconds),
    ]
  }

  /// What a notification brings: points that came since the last. (LSP 3.17, partial results)
  package static func partialResult(token: JSON, sensitivity: String, points: [Point]) -> JSON {
    ["token": token, "value": ["sensitivity": JSON(sensitivity), "points": list(points)]]
  }
}
