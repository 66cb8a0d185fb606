// A layer's weights decoded once: the same values, as fp32 where they lie.

import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@testable import Compression

@Suite struct DecodedLayerTests {
  /// As stored, and half of it pruned.
  static func weights(_ model: TestModel) throws -> [any WeightSource] {
    let state = model.state
    let masks = try state.prunableTensors.mapValues { tensor -> MaskBlob? in
      let rowBytes = MaskBits.rowBytes(columns: tensor.columns)
      let bytes = (0..<tensor.rows * rowBytes).map { UInt8(truncatingIfNeeded: $0 &* 37) }
      return MaskBlob(try #require(MaskBits(rows: tensor.rows, columns: tensor.columns, bytes: bytes)))
    }
    let tensors = state.revision.replacing(masks: Dictionary(uniqueKeysWithValues: masks.map { ($0, $1) }))
    return [state.revision, History(tensors: tensors, operation: Operation(method: "test", summary: "")).current]
  }

  static func row(_ row: Int, of tensor: MaskedTensor) -> [UInt32] {
    var values = [Float](repeating: .nan, count: tensor.columns)
    tensor.readRow(row, into: &values)
    return values.map(\.bitPattern)
  }

  @Test(arguments: TestModel.tiny)
  func theValuesAreThose(name: String) throws {
    let model = try TestModel(tiny: name), transformer = model.transformer, pool = try Engine.compute.pool
    for weights in try Self.weights(model) {
      let decoded = DecodedLayer(1, of: transformer, weights: weights, batches: 2, pool: pool)
      for tensor in transformer.linearInputs(layer: 1).flatMap(\.tensors) {
        let found = decoded.tensor(tensor), stored = weights.tensor(tensor)
        #expect(found.inPlace != nil, "\(tensor) is where it lies")
        #expect((found.rows, found.columns) == (stored.rows, stored.columns))
        for row in 0..<stored.rows { #expect(Self.row(row, of: found) == Self.row(row, of: stored), "\(tensor) \(row)") }
      }
      let other = transformer.linearInputs(layer: 0)[0].tensors[0]
      #expect((decoded.tensor(other).inPlace == nil) == (weights.tensor(other).inPlace == nil), "other layers stay")
    }
  }

  @Test func oneBatchDecodesAsItGoes() throws {
    let model = try TestModel(tiny: "blocks-q4-gguf")
    let once = DecodedLayer(
      1, of: model.transformer, weights: model.state.revision, batches: 1, pool: try Engine.compute.pool)
    #expect(once.tensor(model.transformer.linearInputs(layer: 1)[0].tensors[0]).inPlace == nil)
  }
}
