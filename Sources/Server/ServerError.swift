// What the server itself refuses: handles that name nothing, names that are taken, files that are no text.

enum ServerError: Error, Equatable {
  case modelNotFound(name: String, models: [String])
  case modelExists(name: String, source: String)
  case builtinNotFound(name: String, builtins: [String])
  case datasetNotFound(name: String, datasets: [String])
  case datasetExists(name: String)
  case textUnreadable(path: String, reason: String)
  case scoresNotFound(name: String, scores: [String])
  case sensitivityNotFound(name: String, sensitivities: [String])
  case runNotFound(run: String, runs: [String])
  case runExists(name: String)
  case runFinished(run: String, steps: Int)
  case runStepBehind(run: String, step: Int, asked: Int)
  case methodTwice(kind: String)
  case jobNotFound(job: String)
  case tooManyRequests(limit: Int)
  case shuttingDown

  /// A stable word for clients.
  var kind: String {
    switch self {
    case .modelNotFound: "modelNotFound"
    case .modelExists: "modelExists"
    case .builtinNotFound: "builtinNotFound"
    case .datasetNotFound: "datasetNotFound"
    case .datasetExists: "datasetExists"
    case .textUnreadable: "textUnreadable"
    case .scoresNotFound: "scoresNotFound"
    case .sensitivityNotFound: "sensitivityNotFound"
    case .runNotFound: "runNotFound"
    case .runExists: "runExists"
    case .runFinished: "runFinished"
    case .runStepBehind: "runStepBehind"
    case .methodTwice: "methodTwice"
    case .jobNotFound: "jobNotFound"
    case .tooManyRequests: "tooManyRequests"
    case .shuttingDown: "shuttingDown"
    }
  }

  var message: String {
    func listed(_ names: [String], _ none: String) -> String {
      names.isEmpty ? none : "There are: \(names.joined(separator: ", "))."
    }
    switch self {
    case .modelNotFound(let name, let models):
      return "No model is loaded as \"\(name)\". " + listed(models, "None is loaded yet; see model/load.")
    case .modelExists(let name, let source):
      return "A model named \"\(name)\" is loaded already, from \(source). Give another `name`, or unload it first."
    case .builtinNotFound(let name, let builtins):
      return "There is no built-in \"\(name)\". " + listed(builtins, "")
    case .datasetNotFound(let name, let datasets):
      return "There is no dataset \"\(name)\". " + listed(datasets, "None is loaded yet; see dataset/load.")
    case .datasetExists(let name):
      return "A dataset named \"\(name)\" exists already. Give another `name`, or unload it first."
    case .textUnreadable(let path, let reason):
      return "\(path) cannot be read as text: \(reason)."
    case .scoresNotFound(let name, let scores):
      return "There are no scores \"\(name)\". " + listed(scores, "None were computed yet; see importance/score.")
    case .sensitivityNotFound(let name, let sensitivities):
      return "There is no sensitivity \"\(name)\" of this model. "
        + listed(sensitivities, "None was measured yet; see evaluate/sensitivity.")
    case .runNotFound(let run, let runs):
      return "There is no run \"\(run)\". " + listed(runs, "None was started yet; see distill/start.")
    case .runExists(let name):
      return "A run named \"\(name)\" exists already. Give another `name`, or end it with distill/stop."
    case .runFinished(let run, let steps):
      return "The run \"\(run)\" has taken all of its \(steps) steps. Commit it, and start another from there."
    case .runStepBehind(let run, let step, let asked):
      return "The run \"\(run)\" is at step \(step) already and cannot go on until step \(asked)."
    case .methodTwice(let kind):
      return "`compensation` names two plugins of the kind \(kind); one of each kind can be used."
    case .jobNotFound(let job):
      return "No unfinished request is the job \"\(job)\"; job/list lists them."
    case .tooManyRequests(let limit):
      return "\(limit) requests are waiting already, which is the limit. Wait for answers before sending more."
    case .shuttingDown:
      return "The server is shutting down."
    }
  }
}
