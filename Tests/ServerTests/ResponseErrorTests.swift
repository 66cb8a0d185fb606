// Every error of every module as the answer that a client gets: its code, its kind, its facts, its words.

import Checkpoints
import Compression
import JSON
import JSONRPC
import PluginHost
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Server

@Suite struct ResponseErrorTests {
  private struct Unknown: Error {}

  /// An error, its code and kind, and the facts that are in `data` besides.
  struct Row: Sendable, CustomTestStringConvertible {
    let error: any Error
    let refusal: Refusal
    let facts: JSONObject

    /// - Parameter facts: those of an error of a module, without the module's name.
    init(_ error: any Error, _ code: Int, _ kind: String, _ module: String? = nil, _ facts: JSONObject = [:]) {
      self.error = error
      refusal = Refusal(code, kind)
      var facts = facts
      facts["module"] = module.map(JSON.string)
      self.facts = facts
    }

    var testDescription: String { "\(error)" }
  }

  private static let fieldErrors: [Row] = [
    Row(
      JSONFieldError(.missingField, path: "params.model", expected: "a string"), -32602, "missingField", nil,
      ["path": "params.model", "expected": "a string"]),
    Row(
      JSONFieldError(.wrongType, path: "params.model", expected: "a string", given: 1), -32602, "wrongType", nil,
      ["path": "params.model", "expected": "a string"]),
    Row(
      JSONFieldError(.outOfRange, path: "params.window", expected: "2 or more", given: 1), -32602, "outOfRange", nil,
      ["path": "params.window", "expected": "2 or more"]),
    Row(
      JSONFieldError(.unknownField, path: "params.modle", expected: "model", given: 1, suggestion: "model"), -32602,
      "unknownField", nil, ["path": "params.modle", "expected": "model", "suggestion": "model"]),
  ]

  private static let serverErrors: [Row] = [
    Row(
      ServerError.modelNotFound(name: "x", models: ["a", "b"]), -32803, "modelNotFound", "Server",
      ["known": ["a", "b"]]),
    Row(ServerError.modelExists(name: "x", source: "/x"), -32803, "modelExists", "Server"),
    Row(
      ServerError.builtinNotFound(name: "builtin:oak", builtins: ["builtin:sapling"]), -32803, "builtinNotFound",
      "Server", ["known": ["builtin:sapling"]]),
    Row(
      ServerError.datasetNotFound(name: "x", datasets: []), -32803, "datasetNotFound", "Server", ["known": .array([])]),
    Row(ServerError.datasetExists(name: "x"), -32803, "datasetExists", "Server"),
    Row(ServerError.textUnreadable(path: "/x", reason: "it is not valid UTF-8"), -32803, "textUnreadable", "Server"),
    Row(
      ServerError.scoresNotFound(name: "x", scores: ["s1"]), -32803, "scoresNotFound", "Server", ["known": ["s1"]]),
    Row(ServerError.jobNotFound(job: "j1"), -32803, "jobNotFound", "Server"),
    Row(
      ServerError.tooManyRequests(limit: 9), -32803, "tooManyRequests", "Server", ["limit": 9, "retryAfterMs": 100]),
    Row(ServerError.shuttingDown, -32803, "shuttingDown", "Server"),
  ]

  private static let compressionErrors: [Row] = [
    Row(CompressionError.sparsityInvalid(given: "2"), -32602, "sparsityInvalid"),
    Row(CompressionError.patternInvalid(given: "4:2"), -32602, "patternInvalid"),
    Row(
      CompressionError.tensorNotFound(name: "q", nearest: ["a.q"]), -32803, "tensorNotFound", "Compression",
      ["tensor": "q", "nearest": ["a.q"]]),
    Row(
      CompressionError.patternDoesNotDivide(pattern: "2:7", tensor: "q", columns: 64), -32803, "patternDoesNotDivide",
      "Compression", ["tensor": "q", "columns": 64]),
    Row(
      CompressionError.nonFiniteScores(plugin: "p", tensor: "q", index: 3), -32803, "nonFiniteScores", "Compression",
      ["plugin": "p", "tensor": "q", "index": 3]),
  ]

  private static let plainCompressionErrors: [(CompressionError, String)] = [
    (.modulesMatchNothing(globs: ["x"], examples: ["a"]), "modulesMatchNothing"),
    (.tensorNotPrunable(name: "q"), "tensorNotPrunable"), (.tensorNotScored(name: "q"), "tensorNotScored"),
    (.groupNotSequential(group: "global"), "groupNotSequential"),
    (.datasetRequired(plugin: "wanda"), "datasetRequired"),
    (.scoresOfAnotherModel(scores: "s1", model: "a"), "scoresOfAnotherModel"),
    (.scoresNotComparable(reason: "no tensor"), "scoresNotComparable"), (.nonFiniteLoss(window: 0), "nonFiniteLoss"),
    (.windowInvalid(window: 9, sequenceLength: 8), "windowInvalid"),
    (.windowOfDocuments, "windowInvalid"), (.nothingPredicted, "nothingPredicted"),
    (.regionOutside(tensor: "q", region: "rows 0..<9", rows: 8, columns: 8), "regionOutside"),
    (.regionTooLarge(values: 9, maximum: 8), "regionTooLarge"), (.editInvalid(index: 0, reason: "no"), "editInvalid"),
    (.maskFileMismatch(path: "/x", reason: "no"), "maskFileMismatch"),
    (.biasesNotExportable(modelType: "gpt2", tensor: "w"), "biasesNotExportable"),
    (.memoryInsufficient(purpose: "Scoring", needed: 1, available: 0), "memoryInsufficient"),
    (.statisticsForgotten(tensor: "q", limits: "no disk"), "statisticsForgotten"),
    (.statisticsTooLarge(needed: 1, limits: "no disk"), "statisticsTooLarge"),
  ]

  private static let workspaceErrors: [(WorkspaceError, String)] = [
    (.revisionNotFound(id: "r9", newest: "r0"), "revisionNotFound"),
    (.branchNotFound(name: "x", branches: ["main"]), "branchNotFound"),
    (.branchExists(name: "main", revision: "r0"), "branchExists"), (.branchNameInvalid(name: ""), "branchNameInvalid"),
    (.nothingToUndo(revision: "r0"), "nothingToUndo"), (.nothingToRedo(revision: "r0"), "nothingToRedo"),
    (.datasetTooSmall(tokens: 1, sequenceLength: 8), "datasetTooSmall"),
    (.sequenceLengthInvalid(given: 1), "sequenceLengthInvalid"),
    (.sequencesNotAvailable(asked: 9, available: 1, sequenceLength: 8), "datasetTooSmall"),
    (.datasetTooLarge(sequences: 9, sequenceLength: 8, maximumTokens: 8), "datasetTooLarge"),
    (.documentsNotUsable(tooLong: 1, tooShort: 0), "datasetTooSmall"),
    (.documentsTooLarge(tokens: 9, maximumTokens: 8), "datasetTooLarge"),
    (.datasetNotUniform(sequences: 2, sequenceLength: 8), "datasetNotUniform"),
    (.tokenOutOfRange(token: 9, position: 0, vocabularySize: 8), "tokenOutOfRange"),
  ]

  private static let dataErrors: [Row] = [
    Row(
      DataError.lineInvalid(source: "x", line: 3, reason: "no."), -32803, "lineInvalid", "Compression", ["line": 3]),
    Row(DataError.noLines(source: "x"), -32803, "linesMissing", "Compression"),
    Row(DataError.endTokenMissing, -32803, "endTokenMissing", "Compression"),
    Row(DataError.beginTokenMissing, -32803, "beginTokenMissing", "Compression"),
    Row(DataError.promptsMissing(reason: "no"), -32803, "promptsMissing", "Compression"),
    Row(
      DataError.generationUnreadable(path: "/x", reason: "no"), -32803, "generationUnreadable", "Compression",
      ["path": "/x"]),
    Row(
      DataError.generationDiffers(path: "/x", setting: "seed", found: "1", asked: "2"), -32803, "generationDiffers",
      "Compression", ["path": "/x", "setting": "seed"]),
  ]

  private static let transformerErrors: [Row] = [
    Row(
      TransformerError.unknownArchitecture(name: "gpt2", known: ["llama"]), -32803, "unknownArchitecture",
      "Transformers", ["architecture": "gpt2", "known": ["llama"]]),
    Row(
      TransformerError.configurationInvalid(JSONFieldError(.missingField, path: "config.x", expected: "y")), -32803,
      "configurationInvalid", "Transformers"),
    Row(
      TransformerError.tensorMissing(name: "q", shape: [2, 3]), -32803, "tensorMissing", "Transformers",
      ["tensor": "q", "expected": [2, 3]]),
    Row(TransformerError.tensorUnexpected(name: "q"), -32803, "tensorUnexpected", "Transformers"),
    Row(
      TransformerError.shapeMismatch(name: "q", expected: [2, 3], given: [3, 2]), -32803, "shapeMismatch",
      "Transformers", ["tensor": "q", "expected": [2, 3], "given": [3, 2]]),
    Row(TransformerError.dtypeUnsupported(name: "q", given: "i8"), -32803, "dtypeUnsupported", "Transformers"),
    Row(
      TransformerError.tokenOutOfRange(token: 9, position: 0, vocabularySize: 8), -32803, "tokenOutOfRange",
      "Transformers"),
    Row(TransformerError.sequenceTooLong(length: 9, maximum: 8), -32803, "sequenceTooLong", "Transformers"),
    Row(GenerationError.promptEmpty(index: 2), -32803, "promptEmpty", "Transformers", ["index": 2]),
    Row(
      GenerationError.promptTooLong(index: 0, tokens: 9, maximum: 8), -32803, "promptTooLong", "Transformers",
      ["index": 0, "tokens": 9, "maximum": 8]),
    Row(
      GenerationError.nonFiniteLogits(position: 3, token: 7), -32803, "nonFiniteLogits", "Transformers",
      ["position": 3, "token": 7]),
  ]

  private static let checkpointErrors: [(CheckpointError, String)] = [
    (.file(path: "/x", .notFound), "fileNotFound"), (.file(path: "/x", .system(call: "open", code: 13)), "fileSystem"),
    (.file(path: "/x", .notRegular(found: "a folder")), "fileNotRegular"),
    (.file(path: "/x", .tooLarge(bytes: 9, limit: 8)), "fileTooLarge"), (.file(path: "/x", .invalidPath), "pathInvalid"),
    (.file(path: "/x", .locked), "fileLocked"),
    (.file(path: "/x", .changedInUse), "fileChangedInUse"), (.file(path: "/x", .taken(by: "a file")), "pathTaken"),
    (.layout(path: "/x", .unrecognised(found: "an empty file")), "checkpointUnrecognised"),
    (.layout(path: "/x", .pickle(file: "pytorch_model.bin")), "pickleRefused"),
    (.layout(path: "/x", .incomplete(missing: "config.json", found: [])), "checkpointIncomplete"),
    (.json(path: "/x", reason: "It is empty."), "invalidJSON"),
    (.configuration(path: "/x", .field("x", expected: "y", found: "z")), "configurationField"),
    (.configuration(path: "/x", .tokenID(field: "bos", id: 9, vocabularySize: 8)), "tokenOutOfRange"),
    (.safetensors(path: "/x", .tooShort(bytes: 3)), "invalidSafetensors"),
    (.shards(path: "/x", .empty), "invalidShards"), (.gguf(path: "/x", .notGGUF(magic: [])), "invalidGGUF"),
    (.gguf(path: "/x", .version(9)), "unsupportedGGUF"),
  ]

  private static let pluginErrors: [Row] = [
    Row(PluginError.notFound(id: "x", loaded: ["wanda"]), -32803, "pluginNotFound", "PluginHost", ["known": ["wanda"]]),
    Row(
      PluginError.rejected(path: "/x", .notELF), -32803, "pluginRejected", "PluginHost",
      ["path": "/x", "reason": "notELF"]),
    Row(
      PluginError.failed(id: "x", tensor: "q", status: 3, message: "no"), -32803, "pluginFailed", "PluginHost",
      ["plugin": "x", "tensor": "q", "status": 3]),
    Row(
      PluginError.inputInvalid(id: "x", tensor: "q", .statisticsMissing(.moments)), -32803, "pluginInputInvalid",
      "PluginHost", ["plugin": "x", "tensor": "q"]),
    Row(
      PluginError.contractBroken(id: "x", tensor: "q", .scoreMissing(unit: 1)), -32803, "pluginContractBroken",
      "PluginHost", ["plugin": "x", "tensor": "q"]),
    Row(
      PluginError.otherKind(id: "x", wanted: .solver, offers: [.selector], available: ["y"]), -32803,
      "pluginOfOtherKind", "PluginHost",
      ["plugin": "x", "wanted": "solver", "offers": ["selector"], "known": ["y"]]),
  ]

  private static let otherErrors: [Row] = [
    Row(
      BLASError.libraryMissing(names: ["libopenblas.so"], reason: "no"), -32803, "linearAlgebraMissing", "Tensors"),
    Row(Cancelled(), -32800, "cancelled"),
    Row(ResponseError(.invalidRequest, kind: "shutDown", "Too late."), -32600, "shutDown"),
  ]

  private static let policyErrors: [(PolicyError, String)] = [
    (.rewardsInvalid(reason: "x"), "rewardsInvalid"), (.optionsInvalid(expected: "x"), "policyOptionsInvalid"),
    (.answerMissing(plugin: "exact-match", example: 3), "answerMissing"),
    (.teacherMissing(plugin: "teacher-likelihood"), "teacherMissing"),
    (.teacherOfOtherTokens(reason: "x"), "vocabulariesDiffer"),
    (.promptsMissing(asked: 9, available: 8), "promptsMissing"),
    (.rewardsAllEqual(prompts: 4, members: 8), "rewardsAllEqual"),
    (.tasksExhausted(asked: 101, available: 100), "tasksExhausted"),
  ]

  private static let rows: [Row] =
    fieldErrors + serverErrors + compressionErrors + policyErrors.map { Row($0, -32803, $1, "Compression") }
    + plainCompressionErrors.map { Row($0, -32803, $1, "Compression") }
    + workspaceErrors.map { Row($0, -32803, $1, "Workspace") } + dataErrors + transformerErrors
    + checkpointErrors.map { Row($0, -32803, $1, "Checkpoints", ["path": "/x"]) } + pluginErrors + otherErrors

  @Test(arguments: rows)
  func conversion(_ row: Row) throws {
    let error = ResponseError(row.error)
    #expect(Refusal(error) == row.refusal)
    var data: JSONObject = ["kind": JSON(row.refusal.kind)]
    for (key, value) in row.facts { data[key] = value }
    #expect(error.data == .object(data))
    #expect(!error.message.isEmpty)
    _ = try error.json.serialized()  // whatever it is, it can be sent
  }

  @Test func whatTheServerDoesNotKnow() {
    let error = ResponseError(Unknown())
    #expect(Refusal(error) == Refusal(-32603, "internal"))
    #expect(error.message.contains("Unknown"))
  }

  /// The protocol's reference explains every kind, but for those that the ranges of parameters keep from happening.
  @Test func everyKindIsDocumented() throws {
    let page = try #require(TemporaryFolder.read("\(Repository.root)/protocol/errors.md"))
    let text = String(decoding: page, as: UTF8.self)
    let unreachable = ["sparsityInvalid", "sequenceLengthInvalid"]
    let missing = Self.rows.map(\.refusal.kind).filter { !unreachable.contains($0) && !text.contains("`\($0)`") }
    #expect(missing.isEmpty, "protocol/errors.md lacks these")
  }
}
