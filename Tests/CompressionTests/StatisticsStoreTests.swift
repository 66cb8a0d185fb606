// The store of statistics: budgets of memory and disk, what comes back, what does not, and what that means for a
// calibration.

import Compression
import Glibc
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct StatisticsStoreTests {
  static let name = "grouped-f32"

  static func bits(_ buffer: FloatBuffer?) -> [UInt32]? { buffer?.readOnly.map(\.bitPattern) }

  /// All Gram matrices and moments of a calibration.
  static func everything(_ calibration: Calibration) throws -> [(Moments, [UInt32])] {
    let model = try TestModel(tiny: name).transformer
    return try calibration.layers.flatMap { layer in
      try calibration.statistics(layer: layer, model: model).map {
        (try #require($0.moments), try #require(bits($0.gram?.products)))
      }
    }
  }

  /// One model for all: what is remembered of another is not its own.
  private static let model = Result { try TestModel(tiny: name) }

  static func calibrated(_ store: StatisticsStore, need: StatisticsNeed = .gram) throws -> Calibration {
    try CalibrationTests.calibrated(
      model.get().state, TestModel.goldenDataset(tiny: name), need: need, store: store)
  }

  static func same(_ a: [(Moments, [UInt32])], _ b: [(Moments, [UInt32])]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0.0 == $1.0 && $0.1 == $1.1 }
  }

  /// Whatever the budget, the same bits come back.
  @Test(arguments: [0, 5_000, 20_000, 40_000, 1 << 20])
  func budgetsDoNotMatter(memoryBytes: Int) throws {
    let folder = TemporaryFolder()
    let store = StatisticsStore(memoryBytes: memoryBytes, diskBytes: 1 << 20, folder: folder.path)
    let expected = try Self.everything(Self.calibrated(Engine.store()))
    let calibration = try Self.calibrated(store)
    #expect(Self.same(try Self.everything(calibration), expected))
    #expect(Self.same(try Self.everything(calibration), expected), "a second time")
    let counters = store.counters
    #expect(counters.memoryBytes <= memoryBytes && counters.damaged == 0)
    #expect((counters.diskBytes > 0) == (memoryBytes < 1 << 20))
  }

  /// What neither memory nor disk has room for is an error in words, at once if that is plain from the start.
  @Test func lossIsSaid() throws {
    let small = StatisticsStore(memoryBytes: 20_000, diskBytes: 0)
    let error = try #require(throws: CompressionError.self) { try Self.calibrated(small) }
    #expect(error.kind == "statisticsTooLarge" && error.message.contains("0 MiB of disk"))
    let nowhere = StatisticsStore(memoryBytes: 20_000, diskBytes: 1 << 20, folder: "/proc/espalier")
    let calibration = try Self.calibrated(nowhere)
    let loss = try #require(throws: CompressionError.self) { try Self.everything(calibration) }
    #expect(loss.kind == "statisticsForgotten" && loss.message.contains("/proc/espalier"), "\(loss.message)")
  }

  /// A damaged piece is a loss for the calibration that it belongs to, a miss for the next, and then right again.
  @Test func damageIsAMiss() throws {
    let folder = TemporaryFolder()
    let store = StatisticsStore(memoryBytes: 0, diskBytes: 1 << 20, folder: folder.path)
    let calibration = try Self.calibrated(store), expected = try Self.everything(calibration)
    let descriptors = TemporaryFolder.names(in: "/proc/self/fd").compactMap { Int32($0) }.filter { descriptor in
      var target = [CChar](repeating: 0, count: 4096)
      guard readlink("/proc/self/fd/\(descriptor)", &target, target.count - 1) > 0 else { return false }
      return String(decoding: target.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        .hasPrefix(folder.path)
    }
    let descriptor = try #require(descriptors.first)
    var byte: UInt8 = 0
    #expect(pread(descriptor, &byte, 1, 0) == 1)
    byte ^= 0x40
    #expect(pwrite(descriptor, &byte, 1, 0) == 1)
    #expect(throws: CompressionError.self) { try Self.everything(calibration) }
    #expect(store.counters.damaged == 1)
    let again = try Self.calibrated(store), restored = try Self.everything(again)
    #expect(again.reusedLayers == 1 && Self.same(restored, expected))
  }

  /// Gram matrices bring moments along; moments alone do not do for Gram matrices.
  @Test func moreThanIsNeededIsAHit() throws {
    let store = Engine.store()
    #expect(try Self.calibrated(store, need: .moments).reusedLayers == 0)
    let gram = try Self.calibrated(store, need: [.moments, .gram])
    #expect(gram.reusedLayers == 0)
    #expect(try Self.calibrated(store, need: .moments).reusedLayers == 2)
    #expect(try Self.calibrated(store, need: .gram).reusedLayers == 2)
    let cross = try Self.calibrated(store, need: .crossGram)
    let model = try TestModel(tiny: Self.name).transformer
    for statistics in try cross.statistics(layer: 1, model: model) {
      #expect(statistics.gram.map { $0.cross === $0.products } == true, "nothing was pruned in between")
    }
    #expect(cross.reusedLayers == 2 && store.count == 2 + 8)
  }
}

@Suite struct StateWalkTests {
  /// The layers that a calibration says it goes through.
  static func layersWalked(_ store: StatisticsStore, _ state: ModelState, _ dataset: Dataset) throws -> [String] {
    let heard = Heard()
    _ = try CalibrationTests.calibrated(
      state, dataset, lastLayer: state.transformer.shape.layers - 1, store: store,
      monitor: Monitor { _, message in heard.add(message) })
    return heard.words
  }

  /// After an edit of a layer all before it is left alone if there is room for hidden states, else it is only gone
  /// through again; the statistics are the same.
  @Test(arguments: [0, 1 << 20])
  func theWalkBeginsAtTheEdit(stateBytes: Int) throws {
    let model = try TestModel(tiny: "grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let store = StatisticsStore(memoryBytes: 1 << 20, diskBytes: 0, stateBytes: stateBytes)
    let both = ["calibrating, layer 1 of 2", "calibrating, layer 2 of 2"]
    #expect(try Self.layersWalked(store, model.state, dataset) == both)
    #expect(store.counters.stateBytes == (stateBytes == 0 ? 0 : 4 * 38 * model.transformer.shape.hiddenSize))
    try CalibrationTests.prune(model, layer: 1)
    #expect(try Self.layersWalked(store, model.state, dataset) == (stateBytes == 0 ? both : [both[1]]))
    let fresh = try CalibrationTests.calibrated(model.state, dataset, store: Engine.store())
    let kept = try CalibrationTests.calibrated(model.state, dataset, store: store)
    #expect(kept.reusedLayers == 2 && kept.moments(1) == fresh.moments(1))
  }
}
