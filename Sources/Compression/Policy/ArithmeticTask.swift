// A task that a tiny model can learn and that needs no download: sums in figures, drawn by a seed.

import Workspace

/// A prompt that ends where the answer begins, and the answer.
package struct TaskExample: Sendable, Equatable {
  package let prompt: String
  package let answer: String

  package init(prompt: String, answer: String) {
    self.prompt = prompt
    self.answer = answer
  }
}

/// Small sums: "12+7=" and "19".
package struct ArithmeticTask: Sendable, Equatable {
  package enum Operation: String, Sendable, CaseIterable {
    case addition, subtraction, multiplication
  }

  /// Of each operand at most, 1...4.
  package let digits: Int
  package let operations: [Operation]

  /// - Throws: `PolicyError.optionsInvalid`.
  package init(digits: Int = 1, operations: [Operation] = [.addition]) throws(PolicyError) {
    guard (1...4).contains(digits), !operations.isEmpty, Set(operations).count == operations.count else {
      throw .optionsInvalid(
        expected: "1 to 4 digits and one operation at least, each once, not \(digits) and \(operations.count)")
    }
    self.digits = digits
    self.operations = operations
  }

  /// Values of an operand: 0...limit - 1.
  private var limit: Int { [10, 100, 1000, 10_000][digits - 1] }

  /// How many different examples there are. Subtractions do not go below zero.
  package var available: Int {
    operations.reduce(0) { $0 + ($1 == .subtraction ? limit * (limit + 1) / 2 : limit * limit) }
  }

  /// Examples in an order of the seed's, no two alike: the first n are the same for every count of at least n.
  /// - Throws: `PolicyError.tasksExhausted`, or `.optionsInvalid` for a count below 1 or above 2^20.
  package func examples(count: Int, seed: UInt64) throws(PolicyError) -> [TaskExample] {
    guard (1...(1 << 20)).contains(count) else {
      throw .optionsInvalid(expected: "1 to \(1 << 20) examples, not \(count)")
    }
    guard count <= available else { throw .tasksExhausted(asked: count, available: available) }
    var random = SplitMix64(seed: seed), examples: [TaskExample] = []
    // A shuffle of which only as much is made as is needed (Fisher and Yates, with the swaps in a dictionary).
    var moved: [Int: Int] = [:]
    for place in 0..<count {
      let other = place + Int(random.next() % UInt64(available - place))
      let chosen = moved[other] ?? other
      moved[other] = moved[place] ?? place
      examples.append(example(chosen))
    }
    return examples
  }

  /// The example of an index below `available`.
  private func example(_ index: Int) -> TaskExample {
    var rest = index
    for operation in operations {
      let count = operation == .subtraction ? limit * (limit + 1) / 2 : limit * limit
      if rest >= count {
        rest -= count
        continue
      }
      switch operation {
      case .addition: return Self.sum(rest / limit, "+", rest % limit, rest / limit + rest % limit)
      case .multiplication: return Self.sum(rest / limit, "*", rest % limit, (rest / limit) * (rest % limit))
      case .subtraction:
        // Pairs a >= b: a's few values of b, then those of its counterpart limit - 1 - a, limit + 1 together.
        let a = rest / (limit + 1), b = rest % (limit + 1)
        let (high, low) = b <= a ? (a, b) : (limit - 1 - a, limit - b)
        return Self.sum(high, "-", low, high - low)
      }
    }
    preconditionFailure("an example beyond those that there are")
  }

  private static func sum(_ a: Int, _ sign: String, _ b: Int, _ result: Int) -> TaskExample {
    TaskExample(prompt: "\(a)\(sign)\(b)=", answer: "\(result)")
  }
}
