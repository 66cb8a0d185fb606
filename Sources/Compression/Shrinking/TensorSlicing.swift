// The rows and columns of a stored tensor that stay, as a tensor of its own.

import Tensors
import Transformers
import Workspace

extension StoredTensor {
  /// What `cut` takes of this tensor: itself if that is all. Plain types keep their type and bits; so do whole rows of
  /// block-quantised types, of which columns become f32, as do norms that are scaled.
  /// - Parameter biasOf: the weight to whose map this bias was added, by its name in the smaller model.
  func cut(_ cut: TensorCut, biasOf: String? = nil) -> StoredTensor {
    if cut.rows == nil, cut.columns == nil, cut.scaling == nil {
      return StoredTensor(weights: weights, mask: mask, biasOf: biasOf)
    }
    let view = weights.view, unmasked = MaskedTensor(weights: view)
    let rows = cut.rows ?? Array(0..<view.rows), columns = cut.columns?.count ?? view.columns
    let keepsType = cut.scaling == nil && (view.dtype.blockElements == 1 || cut.columns == nil)
    let dtype: DType = keepsType ? view.dtype : .f32
    let rowBytes = columns / dtype.blockElements * dtype.blockBytes
    let runs = cut.columns.map(Self.runs) ?? [0..<view.columns]
    let storage = OwnedBytes(count: rows.count * rowBytes) { target in
      let scratch = FloatBuffer(count: keepsType ? 0 : view.columns)
      for (place, row) in rows.enumerated() {
        let out = UnsafeMutableRawBufferPointer(rebasing: target[place * rowBytes..<(place + 1) * rowBytes])
        if keepsType {
          let size = view.dtype.blockBytes, blocks = view.dtype.blockElements
          let start = view.rowOrder.storedRow(row, of: view.rows) * (view.columns / blocks * size)
          var written = 0
          for run in runs {
            let from = start + run.lowerBound / blocks * size, count = run.count / blocks * size
            UnsafeMutableRawBufferPointer(rebasing: out[written..<written + count]).copyBytes(
              from: view.bytes[from..<from + count])
            written += count
          }
        } else {
          unmasked.readRow(row, into: scratch.pointer)
          let floats = out.bindMemory(to: Float.self)
          var written = 0
          for column in runs.joined() {
            floats[written] = cut.scaling.map { scaling in
              Float((Double(scratch.pointer[column]) + scaling.offset) * scaling.factor - scaling.offset)
            } ?? scratch.pointer[column]
            written += 1
          }
        }
      }
    }
    let shape = view.shape.count == 1 ? [columns] : [rows.count, columns]
    guard let cutView = TensorView(storage: storage, byteOffset: 0, dtype: dtype, shape: shape) else {
      preconditionFailure("\(shape) of \(dtype) does not fit the memory that was made for it")
    }
    return StoredTensor(
      weights: WeightsBlob(cutView),
      mask: mask.flatMap { $0.bits.cut(rows: cut.rows, columns: cut.columns) }.map(MaskBlob.init), biasOf: biasOf)
  }

  /// Bytes of its own that the result takes, at most.
  func cutBytes(_ cut: TensorCut) -> Int {
    guard cut.rows != nil || cut.columns != nil || cut.scaling != nil else { return 0 }
    return 4 * (cut.rows?.count ?? weights.view.rows) * (cut.columns?.count ?? weights.view.columns)
  }

  /// Ascending indices as runs of neighbours.
  private static func runs(_ indices: [Int]) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for index in indices {
      if let last = runs.last, last.upperBound == index {
        runs[runs.count - 1] = last.lowerBound..<index + 1
      } else {
        runs.append(index..<index + 1)
      }
    }
    return runs
  }
}
