// What the tests of this target share: the compute threads, states of models, datasets, and a change of mask.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

enum Engine {
  private static let loaded = Result { try Compute(pool: ComputePool(threads: 2)) }
  static var compute: Compute { get throws { try loaded.get() } }
  static let pool = ComputePool(threads: 3)

  /// In memory only.
  static func store() -> StatisticsStore { StatisticsStore(memoryBytes: 64 << 20, diskBytes: 0) }
}

extension TestModel {
  var state: ModelState { ModelState(transformer: transformer, revision: history.current) }

  /// Makes a revision with these masks current.
  @discardableResult
  func commit(_ masks: OrderedDictionary<String, MaskBits>) -> ModelState {
    var blobs: [String: MaskBlob?] = [:]
    for (name, bits) in masks { blobs[name] = MaskBlob(bits) }
    history.commit(
      Operation(method: "mask/apply", summary: ""), tensors: history.current.replacing(masks: blobs))
    return state
  }

  /// The two sequences of the golden.
  static func goldenDataset(tiny name: String) throws -> Dataset {
    let tokens = try golden(tiny: name).numbers("tokens").values.map { Int32($0) }
    let vocabulary = try TestModel(tiny: name).transformer.shape.vocabularySize
    return try Dataset(
      text: tokens, sequenceLength: 19, sequences: nil, sampling: .contiguous, vocabularySize: vocabulary)
  }

  static func randomDataset(seed: UInt64, sequences: Int, length: Int) throws -> Dataset {
    var random = Seeded(seed)
    let tokens = (0..<sequences * length).map { _ in Int32(random.int(in: 0...66)) }
    return try Dataset(
      text: tokens, sequenceLength: length, sequences: nil, sampling: .contiguous, vocabularySize: 67)
  }
}

/// A scored matrix.
func scores(_ values: [Float], rows: Int, columns: Int) -> ScoreMatrix {
  precondition(values.count == rows * columns)
  let matrix = ScoreMatrix(rows: rows, columns: columns)
  _ = matrix.values.values.initialize(fromContentsOf: values)
  return matrix
}

/// Places that a mask prunes, row-major.
func pruned(_ mask: MaskBits) -> Set<Int> {
  Set((0..<mask.rows * mask.columns).filter { !mask.isKept(row: $0 / mask.columns, column: $0 % mask.columns) })
}

/// A monitor that is cancelled at its `count`th report.
func cancelling(afterReports count: Int) -> Monitor {
  let cancellation = Cancellation()
  let heard = Countdown(count)
  return Monitor(cancellation: cancellation) { _, _ in
    if heard.isOver() { cancellation.cancel() }
  }
}
