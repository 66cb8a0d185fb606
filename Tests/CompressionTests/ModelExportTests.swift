// Exported models: what the daemon computed with masks, the folder computes without.

@testable import Checkpoints
import Compression
import JSON
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Workspace

@Suite struct ModelExportTests {
  static func pruned(_ name: String) throws -> TestModel {
    let model = try TestModel(tiny: name)
    let plan = PruningPlan(
      criterion: Criterion(Magnitude()), target: .ratio(0.5), group: .matrix, tensors: model.state.prunableTensors)
    let result = try pruneAtOnce(
      model.state, plan: plan, dataset: nil, store: Engine.store(), compute: Engine.compute,
      monitor: Monitor(), diagnostics: Diagnostics())
    model.commit(result.masks)
    return model
  }

  @discardableResult
  static func export(
    _ model: TestModel, to path: String, replacing: Bool = false, monitor: Monitor = Monitor()
  ) throws -> [ExportedFile] {
    try exportHuggingFace(
      model.state, checkpoint: model.checkpoint, to: path, replacing: replacing,
      provenance: ["revision": model.history.current.id], monitor: monitor)
  }

  /// Bit-equal losses from the folder, whatever the layout and types of the source.
  @Test(arguments: TestModel.tiny + TestModel.families)
  func exportedModelComputesTheSame(name: String) throws {
    let folder = TemporaryFolder()
    let model = try Self.pruned(name)
    let files = try Self.export(model, to: folder.file("out"))
    let loaded = try TestModel(path: folder.file("out"))
    #expect(Array(loaded.checkpoint.tensors.keys) == Array(model.checkpoint.tensors.keys))

    let dataset = try TestModel.goldenDataset(tiny: name)
    let before = try PerplexityTests.evaluate(model.state, dataset)
    #expect(try PerplexityTests.evaluate(loaded.state, dataset).perWindow == before.perWindow)
    let dense = try PerplexityTests.evaluate(TestModel(tiny: name).state, dataset)
    #expect(dense.perWindow != before.perWindow, "the masks change something")

    #expect(Set(files.map(\.name)).isSuperset(of: ["config.json", "model.safetensors", "tokenizer.json"]))
    #expect(Set(files.map(\.name)) == Set(TemporaryFolder.names(in: folder.file("out"))))
    for file in files {
      #expect(TemporaryFolder.read(folder.file("out/\(file.name)"))?.count == file.bytes)
    }
    #expect(TemporaryFolder.names(in: folder.path) == ["out"])
  }

  /// Plain types keep their type and the bits of what is kept; blocks become fp32.
  @Test(arguments: TestModel.tiny)
  func typesAndBitsAreKept(name: String) throws {
    let folder = TemporaryFolder()
    let model = try Self.pruned(name)
    try Self.export(model, to: folder.file("out"))
    let exported = try Checkpoint.open(path: folder.file("out")).tensors
    for (tensor, view) in model.checkpoint.tensors {
      let written = try #require(exported[tensor])
      #expect(written.shape == view.shape)
      #expect(written.dtype == (view.dtype.blockElements == 1 ? view.dtype : .f32))
      let mask = model.history.current.tensors[tensor]?.mask?.bits
      let expected = Matrix(MaskedTensor(weights: view, mask: mask)).values
      #expect(Matrix(MaskedTensor(weights: written)).values == expected, "\(tensor)")
    }
  }

  @Test func configurationAndCompanionsAreCarried() throws {
    let folder = TemporaryFolder()
    for name in ["tied-bf16", "blocks-q8-gguf"] {
      let model = try TestModel(tiny: name)
      try Self.export(model, to: folder.file(name))
      let loaded = try Checkpoint.open(path: folder.file(name))
      var expected = model.checkpoint.configuration
      if name.hasSuffix("gguf") { expected["torch_dtype"] = "float32" }
      #expect(loaded.configuration == expected)
      #expect(try loaded.tokenizer.encode("ABBA") == model.checkpoint.tokenizer.encode("ABBA"))
      let metadata = try SafetensorsFile(path: folder.file("\(name)/model.safetensors")).metadata
      #expect(metadata == ["format": "pt", "revision": "r0"])
    }
  }

  /// Norms that GGUF keeps with 1 added lose it; everything else stays, and the key that says so is gone.
  @Test func normsLoseTheirOffset() throws {
    let folder = TemporaryFolder()
    let model = try Self.pruned("blocks-q4-gguf")
    let plain = model.checkpoint
    var configuration = plain.configuration
    configuration[Checkpoint.normOffsetKey] = 0
    let gemma = Checkpoint(
      format: plain.format, path: plain.path, configuration: configuration, tensors: plain.tensors,
      storedNames: plain.storedNames, tokenizer: plain.tokenizer, companionFiles: plain.companionFiles)
    for (name, checkpoint) in [("plain", plain), ("gemma", gemma)] {
      _ = try exportHuggingFace(
        model.state, checkpoint: checkpoint, to: folder.file(name), replacing: false, provenance: [:],
        monitor: Monitor())
    }
    let before = try Checkpoint.open(path: folder.file("plain"))
    let after = try Checkpoint.open(path: folder.file("gemma"))
    #expect(after.configuration == before.configuration && after.configuration[Checkpoint.normOffsetKey] == nil)
    for (name, view) in before.tensors {
      let offset: Float = name.hasSuffix("norm.weight") ? 1 : 0
      let written = try #require(after.tensors[name])
      let expected = Matrix(MaskedTensor(weights: view)).values.map { Double(Float($0) - offset) }
      #expect(Matrix(MaskedTensor(weights: written)).values == expected, "\(name)")
    }
    #expect(before.tensors.keys.count { $0.hasSuffix("norm.weight") } >= 3)
  }

  @Test func exportingTwiceGivesTheSameBytes() throws {
    let folder = TemporaryFolder()
    let model = try Self.pruned("grouped-f32-gguf")
    let files = try Self.export(model, to: folder.file("a"))
    #expect(try Self.export(model, to: folder.file("b")) == files)
    for file in files {
      #expect(TemporaryFolder.read(folder.file("a/\(file.name)")) == TemporaryFolder.read(folder.file("b/\(file.name)")))
    }
  }

  @Test func aFolderIsReplacedOnlyIfAsked() throws {
    let folder = TemporaryFolder()
    let model = try Self.pruned("grouped-f32")
    try Self.export(try TestModel(tiny: "grouped-f32"), to: folder.file("out"))
    let before = TemporaryFolder.read(folder.file("out/model.safetensors"))
    let error = #expect(throws: CheckpointError.self) { try Self.export(model, to: folder.file("out")) }
    #expect(error?.kind == "pathTaken")
    #expect(TemporaryFolder.read(folder.file("out/model.safetensors")) == before)
    try Self.export(model, to: folder.file("out"), replacing: true)
    #expect(TemporaryFolder.read(folder.file("out/model.safetensors")) != before)
    #expect(TemporaryFolder.names(in: folder.path) == ["out"])
  }

  /// The old folder is whole, and no temporary one is left.
  @Test func cancelledExportLeavesTheOldFolder() throws {
    let folder = TemporaryFolder()
    let model = try Self.pruned("grouped-f32")
    try Self.export(try TestModel(tiny: "grouped-f32"), to: folder.file("out"))
    let before = TemporaryFolder.read(folder.file("out/model.safetensors"))
    #expect(throws: Cancelled.self) {
      try Self.export(model, to: folder.file("out"), replacing: true, monitor: cancelling(afterReports: 3))
    }
    #expect(TemporaryFolder.read(folder.file("out/model.safetensors")) == before)
    #expect(TemporaryFolder.names(in: folder.path) == ["out"])
  }
}
