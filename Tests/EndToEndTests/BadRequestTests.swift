// Requests that name what is not there, or ask for what cannot be: a clear error each time, and nothing is changed.

import Foundation
import JSON
import TestSupport
import Testing

@Suite(.enabled(if: Program.isBuilt, "espalier is not built"))
struct BadRequestTests {
  private static let tensor = JSON(Patient.tensor)

  @Test(
    arguments: [
      ("model/load", ["source": "builtin:sapling", "name": "tiny"], .failed("modelExists")),
      ("model/load", ["source": "builtin:sapling", "name": ""], .params("outOfRange")),
      ("model/describe", ["model": "oak"], .failed("modelNotFound")),
      ("model/describe", ["model": "tiny", "revision": "r9"], .failed("revisionNotFound")),
      ("model/unload", ["model": "oak"], .failed("modelNotFound")),
      ("dataset/unload", ["dataset": "x"], .failed("datasetNotFound")),
      ("importance/discard", ["scores": "x"], .failed("scoresNotFound")),
      ("job/cancel", ["job": "j0"], .failed("jobNotFound")),
      ("plugin/describe", ["plugin": "oracle"], .failed("pluginNotFound")),
      ("plugin/unload", ["plugin": "oracle"], .failed("pluginNotFound")),
      ("plugin/load", ["path": "/no/such.so"], .failed("pluginRejected")),
      ("plugin/load", ["path": "/etc/passwd"], .failed("pluginRejected")),
      ("plugin/load", ["path": "/dev/zero"], .failed("pluginRejected")),
      ("no/such", [:], Refusal(-32601, "methodNotFound")),
      ("server/status", ["verbose": true], .params("unknownField")),
      ("server/status", [1], .params("wrongType")),
    ] as [(String, JSON, Refusal)])
  func names(method: String, params: JSON, refusal: Refusal) throws {
    try Patient.shared.get().expectRefusal(refusal, of: method, params)
  }

  @Test(
    arguments: [
      (["tokens": [0, 1, 67, 2]], .failed("tokenOutOfRange")), (["tokens": [0, 1, -1, 2]], .params("outOfRange")),
      (["tokens": [0, 1, 2_147_483_647, 2]], .failed("tokenOutOfRange")),
      (["tokens": [0, 1, 2]], .failed("datasetTooSmall")), (["tokens": []], .failed("datasetTooSmall")),
      (["tokens": [0, 1, 2, 3], "sequences": 2], .failed("datasetTooSmall")),
      (["tokens": [0, 1, 2, 3], "sequences": 0], .params("outOfRange")),
      (["tokens": [0, 1, 2, 3], "sequenceLength": 1], .params("outOfRange")),
      (["tokens": [0, 1, 2, 3], "sequenceLength": 1_048_576], .failed("datasetTooSmall")),
      (["tokens": [0, 1, 2, 3], "sequenceLength": 9_223_372_036_854_775_807], .params("outOfRange")),
      (["tokens": [0, 1, 2, 3], "name": "d"], .failed("datasetExists")),
      (["tokens": [0, 1, 2, 3], "model": "oak"], .failed("modelNotFound")),
      (["text": ""], .failed("datasetTooSmall")), (["text": "AB", "tokens": [1]], .params("outOfRange")),
      ([:], .params("missingField")), (["path": "/no/such.txt"], .failed("fileNotFound")),
      (["path": "/dev/zero"], .failed("fileNotRegular")), (["path": "/tmp"], .failed("fileNotRegular")),
      (["path": "builtin:sapling/poems"], .failed("builtinNotFound")),
      (["path": .string("\(Patient.model)/model.safetensors")], .failed("textUnreadable")),
    ] as [(JSON, Refusal)])
  func datasets(params: JSON, refusal: Refusal) throws {
    var all: JSONObject = ["model": "tiny", "sequenceLength": 4]
    for (key, value) in params.object ?? [:] { all[key] = value }
    try Patient.shared.get().expectRefusal(refusal, of: "dataset/load", .object(all))
  }

  /// More sequences than any memory holds, cut at random from a text that is long enough for one.
  @Test func endlessDataset() throws {
    let tokens = JSON(Array(repeating: 1, count: 2000))
    try Patient.shared.get().expectRefusal(
      .failed("datasetTooLarge"), of: "dataset/load",
      ["tokens": tokens, "model": "tiny", "sequenceLength": 1000, "sequences": 1_048_576, "sampling": "random"])
  }

  @Test(
    arguments: [
      ("evaluate/perplexity", ["window": 1], .params("outOfRange")),
      ("evaluate/perplexity", ["window": 9], .failed("windowInvalid")),
      ("evaluate/perplexity", ["dataset": "x"], .failed("datasetNotFound")),
      ("evaluate/perplexity", ["revision": "r9"], .failed("revisionNotFound")),
      ("evaluate/perplexity", ["revision": "main"], .failed("revisionNotFound")),
      ("evaluate/perplexity", ["model": "nan"], .failed("nonFiniteLoss")),
      ("selftest/gradients", ["dataset": "x"], .failed("datasetNotFound")),
      ("selftest/gradients", ["revision": "r9"], .failed("revisionNotFound")),
      ("selftest/gradients", ["length": 9], .failed("windowInvalid")),
      ("selftest/gradients", ["modules": ["*.x"]], .failed("modulesMatchNothing")),
      ("selftest/gradients", ["model": "nan"], .failed("nonFiniteLoss")),
      ("importance/score", ["plugin": "oracle"], .failed("pluginNotFound")),
      ("importance/score", ["plugin": "wanda", "parameters": ["normExponent": 99]], .params("outOfRange")),
      ("importance/score", ["plugin": "wanda", "parameters": ["normExponent": "1"]], .params("wrongType")),
      ("importance/score", ["plugin": "wanda", "parameters": ["exponent": 1]], .params("unknownField")),
      ("importance/score", ["plugin": "wanda", "dataset": nil], .failed("datasetRequired")),
      ("importance/score", ["plugin": "wanda", "modules": ["*.gate"]], .failed("modulesMatchNothing")),
      ("importance/score", ["plugin": "wanda", "modules": [""]], .failed("modulesMatchNothing")),
      ("importance/score", ["plugin": "wanda", "modules": ["model.norm.weight"]], .failed("modulesMatchNothing")),
      ("importance/score", ["plugin": "wanda", "modules": []], .params("outOfRange")),
      ("prune/run", ["plugin": "wanda", "sparsity": 1.5], .params("outOfRange")),
      ("prune/run", ["plugin": "wanda", "pattern": "4:2"], .params("patternInvalid")),
      ("prune/run", ["plugin": "wanda", "pattern": "2:5"], .failed("patternDoesNotDivide")),
      ("prune/run", ["plugin": "wanda", "sparsity": 0.5, "group": "global"], .failed("groupNotSequential")),
      (
        "prune/run", ["plugin": "magnitude", "sparsity": 0.5, "sequential": true, "dataset": nil],
        .failed("datasetRequired")
      ),
      ("prune/run", ["plugin": "wanda", "sparsity": 0.5, "revision": "r0"], .params("unknownField")),
    ] as [(String, JSON, Refusal)])
  func computations(method: String, params: JSON, refusal: Refusal) throws {
    var all: JSONObject = ["model": "tiny", "dataset": "d"]
    for (key, value) in params.object ?? [:] { all[key] = value }
    try Patient.shared.get().expectRefusal(refusal, of: method, .object(all))
  }

  @Test(
    arguments: [
      (["sparsity": -0.1], .params("outOfRange")), (["sparsity": 1.1], .params("outOfRange")),
      (["sparsity": "0.5"], .params("wrongType")), ([:], .params("missingField")),
      (["sparsity": 0.5, "pattern": "2:4"], .params("outOfRange")),
      (["sparsity": 0.5, "group": "cell"], .params("outOfRange")),
      (["sparsity": 0.5, "modules": ["*.x"]], .failed("modulesMatchNothing")),
      (["sparsity": 0.5, "scores": "x"], .failed("scoresNotFound")),
      (["sparsity": 0.5, "model": "fresh"], .failed("scoresOfAnotherModel")),
      (["sparsity": 0.5, "model": "oak"], .failed("modelNotFound")),
      (["pattern": "2:7"], .failed("patternDoesNotDivide")), (["pattern": "1:256"], .failed("patternDoesNotDivide")),
    ]
      + ["4:2", "0:4", "2:0", "4:4", "2:4:8", "999999999999:3", "1:257", "-1:4", "+1:4", "02:04", " 2:4", "a:b", ""].map {
        (["pattern": .string($0)], .params("patternInvalid"))
      } as [(JSON, Refusal)])
  func masks(params: JSON, refusal: Refusal) throws {
    let patient = try Patient.shared.get()
    var all: JSONObject = ["model": "tiny", "scores": patient.scores]
    for (key, value) in params.object ?? [:] { all[key] = value }
    try patient.expectRefusal(refusal, of: "mask/apply", .object(all))
  }

  @Test(
    arguments: [
      (["tensor": tensor, "op": "zap"], .params("outOfRange")), (["op": "prune"], .params("missingField")),
      (["tensor": "x", "op": "prune"], .failed("tensorNotFound")),
      (["tensor": .string(String(repeating: "x", count: 4000)), "op": "prune"], .failed("tensorNotFound")),
      (["tensor": "model.embed_tokens.weight", "op": "prune"], .failed("tensorNotPrunable")),
      (["tensor": tensor, "op": "prune", "rows": [24]], .failed("editInvalid")),
      (["tensor": tensor, "op": "prune", "rows": [-1]], .failed("editInvalid")),
      (["tensor": tensor, "op": "prune", "columns": [9_223_372_036_854_775_807]], .failed("editInvalid")),
      (["tensor": tensor, "op": "prune", "indices": [576]], .failed("editInvalid")),
      (["layer": 2, "op": "prune", "heads": [0]], .failed("editInvalid")),
      (["layer": -1, "op": "prune", "heads": [0]], .failed("editInvalid")),
      (["layer": 0, "op": "prune", "heads": [3]], .failed("editInvalid")),
      (["layer": 0, "op": "prune", "neurons": [56]], .failed("editInvalid")),
    ] as [(JSON, Refusal)])
  func edits(edit: JSON, refusal: Refusal) throws {
    let sound: JSON = ["tensor": Self.tensor, "op": "invert"]
    try Patient.shared.get().expectRefusal(refusal, of: "mask/edit", ["model": "tiny", "edits": [sound, edit]])
  }

  @Test(
    arguments: [
      ("importance/query", ["topK": 0], .params("outOfRange")),
      ("importance/query", ["tensor": "model.norm.weight", "topK": 1], .failed("tensorNotScored")),
      ("importance/query", ["region": ["rows": [0, 25], "columns": [0, 1]]], .failed("regionOutside")),
      ("importance/query", ["region": ["rows": [1, 1], "columns": [0, 1]]], .params("outOfRange")),
      ("importance/query", ["region": ["rows": [2, 1], "columns": [0, 1]]], .params("outOfRange")),
      (
        "importance/query", ["region": ["rows": [0, 2_147_483_647], "columns": [0, 2_147_483_647]]],
        .failed("regionOutside")
      ),
      ("importance/query", ["heatmap": ["rows": 65, "columns": 1]], .params("outOfRange")),
      ("mask/get", ["heatmap": ["rows": 0, "columns": 1]], .params("outOfRange")),
      ("mask/get", ["region": ["rows": [0, 25], "columns": [0, 1]]], .failed("regionOutside")),
      ("mask/get", ["tensor": "x"], .failed("tensorNotFound")),
      ("mask/diff", ["from": "r9"], .failed("revisionNotFound")),
      ("revision/checkout", ["target": "nonsense"], .failed("branchNotFound")),
      ("revision/checkout", ["target": "r99999999999999999999"], .failed("revisionNotFound")),
      ("revision/branch", ["name": "main"], .failed("branchExists")),
      ("revision/branch", ["name": "r7"], .failed("branchNameInvalid")),
      ("revision/branch", ["name": "a b"], .failed("branchNameInvalid")),
      ("revision/branch", ["name": "b", "revision": "r9"], .failed("revisionNotFound")),
      ("mask/undo", ["model": "fresh"], .failed("nothingToUndo")),
      ("mask/redo", ["model": "fresh"], .failed("nothingToRedo")),
    ] as [(String, JSON, Refusal)])
  func looksAndMoves(method: String, params: JSON, refusal: Refusal) throws {
    let patient = try Patient.shared.get()
    var all: JSONObject =
      switch method {
      case "importance/query": ["scores": patient.scores, "tensor": Self.tensor]
      case "mask/get": ["model": "tiny", "tensor": Self.tensor]
      default: ["model": "tiny"]
      }
    for (key, value) in params.object ?? [:] { all[key] = value }
    try patient.expectRefusal(refusal, of: method, .object(all))
  }
}
