// Masks on disk: what is saved is what is loaded, byte for byte, and nothing else is taken.

import Checkpoints
import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Workspace

@Suite struct MaskFileTests {
  static let provenance: OrderedDictionary<String, String> = ["model": "tiny", "revision": "r1", "plugin": "magnitude"]
  static let up = "model.layers.0.mlp.up_proj.weight"  // [56, 24]
  static let o = "model.layers.0.self_attn.o_proj.weight"  // [24, 42]: rows of 6 bytes with padding

  static func masked(seed: UInt64) throws -> TestModel {
    let model = try TestModel(tiny: "wide-heads-f16")
    var random = Seeded(seed)
    var masks: OrderedDictionary<String, MaskBits> = [:]
    for (name, tensor) in try model.state.prunableTensors(matching: ["*.0.*"]) {
      let count = tensor.rows * MaskBits.rowBytes(columns: tensor.columns)
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let mask: MaskBits = try #require(MaskBits(rows: tensor.rows, columns: tensor.columns, bytes: bytes))
      masks[name] = mask
    }
    model.commit(masks)
    return model
  }

  @Test func saveLoadSaveIsByteIdentical() throws {
    let folder = TemporaryFolder()
    let model = try Self.masked(seed: 1)
    let saved = try MaskFile.save(model.state, to: folder.file("a"), provenance: Self.provenance)
    #expect(saved.tensors == 7)
    let (masks, metadata) = try MaskFile.load(folder.file("a"), for: model.state)
    #expect(masks.count == 7 && metadata["plugin"] == "magnitude" && metadata["format"] == "espalier-mask")
    for (name, mask) in masks { #expect(mask == model.history.current.tensors[name]?.mask?.bits) }
    #expect(saved.bytes == masks.values.reduce(0) { $0 + $1.bytes.count })

    let other = try TestModel(tiny: "wide-heads-f16")
    _ = try MaskFile.save(other.commit(masks), to: folder.file("b"), provenance: Self.provenance)
    let a = try #require(TemporaryFolder.read(folder.file("a")))
    #expect(a == TemporaryFolder.read(folder.file("b")))
    #expect(TemporaryFolder.names(in: folder.path) == ["a", "b"])
  }

  /// A plain safetensors file: anyone can read it without Espalier.
  @Test func layoutIsTheDocumentedOne() throws {
    let folder = TemporaryFolder()
    let model = try Self.masked(seed: 2)
    _ = try MaskFile.save(model.state, to: folder.file("m"), provenance: [:])
    let file = try SafetensorsFile(path: folder.file("m"))
    let view = try #require(file.tensors[Self.o])
    #expect(view.dtype == .u8 && view.shape == [24, 6])
    let bits = try #require(model.history.current.tensors[Self.o]?.mask?.bits)
    for row in 0..<24 {
      for column in 0..<48 {
        let stored = view.bytes[row * 6 + column / 8] >> (column % 8) & 1 == 1
        #expect(stored == (column < 42 && bits.isKept(row: row, column: column)))
      }
    }
  }

  static func write(_ entries: [SafetensorsEntry], _ metadata: [String: String], to path: String) throws {
    try SafetensorsWriter.write(entries, metadata: metadata, to: path)
  }

  static func entry(_ name: String, _ shape: [Int], dtype: DType = .u8, byte: UInt8 = 0xff) -> SafetensorsEntry {
    let count = (dtype.byteCount(elements: shape.reduce(1, *)) ?? 0)
    return SafetensorsEntry(name: name, dtype: dtype, shape: shape, bytes: [UInt8](repeating: byte, count: count))
  }

  @Test func paddingOfAForeignFileIsCleared() throws {
    let folder = TemporaryFolder()
    let model = try TestModel(tiny: "wide-heads-f16")
    try Self.write([Self.entry(Self.o, [24, 6])], [:], to: folder.file("m"))
    let (masks, _) = try MaskFile.load(folder.file("m"), for: model.state)
    #expect(masks[Self.o] == MaskBits(keepingAll: 24, columns: 42))
  }

  static let misfits: [(String, [SafetensorsEntry], [String: String], String)] = [
    ("of another model", [entry("model.layers.7.mlp.up_proj.weight", [56, 3])], [:], "no prunable tensor"),
    ("over a norm", [entry("model.norm.weight", [1, 3])], [:], "model.norm.weight"),
    ("of another shape", [entry(up, [56, 4])], [:], "[56, 4], expected u8 of shape [56, 3]"),
    ("turned", [entry(up, [3, 56])], [:], "expected u8 of shape [56, 3]"),
    ("of another type", [entry(up, [56, 3], dtype: .i8)], [:], "i8 of shape"),
    ("one good, one bad", [entry(up, [56, 3]), entry("x", [1])], [:], "\"x\""),
    ("of another format", [entry(up, [56, 3])], ["format": "pt"], "\"pt\""),
    ("of a later version", [entry(up, [56, 3])], ["format": "espalier-mask", "version": "2"], "\"2\""),
    ("without masks", [], [:], "no masks"),
  ]

  @Test(arguments: misfits)
  func filesThatDoNotFit(
    name: String, entries: [SafetensorsEntry], metadata: [String: String], words: String
  ) throws {
    let folder = TemporaryFolder()
    try Self.write(entries, metadata, to: folder.file("m"))
    let model = try TestModel(tiny: "wide-heads-f16")
    let error = try #require(throws: CompressionError.self) { try MaskFile.load(folder.file("m"), for: model.state) }
    #expect(error.kind == "maskFileMismatch" && error.message.contains(words), "\(name): \(error.message)")
    #expect(error.message.contains(folder.file("m")))
  }

  @Test func brokenFiles() throws {
    let folder = TemporaryFolder()
    let model = try Self.masked(seed: 3)
    _ = try MaskFile.save(model.state, to: folder.file("m"), provenance: [:])
    let whole = try #require(TemporaryFolder.read(folder.file("m")))
    for length in [0, 7, 8, 100, whole.count - 1] {
      let path = folder.write("cut", Array(whole[..<length]))
      let error = try #require(throws: CheckpointError.self) { try MaskFile.load(path, for: model.state) }
      #expect(error.kind == "invalidSafetensors", "\(length) bytes")
    }
    let missing = try #require(throws: CheckpointError.self) {
      try MaskFile.load(folder.file("nowhere"), for: model.state)
    }
    #expect(missing.kind == "fileNotFound")
  }

  @Test func oldFileSurvivesAFailedSave() throws {
    let folder = TemporaryFolder()
    let model = try Self.masked(seed: 3)
    let path = folder.write("old", [1, 2, 3])
    #expect(throws: CheckpointError.self) {
      try MaskFile.save(model.state, to: "\(path)/inside", provenance: [:])
    }
    #expect(throws: CheckpointError.self) {
      try MaskFile.save(model.state, to: folder.file("no/folder/m"), provenance: [:])
    }
    #expect(TemporaryFolder.read(path) == [1, 2, 3])
    #expect(TemporaryFolder.names(in: folder.path) == ["old"])
  }
}
