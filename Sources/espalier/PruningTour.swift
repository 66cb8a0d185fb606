// The requests of the quickstart, in their order. Every figure comes from the daemon's answers.
//
//   load ─ dense ─┬─ score ─┬─ mask ─ evaluate ─ undo      (each plugin, each sparsity)
//                 │         └─ ...
//                 ├─ prune layer by layer ─ evaluate ─ undo
//                 ├─ mask ─ distil ─ commit ─ evaluate ─ undo both
//                 └─ evaluate again: the first figure, to the bit

import JSON
import PipeClient

struct PruningTour {
  struct Plan {
    var source: String
    var plugins: [String]
    var sparsities: [Double]
    var calibration: String
    var evaluation: String
    var sequenceLength: Int
    var sequences: Int
    /// Of the distillation at the end; 0 for none.
    var lessons: Int

    /// The plugin that also prunes layer by layer, and how much.
    var sequential: (plugin: String, sparsity: Double)? { plugins.contains("wanda") ? ("wanda", 0.5) : nil }

    /// Sequences that the model learns from at once: about 1024 tokens.
    var batch: Int { max(1, min(sequences, 1024 / sequenceLength)) }

    /// Loads, evaluations and scores in all.
    var steps: Int {
      5 + plugins.count * (1 + sparsities.count) + (sequential == nil ? 0 : 1) + (taught == nil ? 0 : 1)
    }

    /// What is taught: the last plugin's masks at the last sparsity.
    var taught: (plugin: String, sparsity: Double)? {
      guard lessons > 0, let plugin = plugins.last, let sparsity = sparsities.last else { return nil }
      return (plugin, sparsity)
    }
  }

  private let plan: Plan
  private let client: Client
  private let status: StatusLine
  private var report: PruningReport
  /// The step under way: its number, what the status line shows of it, and when it began.
  private var step = (number: 0, text: "", start: ContinuousClock.now)

  init(_ plan: Plan, client: Client, status: StatusLine) {
    (self.plan, self.client, self.status) = (plan, client, status)
    report = PruningReport(plan: plan)
  }

  mutating func run() throws -> PruningReport {
    let start = ContinuousClock.now
    report.facts = try load("load \(plan.source)", "model/load", ["source": .string(plan.source)])
    let model = report.facts["model"] ?? "model"
    report.calibration = try loadDataset("calibration", plan.calibration, model)
    report.evaluation = try loadDataset("evaluation", plan.evaluation, model)

    try evaluate("dense", model)
    var lastScores: JSON = nil
    for plugin in plan.plugins {
      let scores = try score(plugin, model)
      for sparsity in plan.sparsities {
        try prune(
          plugin, sparsity, model, "mask/apply", ["model": model, "scores": scores, "sparsity": .number(sparsity)])
      }
      lastScores = scores
    }
    if let (plugin, sparsity) = plan.sequential {
      try prune(
        plugin + ", layer by layer", sparsity, model, "prune/run",
        [
          "model": model, "plugin": .string(plugin), "sparsity": .number(sparsity), "dataset": "calibration",
          "sequential": true,
        ])
    }
    if let (plugin, sparsity) = plan.taught { try teach(plugin, sparsity, model, scores: lastScores) }
    try evaluate("after every undo", model)
    report.seconds = (.now - start) / .seconds(1)
    return report
  }

  // MARK: Steps

  private mutating func load(_ name: String, _ method: String, _ params: JSON) throws -> JSON {
    begin(name)
    let answer = try request("", method, params)
    finish()
    return answer
  }

  private mutating func loadDataset(_ name: String, _ path: String, _ model: JSON) throws -> JSON {
    try load(
      "read \(path)", "dataset/load",
      [
        "path": .string(path), "model": model, "name": .string(name), "sequenceLength": JSON(plan.sequenceLength),
        "sequences": JSON(plan.sequences),
      ])
  }

  private mutating func score(_ plugin: String, _ model: JSON) throws -> JSON {
    begin("\(plugin)")
    let answer = try request(
      "scoring", "importance/score", ["model": model, "plugin": .string(plugin), "dataset": "calibration"])
    report.scoreSeconds.append((plugin, answer["seconds"]?.number ?? 0))
    finish("scored")
    return answer["scores"] ?? nil
  }

  private mutating func evaluate(_ method: String, _ model: JSON) throws {
    begin(method)
    add(PruningReport.Row(method: method, sparsity: 0, answer: try perplexity(model)))
  }

  private mutating func prune(
    _ method: String, _ sparsity: Double, _ model: JSON, _ prune: String, _ params: JSON
  ) throws {
    begin("\(method) at \(percent(sparsity))")
    let pruned = try request("pruning", prune, params)
    let answer = try perplexity(model)
    let undo = ContinuousClock.now
    _ = try request("undoing", "mask/undo", ["model": model])
    report.undoSeconds.append((.now - undo) / .seconds(1))
    let seconds = pruned["seconds"]?.number ?? 0
    if prune == "mask/apply" { report.maskSeconds.append(seconds) }
    var row = PruningReport.Row(method: method, sparsity: pruned["sparsity"]?.number ?? sparsity, answer: answer)
    row.modelSparsity = pruned["modelSparsity"]?.number ?? 0
    row.seconds += seconds
    add(row)
  }

  /// Masks, lets the model learn from what it was, and undoes both.
  private mutating func teach(_ plugin: String, _ sparsity: Double, _ model: JSON, scores: JSON) throws {
    begin("\(plugin) at \(percent(sparsity)), taught")
    let pruned = try request(
      "pruning", "mask/apply", ["model": model, "scores": scores, "sparsity": .number(sparsity)])
    let start = ContinuousClock.now
    let run = try request(
      "distilling", "distill/start",
      ["student": model, "dataset": "calibration", "steps": JSON(plan.lessons), "batch": JSON(plan.batch)]
    )["run"] ?? nil
    _ = try request("distilling", "distill/step", ["run": run, "steps": JSON(plan.lessons)])
    _ = try request("distilling", "distill/commit", ["run": run])
    _ = try request("distilling", "distill/stop", ["run": run])
    let seconds = (.now - start) / .seconds(1)
    var row = PruningReport.Row(
      method: "\(plugin), taught \(plan.lessons) steps", sparsity: pruned["sparsity"]?.number ?? sparsity,
      answer: try perplexity(model))
    for _ in 0..<2 { _ = try request("undoing", "mask/undo", ["model": model]) }
    row.modelSparsity = pruned["modelSparsity"]?.number ?? 0
    row.seconds += seconds
    add(row)
  }

  private func perplexity(_ model: JSON) throws -> JSON {
    try request("evaluating", "evaluate/perplexity", ["model": model, "dataset": "evaluation", "perWindow": false])
  }

  // MARK: What is shown of them

  private mutating func begin(_ name: String) {
    let number = step.number + 1
    step = (number, "[" + padded("\(number)", "\(plan.steps)".count) + "/\(plan.steps)]  \(name)", .now)
    status.show(step.text)
  }

  /// One request, with its progress on the status line.
  private func request(_ activity: String, _ method: String, _ params: JSON) throws -> JSON {
    status.show(step.text + (activity.isEmpty ? "" : ": " + activity))
    // The reports say themselves what is going on.
    return try client.call(method, params) { [status, step] in status.show(step.text + "  " + $0.text) }
  }

  private mutating func add(_ row: PruningReport.Row) {
    report.rows.append(row)
    finish("perplexity " + fixed(row.perplexity, 2))
  }

  /// Where no status line is shown, each step leaves a line.
  private func finish(_ result: String = "") {
    guard !status.isTerminal else { return }
    status.note(step.text + (result.isEmpty ? "" : ": " + result) + ", \(duration((.now - step.start) / .seconds(1)))")
  }
}
