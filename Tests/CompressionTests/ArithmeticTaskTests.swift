// The arithmetic task: right answers, drawn without repetition, the same for a seed; and a model that learns it.

import BuiltinModels
import Compression
import TestSupport
import Testing

@Suite struct ArithmeticTaskTests {
  static func value(_ text: some StringProtocol) throws -> Int { try #require(Int(text)) }

  @Test(arguments: [
    (1, [ArithmeticTask.Operation.addition]), (1, ArithmeticTask.Operation.allCases), (2, [.subtraction]),
    (2, [.multiplication, .addition]),
  ])
  func allExamplesAreRight(digits: Int, operations: [ArithmeticTask.Operation]) throws {
    let task = try ArithmeticTask(digits: digits, operations: operations)
    let examples = try task.examples(count: task.available, seed: 5), limit = digits == 1 ? 10 : 100
    #expect(Set(examples.map(\.prompt)).count == task.available)
    var signs: [Character: Int] = [:]
    for example in examples {
      let sign = try #require(example.prompt.first { "+-*".contains($0) })
      let parts = example.prompt.dropLast().split(separator: sign)
      let (a, b, c) = (try Self.value(parts[0]), try Self.value(parts[1]), try Self.value(example.answer))
      #expect(example.prompt.last == "=" && parts.count == 2 && a < limit && b < limit && c >= 0)
      #expect(c == (sign == "+" ? a + b : sign == "-" ? a - b : a * b))
      signs[sign, default: 0] += 1
    }
    #expect(signs["+"] == (operations.contains(.addition) ? limit * limit : nil))
    #expect(signs["-"] == (operations.contains(.subtraction) ? limit * (limit + 1) / 2 : nil))
    #expect(signs["*"] == (operations.contains(.multiplication) ? limit * limit : nil))
  }

  @Test func seedsAndCounts() throws {
    let task = try ArithmeticTask(digits: 3)
    let some = try task.examples(count: 100, seed: 1)
    #expect(try task.examples(count: 40, seed: 1) == Array(some.prefix(40)))
    #expect(try task.examples(count: 100, seed: 2) != some)
    #expect(throws: PolicyError.tasksExhausted(asked: 101, available: 100)) {
      try ArithmeticTask().examples(count: 101, seed: 1)
    }
    for count in [0, -1, 1 << 21] {
      #expect(throws: PolicyError.self) { try task.examples(count: count, seed: 1) }
    }
    #expect(throws: PolicyError.self) { try ArithmeticTask(digits: 0) }
    #expect(throws: PolicyError.self) { try ArithmeticTask(digits: 5) }
    #expect(throws: PolicyError.self) { try ArithmeticTask(operations: []) }
    #expect(throws: PolicyError.self) { try ArithmeticTask(operations: [.addition, .addition]) }
  }
}
