// How a plugin's result breaks what the header promises, as facts and in words.

package import Compression

package enum PluginViolation: Error, Equatable, Sendable {
  /// Element `index` of `what`.
  case notFinite(what: String, index: Int, value: String)
  /// A byte of a mask that is neither 0 nor 1.
  case maskValue(index: Int, value: UInt8)
  /// The group of a pattern that begins at `row` and `column`.
  case patternMissed(pattern: String, row: Int, column: Int, pruned: Int)
  /// `pruned` weights of `of`; off by more than `allowed`.
  case budgetMissed(expected: Int, pruned: Int, of: Int, allowed: Int)
  /// A refiner pruned more or fewer in the row or group that begins at `row` and `column`.
  case countChanged(row: Int, column: Int, before: Int, after: Int)
  /// The sparsity of a share is not in 0...1.
  case sparsityInvalid(share: String, value: String)
  case totalMissed(expected: Double, given: Double)
  /// The score of a unit is NaN.
  case scoreMissing(unit: Int)
  /// A memory bank of a size that nobody has.
  case memoryInvalid(given: Int64)
  /// `statistics_for` asked for more than `statistics`; `asked` are its bits.
  case statisticsUndeclared(asked: UInt32, declared: StatisticsNeed)

  package var message: String {
    switch self {
    case .notFinite(let what, let index, let value):
      "\(what)[\(index)] is \(value), expected are finite numbers."
    case .maskValue(let index, let value):
      "kept[\(index)] is \(value), expected is 1 for a kept weight and 0 for a pruned one."
    case .patternMissed(let pattern, let row, let column, let pruned):
      "the group of row \(row) that begins at column \(column) loses \(pruned) weights, the pattern is \(pattern)."
    case .budgetMissed(let expected, let pruned, let all, let allowed):
      "it pruned \(pruned) of \(all) weights, expected are \(expected), give or take \(allowed)."
    case .countChanged(let row, let column, let before, let after):
      "row \(row) from column \(column) has \(after) pruned weights, before the call it had \(before)."
    case .sparsityInvalid(let share, let value):
      "the sparsity of '\(share)' is \(value), expected is 0...1."
    case .totalMissed(let expected, let given):
      "all shares together lose \(given) of the weights, expected are \(expected) to one in a thousand."
    case .scoreMissing(let unit):
      "the score of unit \(unit) is NaN."
    case .memoryInvalid(let given):
      "its memory is to have \(given) floats, expected are 0...\(PluginFeatureObjective.memoryLimit)."
    case .statisticsUndeclared(let asked, let declared):
      "statistics_for asks for \(asked), its statistics are \(declared.rawValue) (\(declared.words)); it may ask for "
        + "less, not for more."
    }
  }
}
