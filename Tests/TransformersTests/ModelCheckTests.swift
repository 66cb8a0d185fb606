// Checkpoints that contradict their configuration, tokens that do not fit, and the parts of a model by name.

import Checkpoints
import JSON
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers

@Suite struct ModelCheckTests {
  /// A folder like `grouped-f32` with other tensors, opened.
  static func checkpoint(
    _ change: (inout [SafetensorsEntry]) -> Void
  ) throws -> (checkpoint: Checkpoint, folder: TemporaryFolder) {
    let source = TestModel.path(tiny: "grouped-f32"), folder = TemporaryFolder()
    for name in ["config.json", "tokenizer.json"] {
      _ = folder.write(name, try #require(TemporaryFolder.read("\(source)/\(name)")))
    }
    var entries = try SafetensorsFile(path: "\(source)/model.safetensors").tensors.map { name, view in
      SafetensorsEntry(name: name, dtype: view.dtype, shape: view.shape, bytes: Array(view.bytes))
    }
    change(&entries)
    try SafetensorsWriter.write(entries, to: folder.file("model.safetensors"))
    return (try Checkpoint.open(path: folder.path), folder)
  }

  static func fault(_ change: (inout [SafetensorsEntry]) -> Void) throws -> TransformerError? {
    let (checkpoint, folder) = try checkpoint(change)
    defer { withExtendedLifetime(folder) {} }
    do {
      _ = try loadTransformer(checkpoint)
      return nil
    } catch {
      return error
    }
  }

  @Test func completeCheckpointFits() throws {
    #expect(try Self.fault { _ in } == nil)
  }

  @Test(arguments: ["model.norm.weight", "lm_head.weight", "model.layers.1.mlp.up_proj.weight"])
  func missingTensor(name: String) throws {
    let error = try #require(try Self.fault { $0.removeAll { $0.name == name } })
    #expect(error.kind == "tensorMissing")
    #expect(error.message.contains("\"\(name)\"") && error.message.contains("24"))
  }

  @Test(arguments: ["model.layers.2.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.bias", "extra"])
  func unexpectedTensor(name: String) throws {
    let error = try #require(
      try Self.fault { $0.append(SafetensorsEntry(name: name, dtype: .f32, shape: [1], bytes: [0, 0, 0, 0])) })
    #expect(error == .tensorUnexpected(name: name))
    #expect(error.message.contains("\"\(name)\"") && error.message.contains("config.json"))
  }

  @Test func wrongShape() throws {
    let name = "model.layers.0.self_attn.k_proj.weight"
    let error = try #require(
      try Self.fault { entries in
        entries.removeAll { $0.name == name }
        entries.append(
          SafetensorsEntry(name: name, dtype: .f32, shape: [24, 8], bytes: [UInt8](repeating: 0, count: 768)))
      })
    #expect(error == .shapeMismatch(name: name, expected: [8, 24], given: [24, 8]))
    #expect(error.message.contains("[24, 8]") && error.message.contains("[8, 24]"))
  }

  @Test func wrongType() throws {
    let error = try #require(
      try Self.fault { entries in
        entries.removeAll { $0.name == "model.norm.weight" }
        entries.append(
          SafetensorsEntry(name: "model.norm.weight", dtype: .i32, shape: [24], bytes: [UInt8](repeating: 0, count: 96)))
      })
    #expect(error == .dtypeUnsupported(name: "model.norm.weight", given: "i32"))
    #expect(error.message.contains("i32") && error.message.contains("bf16"))
  }

  @Test(arguments: [
    ([0, 66, 3], 3, nil), ([0, 67, 3], 3, "tokenOutOfRange"), ([0, -1, 3], 3, "tokenOutOfRange"),
    ([], 64, nil), ([], 65, "sequenceTooLong"),
  ] as [([Int32], Int, String?)])
  func tokens(tokens: [Int32], length: Int, kind: String?) throws {
    let model = try TestModel(tiny: "grouped-f32").transformer
    do {
      try model.checkTokens(tokens, length: length)
      #expect(kind == nil)
    } catch {
      #expect(error.kind == kind)
    }
  }

  @Test(arguments: [
    (TransformerError.unknownArchitecture(name: "x", known: ["llama", "qwen2"]), ["\"x\"", "llama, qwen2"]),
    (.tensorMissing(name: "a.b", shape: [2, 3]), ["\"a.b\"", "[2, 3]"]),
    (.tensorUnexpected(name: "a.b"), ["\"a.b\"", "config.json"]),
    (.shapeMismatch(name: "a", expected: [1], given: [2]), ["[1]", "[2]"]),
    (.dtypeUnsupported(name: "a", given: "u8"), ["u8", "f16"]),
    (.tokenOutOfRange(token: 70, position: 3, vocabularySize: 67), ["70", "3", "66"]),
    (.sequenceTooLong(length: 300, maximum: 256), ["300", "256", "shorter"]),
  ] as [(TransformerError, [String])])
  func messages(error: TransformerError, words: [String]) {
    for word in words { #expect(error.message.contains(word), "\(error.message)") }
  }

  @Test func kindsAreDistinct() {
    let errors: [TransformerError] = [
      .unknownArchitecture(name: "", known: []), .configurationInvalid(JSONFieldError(.missingField, path: "", expected: "")),
      .tensorMissing(name: "", shape: []), .tensorUnexpected(name: ""), .shapeMismatch(name: "", expected: [], given: []),
      .dtypeUnsupported(name: "", given: ""), .tokenOutOfRange(token: 0, position: 0, vocabularySize: 0),
      .sequenceTooLong(length: 0, maximum: 0),
    ]
    #expect(Set(errors.map(\.kind)).count == errors.count)
  }
}

@Suite struct LlamaPartsTests {
  @Test func tensorsOfALayerAreThoseExpected() throws {
    let model = try TestModel(tiny: "wide-heads-f16").transformer
    let ofLayers = (0..<2).flatMap { model.tensors(layer: $0) }
    #expect(Set(ofLayers).count == 18)
    let expected = Set(model.expectedTensors.keys)
    #expect(Set(ofLayers + model.embeddingTensors + ["model.norm.weight"]) == expected)
    #expect(model.expectedTensors["model.layers.1.self_attn.o_proj.weight"] == [24, 42])
  }

  /// Every linear map is fed by one input of its own width.
  @Test(arguments: TestModel.tiny)
  func linearInputsCoverTheLinearMaps(name: String) throws {
    let model = try TestModel(tiny: name).transformer
    for layer in 0..<model.shape.layers {
      let inputs = model.linearInputs(layer: layer)
      #expect(inputs.map(\.site) == ["attention", "attentionOutput", "mlp", "mlpDown"])
      #expect(inputs.flatMap(\.tensors).count == 7 && Set(inputs.flatMap(\.tensors)).count == 7)
      for input in inputs {
        for tensor in input.tensors { #expect(model.expectedTensors[tensor]?.last == input.columns) }
        #expect(input.layer == layer)
      }
    }
  }

  /// Slices are where a unit's weights are: a head's query rows and output columns, a neuron's three vectors.
  @Test func unitsHaveTheirSlices() throws {
    let model = try TestModel(tiny: "wide-heads-f16").transformer
    let counts = model.unitCounts(layer: 0)
    #expect(counts.heads == 3 && counts.neurons == 56)
    let head = model.slices(of: .head(2), layer: 1)
    #expect(
      head.map(\.tensor) == ["model.layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.o_proj.weight"])
    #expect(head.map(\.axis) == [.rows, .columns])
    #expect(head.map(\.range) == [28..<42, 28..<42])
    let neuron = model.slices(of: .neuron(55), layer: 0)
    #expect(neuron.map(\.tensor) == ["gate", "up", "down"].map { "model.layers.0.mlp.\($0)_proj.weight" })
    #expect(neuron.map(\.range) == [55..<56, 55..<56, 55..<56])
    #expect(neuron.map(\.axis) == [.rows, .rows, .columns])
  }
}
