// prune/preview: what a pruning or edits would do, at several sparsities, without doing it.

package import JSON

package enum PrunePreview: Method {
  package static let name = "prune/preview"

  package enum Change: Sendable {
    case pruning(Pruning)
    case edits([MaskEdit.Edit])
  }

  package struct Pruning: Sendable {
    package let pruning: PruningParam
    /// How much to prune, one preview each.
    package let targets: [SparsityParam]

    init(_ fields: inout JSONFields) throws(JSONFieldError) {
      pruning = try PruningParam(&fields)
      let ratios = try fields.optionalDoubles("sparsities", in: 0...1) ?? []
      let patterns = try fields.optionalStrings("patterns") ?? []
      guard (1...mostTargets).contains(ratios.count + patterns.count) else {
        throw fields.error(
          ratios.isEmpty && patterns.isEmpty ? .missingField : .outOfRange, "sparsities",
          expected: "1 to \(mostTargets) `sparsities` and `patterns` together")
      }
      targets = ratios.map { .sparsity($0) } + patterns.map { .pattern($0) }
    }
  }

  package struct Params: MethodParams {
    package let model: String
    package let revision: String?
    package let dataset: String
    package let change: Change

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      revision = try fields.optionalString("revision")
      dataset = try fields.string("dataset")
      if let list = try fields.optionalFieldsArray("edits") {
        change = .edits(try MaskEdit.edits(list, &fields))
        return
      }
      guard fields.has("plugin") else {
        throw fields.error(.missingField, "plugin", expected: "`plugin`, or `edits` as in mask/edit")
      }
      change = .pruning(try Pruning(&fields))
    }
  }

  /// Sparsities and patterns of one request at most.
  package static let mostTargets = 32

  /// Bytes of weights in each form; what is cut out only if whole units are gone.
  package struct Forms: Sendable {
    let json: JSON

    package init(dense: Int, bitmask: Int, shrunk: Int?) {
      var members: JSONObject = ["dense": JSON(dense), "bitmask": JSON(bitmask)]
      if let shrunk { members["shrunk"] = JSON(shrunk) }
      json = .object(members)
    }
  }

  /// How many times as fast as dense weights each form should be.
  package struct Speedups: Sendable {
    let json: JSON

    package init(bitmask: Double, shrunk: Double?) {
      var members: JSONObject = ["bitmask": wireNumber(bitmask)]
      if let shrunk { members["shrunk"] = wireNumber(shrunk) }
      json = .object(members)
    }
  }

  package struct Tensor: Sendable {
    let json: JSON

    /// - Parameter outputError: relative squared error of its output.
    package init(tensor: String, sparsity: Double, outputError: Double, bytes: Forms) {
      json = [
        "tensor": JSON(tensor), "sparsity": JSON(sparsity), "outputError": wireNumber(outputError),
        "bytes": bytes.json,
      ]
    }
  }

  package struct Preview: Sendable {
    let json: JSON

    /// - Parameters:
    ///   - target: as asked: `0.5`, `2:4`, or `edits`.
    ///   - sparsity, outputError: of the tensors together.
    ///   - bytes: of the whole model.
    package init(
      target: String, sparsity: Double, outputError: Double, bytes: Forms, decoding: Speedups, forward: Speedups,
      tensors: [Tensor]
    ) {
      json = [
        "target": JSON(target), "sparsity": JSON(sparsity), "outputError": wireNumber(outputError),
        "bytes": bytes.json, "predictedDecodingSpeedup": decoding.json, "predictedForwardSpeedup": forward.json,
        "tensors": .array(tensors.map(\.json)),
      ]
    }
  }

  package static func result(
    model: String, revision: String, dataset: String, previews: [Preview], statistics: StatisticsFacts,
    diagnostics: JSON, seconds: Double
  ) -> JSON {
    var result: JSON = [
      "model": JSON(model), "revision": JSON(revision), "dataset": JSON(dataset),
      "exactUnder": "current statistics", "previews": .array(previews.map(\.json)),
    ]
    statistics.add(to: &result)
    result["diagnostics"] = diagnostics
    result["seconds"] = JSON(seconds)
    return result
  }
}
