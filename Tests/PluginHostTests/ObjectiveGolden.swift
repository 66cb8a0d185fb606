// objectives.golden.safetensors as the tests use it: predictions and features, and calls of the bundled objectives.

import Compression
import Foundation
import PluginHost
import TestSupport
import Tensors
import Testing

/// The golden that objective_goldens.py wrote; that script says what the names mean.
enum ObjectiveGolden {
  private static let loaded = Result {
    try Golden(Repository.goldens(of: "PluginHostTests") + "/objectives.golden.safetensors")
  }
  static func load() throws -> Golden { try loaded.get() }

  private static let bundled = Result { try BundledPluginTests.registry() }
  /// The bundled plugins, loaded once.
  static func registry() throws -> PluginRegistry { try bundled.get() }

  /// Every expectation of `kind` (objective, feature): `objective/jensen-shannon/beta=0.5/small`.
  static func names(_ kind: String) -> [String] {
    ((try? load().names) ?? []).filter { $0.hasPrefix(kind + "/") && $0.hasSuffix("/loss") && !$0.contains("/again/") }
      .map { String($0.dropLast("/loss".count)) }.sorted()
  }

  /// `beta=0.5,scaled=true`, or `-` for nothing.
  static func settings(_ text: Substring) -> [String: String] {
    let pairs = text == "-" ? [] : text.split(separator: ",").map { $0.split(separator: "=") }
    return Dictionary(uniqueKeysWithValues: pairs.map { (String($0[0]), String($0[1])) })
  }

  static func values(_ method: MethodDescription, _ settings: [String: String]) throws -> [ParameterValue] {
    for name in settings.keys { #expect(method.parameters.contains { $0.name == name }, "\(name) is no parameter") }
    return try method.parameters.map { parameter in
      let text = settings[parameter.name]
      switch parameter.kind {
      case .integer: return text.flatMap(Int64.init).map(ParameterValue.integer) ?? parameter.defaultValue
      case .boolean: return text.flatMap(Bool.init).map(ParameterValue.boolean) ?? parameter.defaultValue
      default: return try parameter.value(text)
      }
    }
  }
}

/// A loss and its gradient.
struct Slope: Equatable {
  var loss: Double
  var gradient: [Float]
}

/// What student and teacher expect, from logits in double; each probability and logarithm rounded once.
struct Expectation {
  var student: [Double]
  var teacher: [Double]
  var target = 0
  var seed: UInt64 = 20_261_121
  var hasTeacher = true

  init(student: [Double], teacher: [Double], target: Int = 0) {
    self.student = student
    self.teacher = teacher
    self.target = target
  }

  init(golden name: String) throws {
    let golden = try ObjectiveGolden.load()
    student = try golden.numbers("predictions/\(name)/student").values
    teacher = try golden.numbers("predictions/\(name)/teacher").values
    target = try Int(golden.numbers("predictions/\(name)/target").values[0])
  }

  static func logSoftmax(_ logits: [Double]) -> [Double] {
    let largest = logits.max() ?? 0
    let sum = logits.reduce(0) { $0 + exp($1 - largest) }
    return logits.map { $0 - largest - log(sum) }
  }

  func evaluate(
    _ id: String, _ settings: [String: String] = [:], registry: PluginRegistry? = nil
  ) throws -> Slope {
    let objective = try (registry ?? ObjectiveGolden.registry()).objective(id: id)
    let logs = [student, teacher].map { FloatBuffer(Self.logSoftmax($0).map { Float($0) }) }
    let plain = [student, teacher].map { FloatBuffer(Self.logSoftmax($0).map { Float(exp($0)) }) }
    let sides = zip(logs, plain).map {
      Prediction.Distribution(logProbabilities: $0.pointer, probabilities: $1.pointer)
    }
    let prediction = Prediction(
      vocabulary: student.count, target: target, student: sides[0], teacher: hasTeacher ? sides[1] : nil, seed: seed)
    var gradient = [Float](repeating: .nan, count: student.count)
    let loss = try withExtendedLifetime((logs, plain)) {
      try gradient.withUnsafeMutableBufferPointer { gradient in
        try objective.evaluate(
          prediction, parameters: ObjectiveGolden.values(objective.description.method, settings),
          gradient: #require(gradient.baseAddress), monitor: Monitor(), diagnostics: Diagnostics())
      }
    }
    return Slope(loss: loss, gradient: gradient)
  }
}

/// Features of student and teacher, owned.
struct FeatureBatch {
  var student: [Float]
  var teacher: [Float]
  var widths: (student: Int, teacher: Int)
  var lengths: [Int]
  var heads = 1
  var counted: [UInt8]
  var memory: [Float] = []

  init(student: [Float], teacher: [Float], widths: (student: Int, teacher: Int), lengths: [Int], heads: Int = 1) {
    self.student = student
    self.teacher = teacher
    self.widths = widths
    self.lengths = lengths
    self.heads = heads
    counted = [UInt8](repeating: 1, count: lengths.reduce(0, +))
  }

  init(golden name: String) throws {
    let golden = try ObjectiveGolden.load()
    let student = try golden.numbers("features/\(name)/student")
    let teacher = try golden.numbers("features/\(name)/teacher")
    self.init(
      student: student.values.map(Float.init), teacher: teacher.values.map(Float.init),
      widths: (student.shape[1], teacher.shape[1]),
      lengths: try golden.numbers("features/\(name)/lengths").values.map { Int($0) },
      heads: try Int(golden.numbers("features/\(name)/heads").values[0]))
    counted = try golden.numbers("features/\(name)/counted").values.map { UInt8($0) }
  }

  /// Rows and lengths from the end.
  var reversed: FeatureBatch {
    func turn(_ values: [Float], _ width: Int) -> [Float] {
      stride(from: 0, to: values.count, by: width).reversed().flatMap { values[$0..<$0 + width] }
    }
    var other = self
    other.student = turn(student, widths.student)
    other.teacher = turn(teacher, widths.teacher)
    other.lengths = lengths.reversed()
    other.counted = counted.reversed()
    return other
  }

  /// Compares, and keeps the memory for the next call.
  mutating func compare(
    _ id: String, _ settings: [String: String] = [:], registry: PluginRegistry? = nil, monitor: Monitor = Monitor(),
    diagnostics: Diagnostics = Diagnostics()
  ) throws -> Slope {
    let objective = try (registry ?? ObjectiveGolden.registry()).featureObjective(id: id)
    let parameters = try ObjectiveGolden.values(objective.description.method, settings)
    let count = try objective.memoryCount(
      parameters: parameters, studentWidth: widths.student, teacherWidth: widths.teacher)
    let s = FloatBuffer(student), t = FloatBuffer(teacher)
    let bank = FloatBuffer(memory.isEmpty ? [Float](repeating: 0, count: count) : memory)
    let gradient = FloatBuffer(count: student.count)
    let loss = try counted.withUnsafeBufferPointer { counted in
      try objective.compare(
        Features(
          lengths: lengths, studentWidth: widths.student, teacherWidth: widths.teacher, heads: heads,
          student: s.pointer, teacher: t.pointer, counted: #require(counted.baseAddress), seed: 1,
          memory: bank.values),
        parameters: parameters, gradient: gradient.values, monitor: monitor, diagnostics: diagnostics)
    }
    memory = Array(bank.readOnly)
    return Slope(loss: loss, gradient: Array(gradient.readOnly))
  }
}

extension Slope {
  /// What is wrong with it beside the golden of that name, or nil: to 1e-6 of the scale, which is the largest slope, or
  /// the loss where that is larger; and no less than `least` where the loss is a difference of numbers of that size.
  func difference(from name: String, least: Double = 0.1) throws -> String? {
    let golden = try ObjectiveGolden.load()
    let slopes = try golden.numbers(name + "/gradient")
    let value = try golden.numbers(name + "/loss").values[0]
    let scale = max(least, abs(value), slopes.values.map(abs).max() ?? 0)
    let tolerance = Tolerance(absolute: 1e-6 * scale, relative: 0)
    return try golden.difference(Numbers([loss]), from: name + "/loss", tolerance)
      ?? golden.difference(
        Numbers(gradient, shape: slopes.shape), from: name + "/gradient", tolerance)
  }
}
