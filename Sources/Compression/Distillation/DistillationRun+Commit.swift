// What becomes of a run: its student as the tensors of a revision, and the words for how it was taught.

package import OrderedCollections
import Tensors
import Transformers
package import Workspace

extension DistillationRun {
  /// The student as it is, as the tensors of a revision; the run copies its weights before it moves on.
  package func committedTensors() -> OrderedDictionary<String, StoredTensor> {
    let parameters = trainer.frozenParameters()
    var tensors = student.revision.tensors
    for (name, stored) in tensors where parameters.layout.entries[name] != nil {
      let view = parameters.tensor(name).weights
      tensors[name] = StoredTensor(
        weights: WeightsBlob(view, madeUnder: stored.mask?.bits), mask: stored.mask, biasOf: stored.biasOf)
    }
    return tensors
  }

  /// What made the student, for its history.
  package func operation(teacher name: String?) -> Operation {
    var details: OrderedDictionary<String, String> = [
      "steps": "\(steps)", "tokens": "\(tokens)", "dataset": dataset.digest, "seed": "\(options.seed)",
      "learningRate": "\(options.schedule.learningRate)", "batch": "\(options.batch)",
      "accumulation": "\(options.accumulation)", "precision": options.training.precision.rawValue,
      "balance": plan.balance.rawValue,
    ]
    if let teacher, let name { details["teacher"] = "\(name) \(teacher.revision.id)" }
    for (index, term) in plan.objectives.enumerated() {
      details["objective.\(index)"] =
        "\(term.objective.summary) weight \(term.weight) temperature \(term.temperature)"
        + (term.squaresTemperature ? " squared" : "")
    }
    for (index, term) in plan.features.enumerated() {
      let pairs = term.pairs.map { "\($0.student):\($0.teacher)" }.joined(separator: " ")
      details["feature.\(index)"] =
        "\(term.objective.summary) weight \(term.weight) \(term.place.rawValue) \(pairs)"
    }
    for (index, reward) in (plan.policy?.rewards ?? []).enumerated() {
      details["reward.\(index)"] = "\(reward.rule.summary) weight \(reward.weight)"
    }
    let rewards = plan.policy?.rewards.map { "reward \($0.id)" } ?? []
    let taught = (rewards + plan.objectives.map(\.objective.id) + plan.features.map(\.objective.id))
      .joined(separator: " + ")
    return Operation(
      method: "distill/commit", summary: "\(taught), \(steps) steps, \(tokens) tokens", details: details,
      calibration: [dataset.digest])
  }
}
