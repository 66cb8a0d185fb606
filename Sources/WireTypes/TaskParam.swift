// The built-in tasks of dataset/load: examples that are made up by a seed.

import JSON

/// The member `task`, with `builtin:arithmetic`: {count?, digits?, operations?, seed?}.
package struct TaskParam: Sendable, Equatable {
  /// The path that stands for it.
  package static let source = "builtin:arithmetic"
  package static let operationWords = ["addition", "subtraction", "multiplication"]

  package let count: Int
  package let digits: Int
  package let operations: [String]
  package let seed: Int

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    count = try fields.int("count", in: 1...(1 << 20), default: 64)
    digits = try fields.int("digits", in: 1...4, default: 1)
    operations = try fields.optionalStrings("operations") ?? ["addition"]
    guard !operations.isEmpty, Set(operations).count == operations.count,
      operations.allSatisfy({ Self.operationWords.contains($0) })
    else {
      throw fields.error(
        .outOfRange, "operations",
        expected: "some of \(Self.operationWords.joined(separator: ", ")), each once")
    }
    seed = try fields.int("seed", in: 0...Int.max, default: 0)
  }
}
