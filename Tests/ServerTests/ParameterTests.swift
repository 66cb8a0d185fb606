// Parameters of requests: what is read, and how exactly everything else is refused. No model is needed for that.

import JSON
import JSONRPC
import Testing
import WireTypes

@testable import Server

@Suite struct ParameterTests {
  private static let region = #""region": {"rows": [0, 1], "columns": [0, 1]}"#

  @Test(arguments: [
    ("server/status", "{}"), ("server/status", #"{"workDoneToken": 1}"#),
    ("server/status", #"{"workDoneToken": "a", "partialResultToken": 2}"#), ("model/load", #"{"source": "/x"}"#),
    ("model/load", #"{"source": "/x", "name": "木 🌳"}"#), ("model/load", #"{"source": "/x", "name": null}"#),
    ("dataset/load", #"{"tokens": [], "model": "m", "sequenceLength": 2}"#),
    (
      "dataset/load",
      #"{"path": "/x", "model": "m", "sequenceLength": 8, "sequences": 1, "sampling": "random", "seed": 9}"#
    ),
    ("dataset/load", #"{"path": "/x.jsonl", "model": "m", "sequenceLength": 8, "packing": "bestFit"}"#),
    (
      "dataset/load",
      #"{"text": "{}", "format": "jsonl", "model": "m", "sequenceLength": 8, "endOfText": false, "seed": 1}"#
    ),
    (
      "dataset/load",
      #"{"path": "/x.jsonl", "format": "text", "model": "m", "sequenceLength": 8, "sampling": "random"}"#
    ),
    ("dataset/generate", #"{"model": "m", "count": 1}"#),
    ("dataset/generate", #"{"model": "m", "dataset": "d", "promptTokens": 4, "revision": "r1", "name": "n"}"#),
    (
      "dataset/generate",
      #"{"model": "m", "prompts": ["", "a"], "maxTokens": 1, "temperature": 0, "topK": 1, "topP": 1, "seed": 2}"#
    ),
    (
      "dataset/generate",
      #"{"model": "m", "count": 9, "batch": 1, "path": "/x", "packing": "none", "sequenceLength": 2}"#
    ),
    ("mask/apply", #"{"model": "m", "scores": "s", "sparsity": 0}"#),
    ("mask/apply", #"{"model": "m", "scores": "s", "sparsity": 1.0, "group": "global", "modules": ["*"]}"#),
    ("mask/apply", #"{"model": "m", "scores": "s", "pattern": "2:4"}"#),
    ("mask/edit", #"{"model": "m", "edits": [{"op": "invert", "layer": 0, "heads": [1, 2]}]}"#),
    ("mask/get", #"{"model": "m", "tensor": "t", "heatmap": {"rows": 64, "columns": 64}}"#),
    ("importance/query", #"{"scores": "s", "tensor": "t", "encoding": "base64", \#(region)}"#),
    ("importance/query", #"{"scores": "s", "tensor": "t", "topK": 4096, "order": "smallest"}"#),
    ("importance/score", #"{"model": "m", "plugin": "p", "parameters": {"anything": 1}, "unit": "weight"}"#),
    ("importance/score", #"{"model": "m", "plugin": "p", "unit": "width"}"#),
    ("importance/query", #"{"scores": "u1"}"#), ("importance/query", #"{"scores": "u1", "layer": 0}"#),
    ("mask/apply", #"{"model": "m", "scores": "u1", "sparsity": 0.25, "uniform": true}"#),
    ("mask/edit", #"{"model": "m", "edits": [{"op": "prune", "channels": [1]}, {"op": "prune", "layers": [0]}]}"#),
    ("prune/shrink", #"{"model": "m", "revision": "r1", "name": "n", "uniform": true}"#),
    ("prune/run", #"{"model": "m", "plugin": "p", "sparsity": 0.5, "sequential": false}"#),
    ("evaluate/perplexity", #"{"model": "m", "dataset": "d", "window": 2, "perWindow": false}"#),
    ("model/export", #"{"model": "m", "path": "/x", "format": "hf", "overwrite": true}"#),
    ("model/generate", #"{"model": "m", "prompt": "", "partialResultToken": 1, "workDoneToken": "w"}"#),
    ("model/generate", #"{"model": "m", "prompts": ["a", "b"], "temperature": 0.7, "topK": 1, "topP": 0, "seed": 9}"#),
    (
      "model/generate",
      #"{"model": "m", "tokens": [1], "maxTokens": 1, "revision": "r0", "ignoreEndTokens": true}"#
    ),
    (
      "model/generate", #"{"model": "m", "prompt": "a", "logProbabilities": true, "addSpecialTokens": false}"#
    ),
    ("selftest/gradients", #"{"model": "m", "tokens": [1, 2], "samples": 1, "seed": 3, "modules": ["*"]}"#),
    ("selftest/gradients", #"{"model": "m", "dataset": "d", "length": 4096, "revision": "r0"}"#),
  ])
  func read(method: String, params: String) throws { _ = try Routing.call(method, JSON.parse(params)) }

  /// Method, parameters, the kind of the error and the path that it names.
  @Test(arguments: [
    ("server/status", #"{"verbose": true}"#, "unknownField", "params.verbose"),
    ("server/status", "[]", "wrongType", "params"), ("model/describe", #"["m"]"#, "wrongType", "params"),
    ("model/describe", "{}", "missingField", "params.model"),
    ("model/describe", #"{"model": null}"#, "missingField", "params.model"),
    ("model/describe", #"{"model": 1}"#, "wrongType", "params.model"),
    ("model/describe", #"{"modle": "m", "model": "m"}"#, "unknownField", "params.modle"),
    (
      "dataset/load", #"{"text": "a", "model": "m", "sequenceLength": 8, "packing": "none"}"#, "outOfRange",
      "params.packing"
    ),
    (
      "dataset/load", #"{"path": "/x", "model": "m", "sequenceLength": 8, "endOfText": true}"#, "outOfRange",
      "params.endOfText"
    ),
    (
      "dataset/load", #"{"tokens": [1], "format": "jsonl", "model": "m", "sequenceLength": 8}"#, "outOfRange",
      "params.format"
    ),
    (
      "dataset/load", #"{"path": "/x.jsonl", "model": "m", "sequenceLength": 8, "sampling": "random"}"#, "outOfRange",
      "params.sampling"
    ),
    ("dataset/generate", #"{"model": "m"}"#, "missingField", "params.prompts"),
    ("dataset/generate", #"{"model": "m", "prompts": []}"#, "outOfRange", "params.prompts"),
    ("dataset/generate", #"{"model": "m", "count": 1, "dataset": "d"}"#, "outOfRange", "params.count"),
    ("dataset/generate", #"{"model": "m", "count": 1, "promptTokens": 4}"#, "outOfRange", "params.promptTokens"),
    ("dataset/generate", #"{"model": "m", "count": 1, "batch": 0}"#, "outOfRange", "params.batch"),
    ("model/load", #"{"source": ""}"#, "outOfRange", "params.source"),
    ("model/load", #"{"source": "/x", "name": ""}"#, "outOfRange", "params.name"),
    ("model/load", #"{"source": "/x", "name": "a\nb"}"#, "outOfRange", "params.name"),
    ("model/load", #"{"source": "/x", "name": "a\u0000"}"#, "outOfRange", "params.name"),
    ("model/load", #"{"source": "/x", "name": ["a"]}"#, "wrongType", "params.name"),
    ("model/export", #"{"model": "m", "path": "/x"}"#, "missingField", "params.format"),
    ("model/export", #"{"model": "m", "path": "/x", "format": "gguf"}"#, "outOfRange", "params.format"),
    ("model/export", #"{"model": "m", "path": "/x", "format": "hf", "overwrite": 1}"#, "wrongType", "params.overwrite"),
    ("dataset/load", #"{"model": "m", "sequenceLength": 8}"#, "missingField", "params.path"),
    ("dataset/load", #"{"text": "a", "tokens": [1], "model": "m", "sequenceLength": 8}"#, "outOfRange", "params.tokens"),
    ("dataset/load", #"{"text": "a", "model": "m"}"#, "missingField", "params.sequenceLength"),
    ("dataset/load", #"{"text": "a", "model": "m", "sequenceLength": 1}"#, "outOfRange", "params.sequenceLength"),
    (
      "dataset/load", #"{"text": "a", "model": "m", "sequenceLength": 9223372036854775807}"#, "outOfRange",
      "params.sequenceLength"
    ),
    (
      "dataset/load", #"{"text": "a", "model": "m", "sequenceLength": 8, "sequences": 0}"#, "outOfRange",
      "params.sequences"
    ),
    ("dataset/load", #"{"tokens": [0, -1], "model": "m", "sequenceLength": 8}"#, "outOfRange", "params.tokens[1]"),
    ("dataset/load", #"{"tokens": [2147483648], "model": "m", "sequenceLength": 8}"#, "outOfRange", "params.tokens[0]"),
    ("dataset/load", #"{"tokens": [0.5], "model": "m", "sequenceLength": 8}"#, "wrongType", "params.tokens[0]"),
    (
      "dataset/load", #"{"text": "a", "model": "m", "sequenceLength": 8, "sampling": "Random"}"#, "outOfRange",
      "params.sampling"
    ),
    ("dataset/load", #"{"text": "a", "model": "m", "sequenceLength": 8, "seed": -1}"#, "outOfRange", "params.seed"),
    ("mask/apply", #"{"model": "m", "scores": "s"}"#, "missingField", "params.sparsity"),
    ("mask/apply", #"{"model": "m", "scores": "s", "sparsity": -0.1}"#, "outOfRange", "params.sparsity"),
    ("mask/apply", #"{"model": "m", "scores": "s", "sparsity": 1.1}"#, "outOfRange", "params.sparsity"),
    ("mask/apply", #"{"model": "m", "scores": "s", "sparsity": "0.5"}"#, "wrongType", "params.sparsity"),
    ("mask/apply", #"{"model": "m", "scores": "s", "sparsity": true}"#, "wrongType", "params.sparsity"),
    ("mask/apply", #"{"model": "m", "scores": "s", "sparsity": 0.5, "pattern": "2:4"}"#, "outOfRange", "params.pattern"),
    ("mask/apply", #"{"model": "m", "scores": "s", "pattern": 24}"#, "wrongType", "params.pattern"),
    ("mask/apply", #"{"model": "m", "scores": "s", "sparsity": 0.5, "group": "rows"}"#, "outOfRange", "params.group"),
    ("mask/apply", #"{"model": "m", "scores": "s", "sparsity": 0.5, "modules": []}"#, "outOfRange", "params.modules"),
    ("mask/apply", #"{"model": "m", "scores": "s", "sparsity": 0.5, "modules": "*"}"#, "wrongType", "params.modules"),
    (
      "mask/apply", #"{"model": "m", "scores": "s", "sparsity": 0.5, "modules": [1]}"#, "wrongType",
      "params.modules[0]"
    ),
    ("mask/edit", #"{"model": "m", "edits": []}"#, "outOfRange", "params.edits"),
    ("mask/edit", #"{"model": "m", "edits": {}}"#, "wrongType", "params.edits"),
    ("mask/edit", #"{"model": "m", "edits": [1]}"#, "wrongType", "params.edits[0]"),
    ("mask/edit", #"{"model": "m", "edits": [{"tensor": "t"}]}"#, "missingField", "params.edits[0].op"),
    ("mask/edit", #"{"model": "m", "edits": [{"tensor": "t", "op": "zap"}]}"#, "outOfRange", "params.edits[0].op"),
    ("mask/edit", #"{"model": "m", "edits": [{"op": "prune"}]}"#, "missingField", "params.edits[0].layer"),
    ("mask/edit", #"{"model": "m", "edits": [{"op": "prune", "layer": 0}]}"#, "outOfRange", "params.edits[0].layer"),
    (
      "mask/edit", #"{"model": "m", "edits": [{"op": "prune", "tensor": "t", "rows": [0], "columns": [0]}]}"#,
      "outOfRange", "params.edits[0].columns"
    ),
    (
      "mask/edit", #"{"model": "m", "edits": [{"op": "prune", "tensor": "t", "head": 0}]}"#, "unknownField",
      "params.edits[0].head"
    ),
    ("mask/get", #"{"model": "m", \#(region)}"#, "missingField", "params.tensor"),
    ("mask/get", #"{"model": "m", "tensor": "t", "heatmap": {"rows": 65, "columns": 1}}"#, "outOfRange", "params.heatmap.rows"),
    ("mask/get", #"{"model": "m", "tensor": "t", "heatmap": {"rows": 1}}"#, "missingField", "params.heatmap.columns"),
    (
      "importance/query", #"{"scores": "s", "tensor": "t", "region": {"rows": [3, 3], "columns": [0, 1]}}"#,
      "outOfRange", "params.region.rows"
    ),
    (
      "importance/query", #"{"scores": "s", "tensor": "t", "region": {"rows": [0, 1], "columns": [2, 1]}}"#,
      "outOfRange", "params.region.columns"
    ),
    (
      "importance/query", #"{"scores": "s", "tensor": "t", "region": {"rows": [-1, 1], "columns": [0, 1]}}"#,
      "outOfRange", "params.region.rows[0]"
    ),
    (
      "importance/query", #"{"scores": "s", "tensor": "t", "region": {"rows": [0, 1, 2], "columns": [0, 1]}}"#,
      "outOfRange", "params.region.rows"
    ),
    ("importance/query", #"{"scores": "s", "tensor": "t"}"#, "missingField", "params.region"),
    ("importance/query", #"{"scores": "s", "tensor": "t", "topK": 0}"#, "outOfRange", "params.topK"),
    ("importance/query", #"{"scores": "s", "tensor": "t", "topK": 4097}"#, "outOfRange", "params.topK"),
    ("importance/query", #"{"scores": "s", "tensor": "t", "topK": 1, \#(region)}"#, "outOfRange", "params.topK"),
    ("importance/query", #"{"scores": "s", "tensor": "t", "topK": 1, "order": "up"}"#, "outOfRange", "params.order"),
    ("importance/score", #"{"model": "m", "plugin": "p", "unit": "row"}"#, "outOfRange", "params.unit"),
    ("importance/query", #"{"scores": "s", "topK": 1}"#, "missingField", "params.tensor"),
    ("importance/query", #"{"scores": "s", "tensor": "t", "topK": 1, "layer": 0}"#, "outOfRange", "params.layer"),
    ("prune/shrink", #"{"model": "m", "residualHeads": true}"#, "missingField", "params.scores"),
    ("prune/shrink", #"{"model": "m", "scores": "u1"}"#, "outOfRange", "params.scores"),
    ("prune/shrink", #"{"model": "m", "uniform": 1}"#, "wrongType", "params.uniform"),
    ("importance/score", #"{"model": "m", "plugin": "p", "parameters": [1]}"#, "wrongType", "params.parameters"),
    ("prune/run", #"{"model": "m", "plugin": "p", "sparsity": 0.5, "revision": "r0"}"#, "unknownField", "params.revision"),
    ("evaluate/perplexity", #"{"model": "m", "dataset": "d", "window": 1}"#, "outOfRange", "params.window"),
    ("evaluate/perplexity", #"{"model": "m", "dataset": "d", "perWindow": "no"}"#, "wrongType", "params.perWindow"),
    ("revision/checkout", #"{"model": "m"}"#, "missingField", "params.target"),
    ("model/generate", #"{"model": "m"}"#, "missingField", "params.prompt"),
    ("model/generate", #"{"model": "m", "prompt": "a", "tokens": [1]}"#, "outOfRange", "params.tokens"),
    ("model/generate", #"{"model": "m", "prompts": []}"#, "outOfRange", "params.prompts"),
    ("model/generate", #"{"model": "m", "prompts": ["a", 1]}"#, "wrongType", "params.prompts[1]"),
    ("model/generate", #"{"model": "m", "tokens": [-1]}"#, "outOfRange", "params.tokens[0]"),
    ("model/generate", #"{"model": "m", "prompt": "a", "maxTokens": 0}"#, "outOfRange", "params.maxTokens"),
    ("model/generate", #"{"model": "m", "prompt": "a", "maxTokens": 1048577}"#, "outOfRange", "params.maxTokens"),
    ("model/generate", #"{"model": "m", "prompt": "a", "temperature": -1}"#, "outOfRange", "params.temperature"),
    ("model/generate", #"{"model": "m", "prompt": "a", "topK": 0}"#, "outOfRange", "params.topK"),
    ("model/generate", #"{"model": "m", "prompt": "a", "topP": 1.01}"#, "outOfRange", "params.topP"),
    (
      "model/generate", #"{"model": "m", "prompt": "a", "partialResultToken": 1.5}"#, "wrongType",
      "params.partialResultToken"
    ),
    ("selftest/gradients", #"{"model": "m", "tokens": [1]}"#, "outOfRange", "params.tokens"),
    ("selftest/gradients", #"{"model": "m", "tokens": [1, 2], "length": 2}"#, "outOfRange", "params.tokens"),
    ("selftest/gradients", #"{"model": "m", "tokens": [1, 2], "dataset": "d"}"#, "outOfRange", "params.tokens"),
    ("selftest/gradients", #"{"model": "m", "length": 1}"#, "outOfRange", "params.length"),
    ("distill/start", #"{"dataset": "d"}"#, "missingField", "params.student"),
    ("distill/start", #"{"student": 1, "dataset": "d"}"#, "wrongType", "params.student"),
    (
      "distill/start", #"{"student": "m", "dataset": "d", "objectives": []}"#, "outOfRange", "params.objectives"
    ),
    (
      "distill/start", #"{"student": "m", "dataset": "d", "objectives": [{"plugin": "p", "layers": [[1]]}]}"#,
      "outOfRange", "params.objectives[0].layers"
    ),
    (
      "distill/start", #"{"student": "m", "dataset": "d", "schedule": {"learningrate": 1}}"#, "unknownField",
      "params.schedule.learningrate"
    ),
    (
      "distill/start", #"{"student": "m", "dataset": "d", "policy": {}}"#, "missingField", "params.policy.rewards"
    ),
    ("distill/step", #"{"run": "x", "steps": 0}"#, "outOfRange", "params.steps"),
    ("distill/recipe", #"{"model": "m"}"#, "missingField", "params.stages"),
    (
      "distill/recipe", #"{"model": "m", "stages": [{"prune": {}, "teach": {}}]}"#, "outOfRange", "params.stages[0]"
    ),
    (
      "distill/recipe", #"{"model": "m", "stages": [{"teach": {"student": "m", "dataset": "d"}}]}"#, "outOfRange",
      "params.stages[0].teach.student"
    ),
    ("selftest/gradients", #"{"model": "m", "samples": 0}"#, "outOfRange", "params.samples"),
    ("selftest/gradients", #"{"model": "m", "modules": []}"#, "outOfRange", "params.modules"),
  ])
  func refused(method: String, params: String, kind: String, path: String) throws {
    let error = #expect(throws: JSONFieldError.self) { try Routing.call(method, JSON.parse(params)) }
    #expect(error?.kind == kind)
    #expect(error?.path == path)
  }

  /// Errors repeat what was given, so nothing but a text may be long.
  @Test(arguments: [
    ("model/describe", ["model": .string(long)], "params.model"),
    ("model/load", ["source": .string(long)], "params.source"),
    ("mask/apply", ["model": "m", "scores": "s", "sparsity": 0.5, "modules": [.string(long)]], "params.modules[0]"),
    ("mask/apply", ["model": "m", "scores": "s", "pattern": .string(long)], "params.pattern"),
  ] as [(String, JSON, String)])
  func longText(method: String, params: JSON, path: String) throws {
    let error = #expect(throws: JSONFieldError.self) { try Routing.call(method, params) }
    #expect(error?.kind == "outOfRange" && error?.path == path)
    #expect((error?.message.utf8.count ?? .max) < 200)
  }

  private static let long = String(repeating: "x", count: JSONFields.stringLimit + 1)

  @Test func datasetsMayBeLong() throws {
    let text = JSON(String(repeating: "long ", count: 10_000))
    _ = try Routing.call("dataset/load", ["text": text, "model": "m", "sequenceLength": 8])
  }

  @Test func longNamesOfParametersAreShortened() throws {
    let params = JSON.object(JSONObject([(Self.long, .integer(1))]))
    let error = #expect(throws: JSONFieldError.self) { try Routing.call("server/status", params) }
    #expect(error?.kind == "unknownField")
    #expect((error?.path.utf8.count ?? .max) < 100)
  }

  @Test(arguments: [
    ("/models/smollm2.gguf", "smollm2"), ("/models/SmolLM2-135M", "SmolLM2-135M"), ("/models/x/", "x"),
    ("builtin:sapling", "sapling"), ("x", "x"), ("/", "/"), ("a.b.gguf", "a.b"),
  ])
  func defaultNames(source: String, name: String) { #expect(defaultModelName(source) == name) }
}
