// A training on disk: a safetensors file with the weights and both moments of every tensor in fp32; the metadata say
// how many steps made them, with which optimiser, and for which layout and masks. What is trained or remembered beside
// the student goes along. Going on from it gives the same bits as never having stopped.

import Checkpoints
package import OrderedCollections
package import Tensors
package import Transformers
import Workspace

/// The format: tensors `weights.NAME`, `first.NAME` and `second.NAME` for every tensor of the layout.
private enum TrainingFile {
  static let format = "espalier-training"
  static let version = "1"
  /// What keys of the caller's own details begin with.
  static let details = "details."

  /// Everything in the metadata that must be the same in whoever goes on.
  static func identity(_ parameters: Parameters, _ options: AdamWOptions) -> OrderedDictionary<String, String> {
    [
      "format": format, "version": version, "layout": layoutDigest(parameters.layout),
      "masks": maskDigest(parameters), "optimizer": "adamw", "beta1": "\(options.beta1)", "beta2": "\(options.beta2)",
      "epsilon": "\(options.epsilon)", "weightDecay": "\(options.weightDecay)",
      "maximumNorm": options.maximumNorm.map { "\($0)" } ?? "none",
    ]
  }

  /// Over the names and shapes, in order.
  private static func layoutDigest(_ layout: ParameterLayout) -> String {
    let text = layout.entries.map { name, entry in "\(name) \(entry.shape)\n" }.joined()
    return Array(text.utf8).withUnsafeBytes(sha256)
  }

  /// Over the name and the bits of every mask, in the layout's order.
  private static func maskDigest(_ parameters: Parameters) -> String {
    var bytes: [UInt8] = []
    for name in parameters.layout.entries.keys {
      guard let mask = parameters.masks[name] else { continue }
      bytes += Array("\(name) \([mask.rows, mask.columns])\n".utf8) + mask.bytes
    }
    return bytes.withUnsafeBytes(sha256)
  }

  static func parts(_ parameters: Parameters, _ optimizer: AdamW) -> [(prefix: String, block: ParameterBlock)] {
    [("weights.", parameters.block), ("first.", optimizer.first), ("second.", optimizer.second)]
  }
}

/// Floats that belong to a training beside weights and moments, under a name of their own.
struct ExtraState {
  let name: String
  let values: FloatBuffer
}

extension Trainer {
  /// Writes all that going on needs to a file at `path`, whole or not at all.
  /// - Parameter details: of the caller's own: where in the data and the schedule it is. They come back as they are.
  /// - Throws: `CheckpointError` if the file cannot be written, `Cancelled`; an old file is then intact.
  package func save(
    to path: String, details: OrderedDictionary<String, String> = [:], monitor: Monitor = Monitor()
  ) throws {
    try AtomicFile.write(to: path) { try save(into: $0, details: details, monitor: monitor) }
  }

  /// The same into an open file, with more beside it.
  func save(
    into file: OutputFile, extra: [ExtraState] = [], details: OrderedDictionary<String, String>, monitor: Monitor
  ) throws {
    var metadata = ["steps": "\(optimizer.steps)"]
    for (key, value) in TrainingFile.identity(parameters, optimizer.options) { metadata[key] = value }
    for (key, value) in details { metadata[TrainingFile.details + key] = value }
    let entries = TrainingFile.parts(parameters, optimizer).flatMap { prefix, block in
      block.layout.entries.map { name, entry in
        SafetensorsEntry(name: prefix + name, dtype: .f32, shape: entry.shape) { sink in
          try sink(UnsafeRawBufferPointer(UnsafeBufferPointer(start: block[name], count: entry.count)))
        }
      }
    } + extra.map { extra in
      SafetensorsEntry(name: extra.name, dtype: .f32, shape: [extra.values.count]) { sink in
        try sink(UnsafeRawBufferPointer(extra.values.readOnly))
      }
    }
    try SafetensorsWriter.write(entries, metadata: metadata, into: file, monitor: monitor)
  }

  /// The training that `save` wrote to `path`. `student` gives the arithmetic and the masks; its weights are not used.
  /// - Throws: `CheckpointError` if the file is not sound; `TrainingError.stateMismatch` if it is of something else, of
  ///   another model, of other masks or options, or holds numbers that no training leaves behind.
  package static func restored(
    from path: String, student: ModelState, batch: Batch, options: TrainingOptions = TrainingOptions(),
    compute: Compute
  ) throws -> (trainer: Trainer, details: [String: String]) {
    let trainer = Trainer(student, batch: batch, options: options, compute: compute)
    return try trainer.restored(from: path, student: student, extra: [])
  }

  /// A trainer like this one where `path` has it; `extra` is filled with what was saved of it.
  func restored(
    from path: String, student: ModelState, extra: [ExtraState]
  ) throws -> (trainer: Trainer, details: [String: String]) {
    let file = try SafetensorsFile(path: path)
    let parameters = Parameters(student.transformer, copying: student.revision, pool: compute.pool)
    let reader = StateReader(path: path, file: file, parameters: parameters, compute: compute)
    let steps = try reader.checkedSteps(options.optimizer)
    let optimizer = AdamW(restoring: parameters.layout, options.optimizer, steps: steps)
    try reader.read(into: optimizer, extra: extra)
    return (with(parameters, optimizer), reader.details)
  }
}

/// Reads a state of which nothing is believed.
private struct StateReader {
  let path: String
  let file: SafetensorsFile
  let parameters: Parameters
  let compute: Compute

  private func mismatch(_ reason: String) -> TrainingError { .stateMismatch(path: path, reason: reason) }

  var details: [String: String] {
    var details: [String: String] = [:]
    for (key, value) in file.metadata where key.hasPrefix(TrainingFile.details) {
      details[String(key.dropFirst(TrainingFile.details.count))] = value
    }
    return details
  }

  /// The count of steps, once the metadata are known to be those of this training.
  func checkedSteps(_ options: AdamWOptions) throws(TrainingError) -> Int {
    for (key, expected) in TrainingFile.identity(parameters, options) where file.metadata[key] != expected {
      throw mismatch("its \(key) is \(file.metadata[key] ?? "not given"), expected \(expected)")
    }
    guard let steps = file.metadata["steps"].flatMap({ Int($0) }), (0...Int(Int32.max)).contains(steps) else {
      throw mismatch("its steps are \(file.metadata["steps"] ?? "not given"), expected a count")
    }
    return steps
  }

  /// Fills weights and moments, and checks every value.
  func read(into optimizer: AdamW, extra: [ExtraState]) throws(TrainingError) {
    let parts = TrainingFile.parts(parameters, optimizer)
    let expected = parts.count * parameters.layout.entries.count + extra.count
    guard file.tensors.count == expected else {
      throw mismatch("it holds \(file.tensors.count) tensors, expected \(expected)")
    }
    for (prefix, block) in parts {
      for (name, entry) in parameters.layout.entries {
        try fill(block[name], shape: entry.shape, from: prefix + name)
        if let fault = fault(block[name], entry, mask: parameters.masks[name], isSquare: block === optimizer.second) {
          throw mismatch("its \"\(prefix)\(name)\" holds \(fault)")
        }
      }
    }
    for extra in extra {
      try fill(extra.values.pointer, shape: [extra.values.count], from: extra.name)
      guard compute.sumOfSquares(extra.values.pointer, count: extra.values.count).isFinite else {
        throw mismatch("its \"\(extra.name)\" holds values that are not finite")
      }
    }
    guard file.tensors.values.allSatisfy(\.storage.isIntact) else { throw mismatch("it was cut off meanwhile") }
  }

  /// Copies a tensor of the file to `values`.
  private func fill(_ values: UnsafeMutablePointer<Float>, shape: [Int], from name: String) throws(TrainingError) {
    guard let view = file.tensors[name] else { throw mismatch("it has no \"\(name)\"") }
    guard view.dtype == .f32, view.shape == shape, let source = view.bytes.baseAddress else {
      throw mismatch("its \"\(name)\" is \(view.dtype) of shape \(view.shape), expected f32 of shape \(shape)")
    }
    UnsafeMutableRawPointer(values).copyMemory(from: source, byteCount: view.byteCount)
  }

  /// What values of a training never are.
  private func fault(
    _ values: UnsafePointer<Float>, _ entry: ParameterLayout.Entry, mask: MaskBits?, isSquare: Bool
  ) -> String? {
    guard compute.sumOfSquares(values, count: entry.count).isFinite else { return "values that are not finite" }
    if isSquare, UnsafeBufferPointer(start: values, count: entry.count).contains(where: { $0 < 0 }) {
      return "means of squares below zero"
    }
    guard let mask else { return nil }
    for row in 0..<mask.rows {
      for column in 0..<mask.columns where !mask.isKept(row: row, column: column) {
        if values[row * mask.columns + column] != 0 { return "a pruned weight that is not zero" }
      }
    }
    return nil
  }
}
