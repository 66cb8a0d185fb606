// A run on disk: training.safetensors (weights, moments, projections, memories, and how far it is) beside the caller's own
// state, in a folder of its own (RunFolder.swift).

import Checkpoints
package import JSON
import OrderedCollections
package import Tensors
import Transformers
import Workspace

extension DistillationRun {
  private enum Key {
    static let steps = "runSteps", tokens = "tokens", recentLoss = "recentLoss", recentSteps = "recentSteps"
    static let dataset = "dataset", teacher = "teacher", validationDataset = "validationDataset"
    static let ownTextShare = "ownTextShare", ownTextLevel = "ownTextLevel"
    static let validationStep = "validationStep", validationLoss = "validationLoss"
    static let validationKL = "validationKL", validationSame = "validationSameTopToken"
  }

  /// All beside weights and moments, in an order of its own.
  private func extra(_ ownTexts: FloatBuffer?) -> [ExtraState] {
    var extra = memories.sorted { $0.key < $1.key }.map { ExtraState(name: "memory.\($0.key)", values: $0.value) }
    if let companion = projections.companion {
      extra += [
        ExtraState(name: "companion.weights", values: companion.parameters.block.values),
        ExtraState(name: "companion.first", values: companion.optimizer.first.values),
        ExtraState(name: "companion.second", values: companion.optimizer.second.values),
      ]
    }
    if let ownTexts { extra.append(ExtraState(name: "ownTexts", values: ownTexts)) }
    return extra
  }

  /// What the student wrote, if it is remembered.
  private var ownTexts: FloatBuffer? {
    options.onPolicy?.adaptation.map { ownText.floats(memory: $0.memory, width: largest.length) }
  }

  /// What validations found and made of the run.
  private var validationDetails: OrderedDictionary<String, String> {
    var details: OrderedDictionary<String, String> = [:]
    details[Key.validationDataset] = options.validation?.dataset.digest
    details[Key.validationStep] = validation.map { "\($0.step)" }
    details[Key.validationLoss] = validation.map { "\($0.loss)" }
    details[Key.validationKL] = validation?.meanKL.map { "\($0)" }
    details[Key.validationSame] = validation?.sameTopToken.map { "\($0)" }
    if options.onPolicy?.adaptation != nil {
      details[Key.ownTextShare] = "\(ownText.share)"
      details[Key.ownTextLevel] = ownText.level.map { "\($0)" }
    }
    return details
  }

  /// Writes the run to the folder `path`; a run that is there already is replaced at one stroke, and nothing else is.
  /// - Parameter state: the caller's own, which comes back from `RunFolder.state`.
  /// - Returns: the bytes of its files.
  /// - Throws: `CheckpointError` if the folder cannot be written, `Cancelled`; what was there is then intact.
  package func save(to path: String, state: JSONObject, monitor: Monitor) throws -> Int {
    var bytes = 0
    var details: OrderedDictionary = [
      Key.steps: "\(steps)", Key.tokens: "\(tokens)", Key.recentLoss: "\(recentLoss.sum)",
      Key.recentSteps: "\(recentLoss.steps)", Key.dataset: dataset.digest,
    ]
    details[Key.teacher] = try teacherDigest(monitor)
    details.merge(validationDetails) { $1 }
    let extra = extra(ownTexts)
    try AtomicFolder.write(to: path, replacing: RunFolder.isReplaceable(path)) { folder in
      try folder.write(RunFolder.training) {
        try trainer.save(into: $0, extra: extra, details: details, monitor: monitor)
      }
      try folder.write(RunFolder.state) { try $0.write(JSON.object(state).prettyPrinted() + [0x0a]) }
      let digests = try RunFolder.digests(in: folder.temporary, monitor: monitor)
      try folder.write(RunFolder.done) { try $0.write(JSON.object(digests).prettyPrinted() + [0x0a]) }
      bytes = folder.files.reduce(0) { $0 + $1.byteCount }
    }
    return bytes
  }

  /// Goes to where the run was when it was saved to `path`. The run is a new one of the same plan, on the same student,
  /// teacher and data; from there on it gives the same bits as the saved one.
  /// - Throws: `CheckpointError` if the file is not sound; `TrainingError.stateMismatch` if it is of something else. The run
  ///   is then of no use.
  package func restore(from path: String, monitor: Monitor = Monitor()) throws {
    let texts = ownTexts
    let (trainer, details) = try trainer.restored(
      from: path + "/" + RunFolder.training, student: student, extra: extra(texts))
    func mismatch(_ reason: String) -> TrainingError { .stateMismatch(path: path, reason: reason) }
    guard details[Key.dataset] == dataset.digest else {
      throw mismatch("its dataset is \(details[Key.dataset] ?? "not given"), not \(dataset.digest)")
    }
    guard details[Key.teacher] == (try teacherDigest(monitor)) else {
      throw mismatch("it had another teacher: the weights are not those that it learned from")
    }
    guard let tokens = details[Key.tokens].flatMap({ Int($0) }), (0...1 << 60).contains(tokens),
      let steps = details[Key.steps].flatMap({ Int($0) }), (0...trainer.optimizer.steps).contains(steps),
      let sum = details[Key.recentLoss].flatMap({ Double($0) }), sum.isFinite,
      let count = details[Key.recentSteps].flatMap({ Int($0) }), (0...trainer.optimizer.steps).contains(count)
    else { throw mismatch("its details are no run's") }
    guard details[Key.validationDataset] == options.validation?.dataset.digest else {
      throw mismatch(
        "it was validated on \(details[Key.validationDataset] ?? "nothing"), not on "
          + (options.validation?.dataset.digest ?? "nothing"))
    }
    guard let (ownText, validation) = restored(texts, details, steps: steps) else {
      throw mismatch("what validations made of it is no run's")
    }
    try RunFolder.verify(path, monitor: monitor)
    projections.companion?.optimizer.restore(steps: trainer.optimizer.steps)
    restore(
      trainer, steps: steps, tokens: tokens, recentLoss: RecentLoss(sum: sum, steps: count), ownText: ownText,
      validation: validation)
  }

  /// The student's own text and the last validation, as `validationDetails` has them; nil if they are none.
  private func restored(
    _ texts: FloatBuffer?, _ details: [String: String], steps: Int
  ) -> (OwnText, Validation?)? {
    func number(_ key: String, in range: ClosedRange<Double>) -> Double? {
      details[key].flatMap(Double.init).flatMap { range.contains($0) ? $0 : nil }
    }
    let losses = 0...Double.greatestFiniteMagnitude
    var ownText = OwnText(share: options.onPolicy?.fraction ?? 0)
    if let adaptation = options.onPolicy?.adaptation, let texts {
      guard let share = number(Key.ownTextShare, in: 0...1),
        let written = OwnText.texts(
          texts, memory: adaptation.memory, width: largest.length,
          vocabulary: student.transformer.shape.vocabularySize)
      else { return nil }
      ownText = OwnText(share: share, level: number(Key.ownTextLevel, in: losses), texts: written)
    }
    guard options.validation != nil, let text = details[Key.validationStep] else { return (ownText, nil) }
    guard let step = Int(text), (0...steps).contains(step), let loss = number(Key.validationLoss, in: losses)
    else { return nil }
    let validation = Validation(
      step: step, loss: loss, meanKL: number(Key.validationKL, in: losses),
      sameTopToken: number(Key.validationSame, in: 0...1),
      ownTextShare: options.onPolicy?.adaptation == nil ? nil : ownText.share)
    return (ownText, validation)
  }
}
