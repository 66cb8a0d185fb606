// Every error into the answer that a client gets: the only place that knows which error has which code.

import Checkpoints
import Compression
import JSON
import JSONRPC
import PluginHost
import Tensors
import Transformers
import Workspace

extension ResponseError {
  /// The answer to a request that failed with `error`.
  init(_ error: any Error) {
    switch error {
    case let error as ResponseError: self = error
    case let error as JSONFieldError: self.init(error)
    case let error as ServerError: self.init(error)
    case let error as CompressionError: self.init(error)
    case let error as DataError: self.init(error)
    case let error as WorkspaceError: self.init(failed: error.kind, error.message, module: "Workspace")
    case let error as TransformerError: self.init(error)
    case let error as GenerationError: self.init(error)
    case let error as TrainingError: self.init(failed: error.kind, error.message, module: "Compression")
    case let error as PolicyError: self.init(failed: error.kind, error.message, module: "Compression")
    case let error as CheckpointError:
      self.init(failed: error.kind, error.message, module: "Checkpoints", facts: ["path": JSON(error.path)])
    case let error as PluginError: self.init(error)
    case let error as BLASError: self.init(failed: error.kind, error.message, module: "Tensors")
    case is Cancelled:
      self.init(.requestCancelled, kind: "cancelled", "The request was cancelled. Nothing was changed.")
    default:
      self.init(
        .internalError, kind: "internal",
        "An error that the server does not know: \(error). This is a fault of the server; please report it.")
    }
  }

  init(_ error: JSONFieldError) {
    var facts: JSONObject = ["path": JSON(error.path), "expected": JSON(error.expected)]
    if let suggestion = error.suggestion { facts["suggestion"] = JSON(suggestion) }
    self.init(.invalidParams, kind: error.kind, error.message, facts: facts)
  }

  init(_ error: ServerError) {
    switch error {
    case .modelNotFound(_, let names), .datasetNotFound(_, let names), .scoresNotFound(_, let names),
      .sensitivityNotFound(_, let names), .builtinNotFound(_, let names), .runNotFound(_, let names):
      self.init(failed: error.kind, error.message, module: "Server", facts: ["known": JSON(names)])
    case .tooManyRequests(let limit):
      self.init(
        failed: error.kind, error.message, module: "Server",
        facts: ["limit": JSON(limit), "retryAfterMs": 100])
    case .modelExists, .datasetExists, .textUnreadable, .runExists, .runFinished, .runStepBehind, .methodTwice,
      .jobNotFound, .shuttingDown:
      self.init(failed: error.kind, error.message, module: "Server")
    }
  }

  private init(_ error: CompressionError) {
    switch error {
    case .sparsityInvalid, .patternInvalid:
      self.init(.invalidParams, kind: error.kind, error.message)
    case .nonFiniteScores(let plugin, let tensor, let index):
      self.init(
        failed: error.kind, error.message, module: "Compression",
        facts: ["plugin": JSON(plugin), "tensor": JSON(tensor), "index": JSON(index)])
    case .patternDoesNotDivide(_, let tensor, let columns):
      self.init(
        failed: error.kind, error.message, module: "Compression",
        facts: ["tensor": JSON(tensor), "columns": JSON(columns)])
    case .tensorNotFound(let name, let nearest):
      self.init(
        failed: error.kind, error.message, module: "Compression",
        facts: ["tensor": JSON(name), "nearest": JSON(nearest)])
    default:
      self.init(failed: error.kind, error.message, module: "Compression")
    }
  }

  private init(_ error: TransformerError) {
    switch error {
    case .unknownArchitecture(let name, let known):
      self.init(
        failed: error.kind, error.message, module: "Transformers",
        facts: ["architecture": JSON(name), "known": JSON(known)])
    case .shapeMismatch(let name, let expected, let given):
      self.init(
        failed: error.kind, error.message, module: "Transformers",
        facts: ["tensor": JSON(name), "expected": JSON(expected), "given": JSON(given)])
    case .tensorMissing(let name, let shape):
      self.init(
        failed: error.kind, error.message, module: "Transformers",
        facts: ["tensor": JSON(name), "expected": JSON(shape)])
    default:
      self.init(failed: error.kind, error.message, module: "Transformers")
    }
  }

  private init(_ error: DataError) {
    let facts: JSONObject =
      switch error {
      case .lineInvalid(_, let line, _): ["line": JSON(line)]
      case .generationDiffers(let path, let setting, _, _): ["path": JSON(path), "setting": JSON(setting)]
      case .generationUnreadable(let path, _): ["path": JSON(path)]
      case .noLines, .endTokenMissing, .beginTokenMissing, .promptsMissing: [:]
      }
    self.init(failed: error.kind, error.message, module: "Compression", facts: facts)
  }

  private init(_ error: GenerationError) {
    let facts: JSONObject =
      switch error {
      case .promptEmpty(let index): ["index": JSON(index)]
      case .promptTooLong(let index, let tokens, let maximum):
        ["index": JSON(index), "tokens": JSON(tokens), "maximum": JSON(maximum)]
      case .nonFiniteLogits(let position, let token): ["position": JSON(position), "token": JSON(token)]
      }
    self.init(failed: error.kind, error.message, module: "Transformers", facts: facts)
  }

  private init(_ error: PluginError) {
    var facts: JSONObject = [:]
    switch error {
    case .notFound(_, let loaded): facts["known"] = JSON(loaded)
    case .otherKind(let id, let wanted, let offers, let available):
      facts["plugin"] = JSON(id)
      facts["wanted"] = JSON(wanted.rawValue)
      facts["offers"] = JSON(offers.map(\.rawValue))
      facts["known"] = JSON(available)
    case .rejected(let path, let rejection):
      facts["path"] = JSON(path)
      facts["reason"] = JSON(rejection.reason)
    case .failed(let id, let tensor, let status, _):
      facts["plugin"] = JSON(id)
      facts["tensor"] = JSON(tensor)
      facts["status"] = JSON(Int(status))
    case .contractBroken(let id, let tensor, _), .inputInvalid(let id, let tensor, _):
      facts["plugin"] = JSON(id)
      facts["tensor"] = JSON(tensor)
    }
    self.init(failed: error.kind, error.message, module: "PluginHost", facts: facts)
  }

  /// An understood request that could not be done. (LSP 3.17, RequestFailed)
  private init(failed kind: String, _ message: String, module: String, facts: JSONObject = [:]) {
    var facts = facts
    facts["module"] = JSON(module)
    self.init(.requestFailed, kind: kind, message, facts: facts)
  }
}
