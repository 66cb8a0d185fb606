// Keys and values of positions that were computed already, so that a token is decoded at the cost of one row.

import Tensors

/// Keys and values of every layer for a few sequences, fp32, in the order of positions. All memory is taken at the
/// start, though the system gives pages only as they are written. Layers with a window keep all positions too: the
/// attention looks at those that it should.
///
/// One sequence of one layer is a matrix [capacity, 2 KV D], in each row the keys of all heads and then the values.
final class KeyValueCache {
  /// Positions that each sequence has room for.
  let capacities: [Int]
  /// Positions of each sequence that are filled.
  private(set) var lengths: [Int]
  private let layers: [FloatBuffer]
  /// The keys' width of each layer; the values' is the same.
  private let widths: [Int]
  /// Rows of all sequences before each.
  private let firstRows: [Int]

  /// - Parameter capacities: checked by the caller against the model's maximum length.
  init(_ transformer: Transformer, capacities: [Int]) {
    self.capacities = capacities
    lengths = capacities.map { _ in 0 }
    var rows = 0
    firstRows = capacities.map { capacity in
      defer { rows += capacity }
      return rows
    }
    let total = rows
    widths = transformer.blocks.map { $0.attention.form.shape.kvWidth }
    layers = widths.map { FloatBuffer(count: 2 * $0 * total) }
  }

  /// Bytes of a cache for `positions` positions.
  static func bytes(_ transformer: Transformer, positions: Int) -> Int {
    transformer.blocks.reduce(0) { $0 + 8 * $1.attention.form.shape.kvWidth * positions }
  }

  /// Copies the keys and values of rows that were just projected behind those of `sequence` in `layer`.
  /// - Parameter rows: keys and values side by side, as `[rows, 2 KV D]`. There must be room for them.
  func append(_ rows: MatrixRows, count: Int, sequence: Int, layer: Int) {
    let width = 2 * widths[layer], start = firstRows[sequence] + lengths[sequence]
    for row in 0..<count {
      (layers[layer].pointer + (start + row) * width).update(from: rows.pointer + row * rows.stride, count: width)
    }
  }

  /// Counts `rows` positions of `sequence` that were appended in every layer.
  func advance(_ sequence: Int, by rows: Int) { lengths[sequence] += rows }

  /// The keys of `sequence` in `layer`, from position 0 on.
  func keys(sequence: Int, layer: Int) -> MatrixRows {
    let width = 2 * widths[layer]
    return MatrixRows(layers[layer].pointer + firstRows[sequence] * width, stride: width)
  }

  /// The values of `sequence` in `layer`, from position 0 on.
  func values(sequence: Int, layer: Int) -> MatrixRows {
    let keys = keys(sequence: sequence, layer: layer)
    return MatrixRows(keys.pointer + widths[layer], stride: keys.stride)
  }
}
