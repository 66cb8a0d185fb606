// What the quickstart found, as a table for people and as JSON for programs.

import JSON

struct PruningReport {
  /// One state of the model and how well it predicts.
  struct Row {
    var method: String
    /// Of the tensors that were masked.
    var sparsity: Double
    /// Of all parameters.
    var modelSparsity = 0.0
    var revision: String
    /// What a model predicts that is ruined altogether: not a number, or infinite.
    var perplexity: Double
    /// In nats per token, as is its standard error.
    var nll: Double
    var standardError: Double
    /// Of pruning, if any, and evaluation.
    var seconds: Double

    /// - Parameter answer: that of evaluate/perplexity.
    init(method: String, sparsity: Double, answer: JSON) {
      self.method = method
      self.sparsity = sparsity
      revision = answer["revision"]?.string ?? ""
      perplexity = number(answer["perplexity"])
      nll = number(answer["nll"])
      standardError = number(answer["standardError"])
      seconds = answer["seconds"]?.number ?? 0
    }
  }

  let plan: PruningTour.Plan
  /// The answers to model/load and dataset/load.
  var facts: JSON = [:]
  var calibration: JSON = [:]
  var evaluation: JSON = [:]
  var rows: [Row] = []
  /// What each plugin's scores took, and each mask and each undo afterwards.
  var scoreSeconds: [(plugin: String, seconds: Double)] = []
  var maskSeconds: [Double] = []
  var undoSeconds: [Double] = []
  /// In all.
  var seconds = 0.0

  init(plan: PruningTour.Plan) { self.plan = plan }

  /// Whether the last figure is the first one, bit for bit, of the same revision.
  var isRestored: Bool {
    guard let first = rows.first, let last = rows.last, rows.count > 1 else { return false }
    return first.perplexity.bitPattern == last.perplexity.bitPattern && first.revision == last.revision
  }
}

/// A number, or the name of one that JSON cannot write.
private func number(_ json: JSON?) -> Double {
  switch json {
  case "Infinity"?: .infinity
  case "-Infinity"?: -.infinity
  default: json?.number ?? .nan
  }
}

// MARK: For people

extension PruningReport {
  var text: String { [heading, table.text, times, verdict, next].joined(separator: "\n\n") }

  private var heading: String {
    func dataset(_ facts: JSON, _ path: String) -> String {
      let length = facts["sequenceLength"]?.integer ?? 0
      return "\(facts["sequences"]?.integer ?? 0) sequences of \(length) tokens of \(path)"
    }
    func fact(_ key: String, unit: String = "") -> String { short(facts[key]?.number ?? 0, unit: unit) }
    let model =
      "\(plan.source): \(facts["architecture"]?.string ?? "?"), \(fact("parameters")) parameters,"
      + " \(fact("layers")) layers, \(fact("bytes", unit: "B"))"
    return """
      model        \(model)
      calibration  \(dataset(calibration, plan.calibration))
      evaluation   \(dataset(evaluation, plan.evaluation))
      """
  }

  private var table: Table {
    var table = Table(columns: [
      .init(heading: "method"), .init(heading: "sparsity", isNumber: true),
      .init(heading: "perplexity", isNumber: true), .init(heading: "standard error", isNumber: true),
      .init(heading: "seconds", isNumber: true), .init(heading: "revision"),
    ])
    for row in rows {
      table.rows.append([
        row.method, fixed(row.sparsity * 100, 1) + " %", fixed(row.perplexity, 2),
        fixed(row.perplexity * row.standardError, 2), fixed(row.seconds, 2), row.revision,
      ])
    }
    return table
  }

  private var times: String {
    let scores = scoreSeconds.map { "\($0.plugin) \(duration($0.seconds))" }.joined(separator: ", ")
    return "Scores are made once (\(scores)); each mask then takes \(duration(median(maskSeconds))),"
      + " each undo \(duration(median(undoSeconds))).\nAll of it took \(duration(seconds))."
  }

  private var verdict: String {
    guard let first = rows.first, let last = rows.last else { return "" }
    func bits(_ value: Double) -> String { "\(value) (0x\(String(value.bitPattern, radix: 16)))" }
    return isRestored
      ? "After every undo the perplexity is the first one, bit for bit: \(bits(first.perplexity))."
      : "After every undo the perplexity is \(bits(last.perplexity)) at revision \(last.revision), but it was"
        + " \(bits(first.perplexity)) at \(first.revision). That is a fault of Espalier; please report it."
  }

  private var next: String {
    """
    Next: the same with a model and texts of your own,
      espalier quickstart --model FOLDER_OR_GGUF --calibration TEXT --evaluation TEXT
    or request by request, as protocol/README.md shows.
    """
  }

  private func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
  }
}

// MARK: For programs

extension PruningReport {
  var json: JSON {
    [
      "model": facts, "calibration": calibration, "evaluation": evaluation,
      "rows": .array(
        rows.map { row in
          [
            "method": .string(row.method), "sparsity": JSON(row.sparsity), "modelSparsity": JSON(row.modelSparsity),
            "revision": .string(row.revision), "perplexity": Self.written(row.perplexity),
            "nll": Self.written(row.nll), "standardError": Self.written(row.standardError),
            "seconds": JSON(row.seconds),
          ]
        }),
      "scoreSeconds": .object(JSONObject(scoreSeconds.map { ($0.plugin, JSON($0.seconds)) })),
      "maskSeconds": JSON(maskSeconds), "undoSeconds": JSON(undoSeconds), "seconds": JSON(seconds),
      "restored": .bool(isRestored),
    ]
  }

  private static func written(_ value: Double) -> JSON {
    value.isFinite ? .number(value) : value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity"
  }
}
