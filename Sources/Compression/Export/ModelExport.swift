// A revision as a Hugging Face folder: masks burnt into the weights, everything else as it was loaded.

import Transformers
package import Checkpoints
import JSON
package import OrderedCollections
package import Tensors
import Workspace

/// What an export wrote.
package struct ExportedFile: Sendable, Equatable {
  package let name: String
  package let bytes: Int
}

/// Writes `state` to the folder `path`: config.json, model.safetensors and the tokenizer's files of `checkpoint`.
///
/// Plain types keep their type and every kept weight its bits; block-quantised types become f32, in which their
/// values are exact, and so do the norms of Gemma models from GGUF, which lose the 1 that such files have added to
/// them (`Checkpoint.normOffsetKey`). Biases that edits added go along where the family has a place for them. Pruned
/// weights are zero. Written under a temporary name, synced and renamed.
/// - Parameter replacing: whether a folder of files that is there already may be replaced.
/// - Throws: `CompressionError.biasesNotExportable`; `CheckpointError` if the folder cannot be written (what was there is
///   then intact), `Cancelled`.
package func exportHuggingFace(
  _ state: ModelState, checkpoint: Checkpoint, to path: String, replacing: Bool,
  provenance: OrderedDictionary<String, String>, monitor: Monitor
) throws -> [ExportedFile] {
  var configuration = checkpoint.configuration
  let normsHaveOne = configuration.removeValue(forKey: Checkpoint.normOffsetKey) == 0
  let zeros = try state.describeAddedBiases(in: &configuration)
  let entries = state.revision.tensors.map { name, tensor in
    let view = tensor.weights.view
    let offset: Float = normsHaveOne && Checkpoint.isNorm(name) ? 1 : 0
    let dtype: DType = view.dtype.blockElements == 1 && offset == 0 ? view.dtype : .f32
    let isTransposed = state.transformer.isTransposedInHuggingFace(name)
    let shape = isTransposed ? view.shape.reversed() : view.shape
    return SafetensorsEntry(name: name, dtype: dtype, shape: shape) { sink in
      let masked = isTransposed ? transposed(tensor.masked, as: dtype) : tensor.masked
      try produce(masked, as: dtype, subtracting: offset, into: sink)
    }
  } + zeros.map { SafetensorsEntry(zeros: $0.value, name: $0.key) }
  if checkpoint.format == .gguf { configuration["torch_dtype"] = "float32" }
  var files: [ExportedFile] = []
  try AtomicFolder.write(to: path, replacing: replacing) { folder in
    try folder.write("config.json") { try $0.write(JSON.object(configuration).prettyPrinted() + [0x0a]) }
    for companion in checkpoint.companionFiles {
      try folder.write(companion.name) { try $0.write(companion.bytes()) }
    }
    try folder.write("model.safetensors") { file in
      var metadata = ["format": "pt"]  // readers of this layout look for the framework's name here
      for (key, value) in provenance { metadata[key] = value }
      try SafetensorsWriter.write(entries, metadata: metadata, into: file, monitor: monitor)
    }
    try checkpoint.requireIntact()
    files = folder.files.map { ExportedFile(name: $0.name, bytes: $0.byteCount) }
  }
  return files
}

/// The tensor as [inputs, outputs] in memory of its own, its mask burnt in.
private func transposed(_ tensor: MaskedTensor, as dtype: DType) -> MaskedTensor {
  let rowBytes = tensor.columns * dtype.blockBytes
  let storage = OwnedBytes(count: tensor.rows * rowBytes) { target in
    for row in 0..<tensor.rows {
      let place = UnsafeMutableRawBufferPointer(rebasing: target[row * rowBytes..<(row + 1) * rowBytes])
      if dtype == tensor.weights.dtype {
        place.copyBytes(from: tensor.storedBytes(rows: row..<row + 1))
      } else if let floats = place.baseAddress?.assumingMemoryBound(to: Float.self) {
        tensor.readRow(row, into: floats)
      }
    }
  }
  let view = TensorView(storage: storage, byteOffset: 0, dtype: dtype, shape: [tensor.rows, tensor.columns])
  guard let view = view?.transposed else { preconditionFailure("a matrix of a plain type can be transposed") }
  return MaskedTensor(weights: view)
}

/// Hands the rows of a tensor to `sink` in pieces of about a megabyte.
/// - Parameter offset: what is subtracted from every weight; 0 unless `dtype` is f32.
private func produce(
  _ tensor: MaskedTensor, as dtype: DType, subtracting offset: Float, into sink: SafetensorsEntry.Sink
) throws {
  let rows = max(1, (1 << 18) / tensor.columns)
  let asStored = dtype == tensor.weights.dtype && offset == 0
  let floats = asStored ? nil : FloatBuffer(count: rows * tensor.columns)
  for start in stride(from: 0, to: tensor.rows, by: rows) {
    let range = start..<min(tensor.rows, start + rows)
    if let floats {
      for row in range { tensor.readRow(row, into: floats.pointer + (row - start) * tensor.columns) }
      if offset != 0 { for index in 0..<range.count * tensor.columns { floats.pointer[index] -= offset } }
      try sink(
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(floats.values)[..<(range.count * tensor.columns * 4)]))
    } else {
      try tensor.storedBytes(rows: range).withUnsafeBytes(sink)
    }
  }
}
