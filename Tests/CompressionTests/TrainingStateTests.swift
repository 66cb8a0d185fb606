// Training that stops and goes on: through the file it comes to the same bits as without; other files are refused.

import Checkpoints
import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// A tensor of a file, to be changed.
struct StateTensor {
  var name: String
  var shape: [Int]
  var values: [Float]
}

@Suite struct TrainingStateTests {
  static func restored(
    _ path: String, _ family: TrainingFamily, options: TrainingOptions = TrainingFamily.options
  ) throws -> (trainer: Trainer, details: [String: String]) {
    try Trainer.restored(
      from: path, student: family.model.state, batch: TrainingFamily.batch, options: options, compute: Engine.compute)
  }

  /// Step `number` of a run whose data and rate change from step to step.
  static func step(_ trainer: Trainer, _ number: Int, _ family: TrainingFamily) throws -> StepReport {
    let schedule = try Schedule(.cosine, learningRate: 3e-3, steps: 20, warmupSteps: 3, minimum: 0.1)
    return try trainer.train(
      family.batches(shift: number) + family.batches(shift: 3 * number),
      learningRate: schedule.rate(atStep: number))
  }

  @Test(arguments: ["llama3", "gpt2"], [1, 10, 19])
  func trainStopGoOn(name: String, stop: Int) throws {
    let folder = TemporaryFolder(), path = folder.file("state")
    let family = try TrainingFamily(name, masked: true)
    let straight = try family.trainer()
    let reports = try (0..<20).map { try Self.step(straight, $0, family) }

    let first = try family.trainer()
    for number in 0..<stop { #expect(try Self.step(first, number, family) == reports[number]) }
    try first.save(to: path, details: ["position": "\(stop)", "Überschrift": "\"a\"\n"])
    #expect(TemporaryFolder.names(in: folder.path) == ["state"])

    let (second, details) = try Self.restored(path, try TrainingFamily(name, masked: true))
    #expect(details == ["position": "\(stop)", "Überschrift": "\"a\"\n"] && second.optimizer.steps == stop)
    #expect(Array(second.bits[..<3]) == Array(first.bits[..<3]))
    for number in stop..<20 { #expect(try Self.step(second, number, family) == reports[number]) }
    #expect(second.bits == straight.bits)
    TrainerTests.expectPrunedZero(second)
  }

  /// What is saved twice is saved alike, over the old file; a plain safetensors file that anybody can read.
  @Test func theFile() throws {
    let folder = TemporaryFolder()
    let family = try TrainingFamily("llama3", masked: true), trainer = try family.trainer()
    try trainer.train(family.batches())
    try trainer.save(to: folder.file("a"))
    let a = try #require(TemporaryFolder.read(folder.file("a")))
    try Self.restored(folder.file("a"), family).trainer.save(to: folder.write("b", [1, 2, 3]))
    #expect(TemporaryFolder.read(folder.file("b")) == a)
    let file = try SafetensorsFile(path: folder.file("a"))
    let names = Array(trainer.parameters.layout.entries.keys)
    let stored = Set(["weights.", "first.", "second."].flatMap { part in names.map { part + $0 } })
    #expect(Set(file.tensors.keys) == stored)
    #expect(file.metadata["format"] == "espalier-training" && file.metadata["steps"] == "1")
    let view = try #require(file.tensors["second.\(names[2])"])
    #expect(view.dtype == .f32 && view.shape == trainer.parameters.layout.entries[names[2]]?.shape)
    #expect(view.bytes.loadUnaligned(fromByteOffset: 8, as: Float.self) == trainer.optimizer.second[names[2]][2])
    // A folder that is not there: the old file of that name stays, no other appears.
    #expect(throws: CheckpointError.self) { try trainer.save(to: folder.file("a/b")) }
    #expect(TemporaryFolder.names(in: folder.path) == ["a", "b"] && TemporaryFolder.read(folder.file("a")) == a)
  }

  /// The file of a trainer again, changed on the way.
  static func rewritten(
    _ path: String, _ change: (inout [StateTensor], inout [String: String]) -> Void
  ) throws {
    let file = try SafetensorsFile(path: path)
    var metadata = file.metadata
    var tensors = file.tensors.map { name, view in
      let values = (0..<view.elementCount).map { view.bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
      return StateTensor(name: name, shape: view.shape, values: values)
    }
    change(&tensors, &metadata)
    let entries = tensors.map { tensor in
      SafetensorsEntry(
        name: tensor.name, dtype: .f32, shape: tensor.shape, bytes: tensor.values.withUnsafeBytes(Array.init))
    }
    try SafetensorsWriter.write(entries, metadata: metadata, to: path)
  }

  typealias Change = @Sendable (inout [StateTensor], inout [String: String]) -> Void
  static let up = "model.layers.0.mlp.up_proj.weight"

  /// Changes the tensor of a name in its place.
  static func changing(
    _ name: String, _ body: @escaping @Sendable (inout StateTensor) -> Void
  ) -> Change {
    { tensors, _ in
      for index in tensors.indices where tensors[index].name == name { body(&tensors[index]) }
    }
  }

  struct Misfit: Sendable, CustomTestStringConvertible {
    /// Of the message.
    let words: String
    let change: Change
    var testDescription: String { words }

    init(_ words: String, _ change: @escaping Change) { (self.words, self.change) = (words, change) }

    /// Another value, or none, in the metadata.
    init(_ words: String, _ key: String, _ value: String?) {
      self.init(words) { _, metadata in metadata[key] = value }
    }
  }

  static let misfits: [Misfit] = [
    Misfit("format is not given", "format", nil), Misfit("format is pt", "format", "pt"),
    Misfit("version is 2", "version", "2"), Misfit("layout is sha256:0", "layout", "sha256:0"),
    Misfit("masks is sha256:0", "masks", "sha256:0"), Misfit("beta2 is 0.9, expected 0.95", "beta2", "0.9"),
    Misfit("maximumNorm is none", "maximumNorm", "none"), Misfit("steps are not given", "steps", nil),
    Misfit("steps are -1", "steps", "-1"), Misfit("steps are 1e3", "steps", "1e3"),
    Misfit("steps are 99999999999", "steps", "99999999999"),
    Misfit("tensors, expected") { tensors, _ in tensors.removeLast() },
    Misfit("tensors, expected") { tensors, _ in tensors.append(StateTensor(name: "more", shape: [1], values: [0])) },
    Misfit("it has no \"first.\(up)\"", changing("first.\(up)") { $0.name = "third.\(up)" }),
    Misfit("of shape", changing("weights.\(up)") { $0.shape.reverse() }),
    Misfit("\"weights.\(up)\" holds values that are not finite", changing("weights.\(up)") { $0.values[5] = .nan }),
    Misfit("\"first.\(up)\" holds values that are not finite", changing("first.\(up)") { $0.values[5] = -.infinity }),
    Misfit("\"second.\(up)\" holds means of squares below zero", changing("second.\(up)") { $0.values[7] = -1e-9 }),
    Misfit(
      "holds a pruned weight that is not zero",
      changing("weights.\(up)") { tensor in tensor.values = tensor.values.map { $0 == 0 ? 1e-9 : $0 } }),
  ]

  @Test(arguments: misfits)
  func filesThatDoNotFit(misfit: Misfit) throws {
    let folder = TemporaryFolder(), path = folder.file("state")
    let family = try TrainingFamily("llama3", masked: true), trainer = try family.trainer()
    try trainer.train(family.batches())
    try trainer.save(to: path)
    _ = try Self.restored(path, family)
    try Self.rewritten(path, misfit.change)
    let error = try #require(throws: TrainingError.self) { try Self.restored(path, family) }
    #expect(error.kind == "trainingStateMismatch" && error.message.contains(misfit.words), "\(error.message)")
    #expect(error.message.contains(path))
  }

  @Test func trainingsOfOthers() throws {
    let folder = TemporaryFolder(), path = folder.file("state")
    let family = try TrainingFamily("llama3", masked: true)
    try family.trainer().save(to: path)
    func refusal(_ family: TrainingFamily, options: TrainingOptions = TrainingFamily.options) -> String {
      do {
        _ = try Self.restored(path, family, options: options)
        return "none"
      } catch { return (error as? TrainingError)?.message ?? "\(error)" }
    }
    #expect(refusal(family) == "none")
    #expect(refusal(try TrainingFamily("llama3")).contains("its masks"))
    #expect(refusal(try TrainingFamily("qwen3", masked: true)).contains("its layout"))
    var options = TrainingFamily.options
    options.optimizer.weightDecay = 0
    #expect(refusal(family, options: options).contains("its weightDecay is 0.1, expected 0.0"))
    options = TrainingFamily.options
    options.optimizer.maximumNorm = nil
    #expect(refusal(family, options: options).contains("expected none"))
  }

  @Test func brokenFiles() throws {
    let folder = TemporaryFolder(), path = folder.file("state")
    let family = try TrainingFamily("llama3", masked: true)
    try family.trainer().save(to: path)
    let whole = try #require(TemporaryFolder.read(path))
    for length in [0, 7, 8, 100, whole.count / 2, whole.count - 1] {
      let cut = folder.write("cut", Array(whole[..<length]))
      let error = try #require(throws: CheckpointError.self) { try Self.restored(cut, family) }
      #expect(error.kind == "invalidSafetensors", "\(length) bytes")
    }
    let weights = TestModel.path(tiny: "llama3") + "/model.safetensors"
    let foreign = try #require(throws: TrainingError.self) { try Self.restored(weights, family) }
    #expect(foreign.kind == "trainingStateMismatch")
    let missing = try #require(throws: CheckpointError.self) { try Self.restored(folder.file("nowhere"), family) }
    #expect(missing.kind == "fileNotFound")
  }

  @Test func cancelledSaveLeavesTheOldFile() throws {
    let folder = TemporaryFolder(), path = folder.write("state", [1, 2, 3])
    let trainer = try TrainingFamily("llama3").trainer(), cancellation = Cancellation()
    cancellation.cancel()
    #expect(throws: Cancelled.self) { try trainer.save(to: path, monitor: Monitor(cancellation: cancellation)) }
    #expect(TemporaryFolder.read(path) == [1, 2, 3] && TemporaryFolder.names(in: folder.path) == ["state"])
  }
}
