// Shrunk models on disk: what is written is read back to the bit, as an ordinary folder where that can be.

import Checkpoints
import Compression
import JSON
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct ShrunkExportTests {
  /// Ragged layers: only our own format holds them.
  @Test(arguments: ShrinkTests.all)
  func raggedModelsComeBack(name: String) throws {
    let folder = TemporaryFolder()
    let dense = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
    let masked = try dense.cutting(ShrinkTests.choices(dense.state.transformer))
    let (small, result) = try masked.shrunk()
    #expect(!result.isStandard)
    #expect(result.configuration["model_type"]?.string?.hasPrefix("espalier_") == true)
    let loaded = try small.exported(to: folder.file("out"))
    #expect(loaded.state.transformer == small.state.transformer)
    #expect(try loaded.outputs(dataset) == small.outputs(dataset))
    #expect(architectureName(of: loaded.checkpoint.configuration) == architectureName(of: dense.checkpoint.configuration))

    // And once more, from what was loaded: the same as cutting both from the original.
    let again = try loaded.cutting([.neurons(0, [0, 2])]), (smaller, _) = try again.shrunk()
    #expect(relativeDifference(try smaller.outputs(dataset), try again.outputs(dataset)) < 1e-5)
    let reloaded = try smaller.exported(to: folder.file("again"))
    #expect(try reloaded.outputs(dataset) == smaller.outputs(dataset))
  }

  /// The same widths everywhere: an ordinary config.json, but for what such a one cannot say: the size of heads in
  /// families that divide the hidden size by their number, and one epsilon for norms over hidden and head channels.
  @Test(arguments: ShrinkTests.all)
  func uniformModelsAreOrdinary(name: String) throws {
    let folder = TemporaryFolder()
    let dense = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
    let model = dense.state.transformer, learned = ["gpt2", "opt"].contains(name)
    let headNorms = ["qwen3", "gemma3_text"].contains(name)
    let (heads, neurons) = model.unitCounts(layer: 0), group = heads / model.keyValueHeads(layer: 0)
    var choices: [UnitChoice] = []
    for layer in 0..<model.shape.layers {
      if !learned, group < heads || group > 1 { choices.append(.heads(layer, Array(heads - group..<heads))) }
      if !learned, model.keyValueHeads(layer: 0) == 1 { choices.removeAll { $0.unit == .head } }
      choices.append(.neurons(layer, [0, neurons - 1]))
    }
    // transformers wants a llama's hidden size to be a multiple of its heads.
    let headsLeft = choices.contains { $0.unit == .head } ? heads - group : heads, hidden = model.shape.hiddenSize
    let channels = hidden % headsLeft == 0 ? headsLeft : hidden % headsLeft
    if !learned, !headNorms { choices.append(.channels(Array(1...channels))) }
    let (small, result) = try dense.cutting(choices).shrunk()
    #expect(result.isStandard)
    #expect(result.configuration["model_type"] == .string(architectureName(of: dense.checkpoint.configuration)))
    let loaded = try small.exported(to: folder.file("out"))
    #expect(loaded.state.transformer == small.state.transformer)
    #expect(try loaded.outputs(dataset) == small.outputs(dataset))
  }

  /// A layer less is ordinary too, whatever the kinds of the layers that stay.
  @Test(arguments: ShrinkTests.all)
  func shallowerModelsAreOrdinary(name: String) throws {
    let folder = TemporaryFolder()
    let dense = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
    let (small, result) = try dense.cutting([.layers([0])]).shrunk()
    let loaded = try small.exported(to: folder.file("out"))
    #expect(try loaded.outputs(dataset) == small.outputs(dataset))
    let layers = dense.state.transformer.shape.layers
    #expect(originalLayers(of: loaded.checkpoint.configuration) == Array(1..<layers))
    #expect(result.isStandard)
  }

  /// Where each layer was in the first model, through two cuts.
  @Test func originalLayersAreRemembered() throws {
    let dense = try Shrinkable("gemma3_text")
    let layers = dense.state.transformer.shape.layers
    try #require(layers >= 3)
    let once = try dense.cutting([.layers([1])]).shrunk().model
    let twice = try once.cutting([.layers([1]), .neurons(0, [1])]).shrunk().result
    #expect(originalLayers(of: twice.configuration) == [0] + Array(3..<layers))
  }

  /// Field and value, and the path that is blamed.
  @Test(arguments: [
    ("hiddenSize", JSON(0), "hiddenSize"), ("hiddenSize", JSON(1 << 20), "hiddenSize"), ("layers", [], "layers"),
    ("layers", [["originalLayer": 9, "heads": 1, "keyValueHeads": 1, "neurons": 1]], "layers[0].originalLayer"),
    ("layers", [["originalLayer": 0, "heads": 1, "keyValueHeads": 9, "neurons": 1]], "layers[0].keyValueHeads"),
    ("layers", [["originalLayer": 0, "heads": 64, "keyValueHeads": 1, "neurons": 1]], "layers[0].heads"),
    ("layers", [["originalLayer": 0, "heads": 1, "keyValueHeads": 1, "neurons": 4000]], "layers[0].neurons"),
    ("layers", [["originalLayer": 0, "heads": 1, "keyValueHeads": 1, "neurons": 0]], "layers[0].neurons"),
    (
      "layers",
      [
        ["originalLayer": 1, "heads": 1, "keyValueHeads": 1, "neurons": 1],
        ["originalLayer": 0, "heads": 1, "keyValueHeads": 1, "neurons": 1],
      ], "layers[1].originalLayer"
    ),
    ("more", 1, "more"),
  ] as [(String, JSON, String)])
  func widthsFromFilesAreChecked(field: String, value: JSON, path: String) throws {
    let dense = try Shrinkable("grouped-f32")
    var configuration = try dense.cutting([.neurons(0, [1])]).shrunk().result.configuration
    #expect(throws: Never.self) { try makeTransformer(configuration: configuration) }
    configuration["espalier"]?[field] = value
    let error = #expect(throws: TransformerError.self) { try makeTransformer(configuration: configuration) }
    guard case .configurationInvalid(let fault) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(fault.path == "config.espalier.\(path)")
  }

  @Test func masksOfChannelsAndLayersAreSavedAndExported() throws {
    let folder = TemporaryFolder()
    for name in ["tied-bf16", "gpt2", "blocks-q8-gguf"] {
      let dense = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
      let masked = try dense.cutting(name == "gpt2" ? [.layers([1])] : [.channels([2, 7]), .layers([1])])
      let exported = try masked.exported(to: folder.file(name))
      #expect(try exported.outputs(dataset) == masked.outputs(dataset))

      _ = try MaskFile.save(masked.state, to: folder.file("\(name).safetensors"), provenance: [:])
      let (masks, _) = try MaskFile.load(folder.file("\(name).safetensors"), for: dense.state)
      for (tensor, stored) in masked.state.revision.tensors { #expect(stored.mask?.bits == masks[tensor]) }
      #expect(masks.keys.contains { $0.contains(name == "gpt2" ? "c_proj.bias" : "embed_tokens") })
    }
  }
}
