// The bundled feature objectives against their definitions in double, and what holds whatever the features are.

import Compression
import Foundation
import PluginHost
import TestSupport
import Tensors
import Testing

@Suite struct FeatureGoldenTests {
  static let names = ObjectiveGolden.names("feature")

  /// `feature/ID/PARAMETERS/CASE`, and the second call where there is one.
  static func call(_ name: String) throws -> (Slope, again: Slope?) {
    let parts = name.split(separator: "/")
    let id = String(parts[1]), settings = ObjectiveGolden.settings(parts[2])
    var batch = try FeatureBatch(golden: String(parts[3]))
    let slope = try batch.compare(id, settings)
    guard id == "contrastive-memory" else { return (slope, nil) }
    var reversed = batch.reversed
    return (slope, try reversed.compare(id, settings))
  }

  @Test func thereAreAsManyAsTheScriptHas() {
    #expect(Self.names.count == 38)
    #expect(Set(Self.names.map { $0.split(separator: "/")[1] }).count == 6)
  }

  @Test(arguments: names)
  func lossAndGradientAreThoseOfTheDefinition(name: String) throws {
    let (slope, again) = try Self.call(name)
    let wrong = try slope.difference(from: name)
    #expect(wrong == nil, "\(wrong ?? "")")
    if let again {
      let wrong = try again.difference(from: name + "/again")
      #expect(wrong == nil, "\(wrong ?? "")")
    }
  }

  @Test(arguments: names.filter { $0.hasSuffix("/same") && !$0.contains("contrastive") })
  func theComparisonCanFail(name: String) throws {
    let slope = try Self.call(name).0
    let scale = max(1, Float(slope.loss), slope.gradient.map(abs).max() ?? 0)
    var wrong = slope
    wrong.loss += 1e-5 * Double(scale)
    #expect(try wrong.difference(from: name) != nil)
    wrong = slope
    wrong.gradient[slope.gradient.count / 2] += 1e-5 * scale
    #expect(try wrong.difference(from: name) != nil)
  }

  static func batch(_ lengths: [Int], width: Int, seed: UInt64, noise: Float = 0.3) -> FeatureBatch {
    var random = Seeded(seed)
    let count = lengths.reduce(0, +) * width
    let teacher = random.floats(count)
    let student = zip(teacher, random.floats(count)).map { $0 + noise * $1 }
    return FeatureBatch(student: student, teacher: teacher, widths: (width, width), lengths: lengths, heads: 2)
  }

  static let distances = ["hidden-cosine", "hidden-mse", "attention-relation", "feature-map"]
  static let all = distances + ["info-nce", "contrastive-memory"]

  @Test(arguments: distances)
  func equalsAreNoLoss(id: String) throws {
    var batch = Self.batch([30, 17], width: 16, seed: 1, noise: 0)
    let slope = try batch.compare(id)
    #expect(abs(slope.loss) < 1e-6)
    #expect(slope.gradient.allSatisfy { abs($0) < 1e-6 })
    batch = Self.batch([30, 17], width: 16, seed: 1)
    #expect(try batch.compare(id).loss > 1e-3)
  }

  /// Relations see no rotation, of all channels or of a head's.
  @Test(arguments: ["attention-relation", "feature-map"])
  func relationsSeeNoRotation(id: String) throws {
    var batch = Self.batch([25], width: 4, seed: 2, noise: 0)
    for row in 0..<25 {
      let (x, y) = (batch.teacher[4 * row], batch.teacher[4 * row + 1])
      batch.student[4 * row] = 0.6 * x - 0.8 * y
      batch.student[4 * row + 1] = 0.8 * x + 0.6 * y
    }
    #expect(try batch.compare(id).loss < 1e-6)
    #expect(try batch.compare("hidden-mse").loss > 1)
  }

  /// What does not count has no say and no gradient, but as what others look at.
  @Test(arguments: all)
  func whatDoesNotCountHasNoSay(id: String) throws {
    let settings = id == "attention-relation" ? ["causal": "true"] : [:]
    var batch = Self.batch([12, 9], width: 8, seed: 3)
    if id == "contrastive-memory" { _ = try batch.compare(id, settings) }
    // The last ones of each sequence: under a causal mask nobody else sees them.
    for row in [9, 10, 11, 19, 20] { batch.counted[row] = 0 }
    let memory = batch.memory
    let slope = try batch.compare(id, settings)
    for row in [9, 10, 11, 19, 20] {
      #expect(slope.gradient[row * 8..<(row + 1) * 8].allSatisfy { $0 == 0 })
      for j in 0..<8 {
        batch.student[row * 8 + j] += 5
        batch.teacher[row * 8 + j] -= Float(j)
      }
    }
    batch.memory = memory
    #expect(try batch.compare(id, settings) == slope)
    #expect(slope.loss > 0)
  }

  @Test func aPromptIsSeenByWhatFollows() throws {
    var batch = Self.batch([8], width: 8, seed: 4)
    for row in 0..<3 { batch.counted[row] = 0 }
    let slope = try batch.compare("attention-relation")
    #expect(slope.gradient[0..<24].contains { abs($0) > 1e-4 })
    batch.counted = [UInt8](repeating: 0, count: 8)
    #expect(try batch.compare("attention-relation") == Slope(loss: 0, gradient: [Float](repeating: 0, count: 64)))
  }

  /// Sequences have nothing to do with each other, but for contrastive losses.
  @Test(arguments: distances)
  func lossesOfSequencesAddUp(id: String) throws {
    var both = Self.batch([13, 6], width: 8, seed: 5)
    var first = both, second = both
    first.student = Array(both.student[..<104])
    first.teacher = Array(both.teacher[..<104])
    (first.lengths, first.counted) = ([13], [UInt8](repeating: 1, count: 13))
    second.student = Array(both.student[104...])
    second.teacher = Array(both.teacher[104...])
    (second.lengths, second.counted) = ([6], [UInt8](repeating: 1, count: 6))
    let whole = try both.compare(id), parts = try [first.compare(id), second.compare(id)]
    #expect(abs(whole.loss - parts[0].loss - parts[1].loss) < 1e-9)
    #expect(whole.gradient == parts[0].gradient + parts[1].gradient)
  }

  @Test(arguments: all)
  func theBitsDoNotDependOnTheThreads(id: String) throws {
    let serial = PluginRegistry(services: .backwards)
    try serial.load(path: ObjectiveGolden.registry().describe(id: id).path)
    var batch = Self.batch([40, 33, 20], width: 24, seed: 6)
    _ = try batch.compare(id)
    var copy = batch
    #expect(try batch.compare(id) == copy.compare(id, registry: serial))
    #expect(batch.memory == copy.memory)
  }

  @Test(arguments: distances)
  func theySayWhenTheyAreCancelled(id: String) throws {
    let cancellation = Cancellation()
    let registry = PluginRegistry(services: .cancelling(cancellation))
    try registry.load(path: ObjectiveGolden.registry().describe(id: id).path)
    var batch = Self.batch([4, 3], width: 8, seed: 7)
    #expect(throws: Cancelled.self) {
      try batch.compare(id, registry: registry, monitor: Monitor(cancellation: cancellation))
    }
  }

  @Test func statesOfZeroAreSaid() throws {
    var batch = Self.batch([5], width: 8, seed: 8)
    for j in 8..<16 { batch.student[j] = 0 }
    let diagnostics = Diagnostics()
    let slope = try batch.compare("hidden-cosine", diagnostics: diagnostics)
    #expect(slope.gradient[8..<16].allSatisfy { $0 == 0 })
    #expect(diagnostics.all.kept.map(\.kind) == ["zeroFeatures"])
    #expect(diagnostics.all.kept.first?.message.contains("1 positions") == true)
  }

  @Test func headsMustDivideBothWidths() throws {
    var batch = Self.batch([5], width: 8, seed: 9)
    do {
      _ = try batch.compare("attention-relation", ["heads": "3"])
      Issue.record("accepted")
    } catch PluginError.failed("attention-relation", _, 2, let message) {
      #expect(message.hasPrefix("3 heads do not divide the widths 8 (student) and 8 (teacher)"))
    }
  }

  // MARK: Contrastive

  @Test func oneSequenceHasNothingToTellApart() throws {
    var batch = Self.batch([9], width: 8, seed: 10)
    let diagnostics = Diagnostics()
    let slope = try batch.compare("info-nce", diagnostics: diagnostics)
    #expect(slope.loss == 0 && slope.gradient.allSatisfy { abs($0) < 1e-6 })
    #expect(diagnostics.all.kept.map(\.kind) == ["oneSequence"])
  }

  @Test func aMemoryFillsAndForgetsTheOldest() throws {
    let settings = ["bank": "4", "tau": "0.5"]
    var batch = Self.batch([3, 3, 3], width: 6, seed: 11)
    let diagnostics = Diagnostics()
    #expect(try batch.compare("contrastive-memory", settings, diagnostics: diagnostics).loss == 0)
    #expect(diagnostics.all.kept.map(\.kind) == ["memoryEmpty"])
    #expect(batch.memory.count == 2 + 4 * 6)
    #expect(batch.memory[0] == 3 && batch.memory[1] == 3)
    let first = Array(batch.memory[2..<20])
    // As many again: the first two of them are overwritten, after the fourth place is taken.
    batch.teacher.reverse()
    #expect(try batch.compare("contrastive-memory", settings).loss > 0)
    #expect(batch.memory[0] == 4 && batch.memory[1] == 2)
    #expect(Array(batch.memory[14..<20]) == Array(first[12..<18]))
    #expect(Array(batch.memory[2..<8]) != Array(first[..<6]))
    for slot in 0..<4 {
      let squares = batch.memory[2 + 6 * slot..<8 + 6 * slot].reduce(0) { $0 + $1 * $1 }
      #expect(abs(squares - 1) < 1e-6)
    }
    batch.memory[0] = 9
    #expect(throws: PluginError.self) { try batch.compare("contrastive-memory", settings) }
  }

  @Test func aBankThatNobodyHasRoomForIsRefused() throws {
    let objective = try ObjectiveGolden.registry().featureObjective(id: "contrastive-memory")
    let parameters = try ObjectiveGolden.values(objective.description.method, ["bank": "65536"])
    #expect(throws: PluginError.self) {
      try objective.memoryCount(parameters: parameters, studentWidth: 8192, teacherWidth: 8192)
    }
    #expect(
      try objective.memoryCount(parameters: parameters, studentWidth: 576, teacherWidth: 576) == 2 + 65536 * 576)
  }

  @Test func whatTheyNeedIsDescribed() throws {
    let registry = try ObjectiveGolden.registry()
    let perSequence = try Self.all.filter { try registry.featureObjective(id: $0).description.isPerSequence }
    #expect(perSequence == ["feature-map", "info-nce", "contrastive-memory"])
    let sameWidth = try Self.all.filter { try registry.featureObjective(id: $0).description.needsSameWidth }
    #expect(sameWidth == ["hidden-cosine", "hidden-mse", "info-nce", "contrastive-memory"])
  }
}
