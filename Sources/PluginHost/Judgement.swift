// What the header promises of a plugin's results, checked: masks, patterns, budgets, numbers.

import CPluginABI
import Compression

/// A mask, one byte a weight: 1 for kept.
struct MaskBytes {
  let kept: UnsafeBufferPointer<UInt8>
  let rows: Int
  let columns: Int

  init(_ kept: UnsafeBufferPointer<UInt8>, of matrix: MatrixInput) {
    self.kept = kept
    rows = matrix.rows
    columns = matrix.columns
  }

  /// The first byte that is neither 0 nor 1.
  var firstStrange: (index: Int, value: UInt8)? { Self.firstStrange(in: kept) }

  static func firstStrange(in bytes: UnsafeBufferPointer<UInt8>) -> (index: Int, value: UInt8)? {
    bytes.firstIndex { $0 > 1 }.map { ($0, bytes[$0]) }
  }

  /// How many are pruned of every `size` consecutive weights of each row.
  func pruned(ofEach size: Int) -> [Int] {
    stride(from: 0, to: kept.count, by: size).map { start in
      kept[start..<start + size].reduce(0) { $1 == 0 ? $0 + 1 : $0 }
    }
  }

  /// - Throws: `maskValue`.
  func checkValues() throws(PluginViolation) {
    if let (index, value) = firstStrange { throw .maskValue(index: index, value: value) }
  }

  /// - Throws: `patternMissed`, `budgetMissed`.
  func check(_ budget: Budget) throws(PluginViolation) {
    switch budget.target {
    case .pattern(let prune, let size):
      let groups = pruned(ofEach: size)
      if let group = groups.firstIndex(where: { $0 != prune }) {
        throw .patternMissed(
          pattern: "\(budget.target)", row: group * size / columns, column: group * size % columns,
          pruned: groups[group])
      }
    case .ratio(let ratio):
      let expected: Int
      switch budget.group {
      case .row: expected = rows * SparsityTarget.pruned(ratio, of: columns)
      case .column: expected = columns * SparsityTarget.pruned(ratio, of: rows)
      case .matrix, .global: expected = SparsityTarget.pruned(ratio, of: kept.count)
      }
      let found = pruned(ofEach: columns).reduce(0, +)
      let slack = self.slack(budget.group)
      guard abs(found - expected) <= slack else {
        throw .budgetMissed(expected: expected, pruned: found, of: kept.count, allowed: slack)
      }
    }
  }

  /// How many weights a budget may be missed by: one in a thousand, and one in each group of tiny matrices, because
  /// methods that compare with a threshold among their scores prune one more. Such methods work through a matrix in
  /// blocks of 128 columns. (Frantar & Alistarh 2023, arXiv 2301.00774, and their code)
  private func slack(_ group: MaskGroup) -> Int {
    let groups =
      switch group {
      case .row: rows
      case .column: columns
      case .matrix, .global: (columns + 127) / 128
      }
    return max(kept.count / 1000, groups)
  }
}

extension MatrixInput {
  /// - Throws: a size that is not the matrix's; a byte that is neither 0 nor 1.
  func checkMask(_ kept: UnsafeBufferPointer<UInt8>) throws(PluginInputProblem) {
    try checkShape("bytes of a mask", kept.count)
    if let (index, value) = MaskBytes(kept, of: self).firstStrange { throw .maskValue(index: index, value: value) }
  }

  /// - Throws: a budget that makes no sense for this matrix.
  func check(_ budget: Budget) throws(PluginInputProblem) {
    switch budget.target {
    case .ratio(let ratio):
      guard (0...1).contains(ratio) else { throw .ratioInvalid(given: "\(ratio)") }
      guard budget.group != .global else { throw .groupInvalid(.global) }
    case .pattern(let prune, let size):
      guard size >= 1, prune >= 0, prune <= size, columns % size == 0 else {
        throw .patternDoesNotDivide(pattern: "\(budget.target)", columns: columns)
      }
    }
  }
}

extension Budget {
  /// The C form.
  var foreign: espalier_budget {
    var budget = espalier_budget()
    budget.struct_size = UInt32(MemoryLayout<espalier_budget>.size)
    budget.group = group.number
    switch target {
    case .ratio(let ratio): budget.sparsity = ratio
    case .pattern(let prune, let size):
      budget.pattern_prune = Int64(prune)
      budget.pattern_size = Int64(size)
    }
    budget.round = UInt32(clamping: round)
    budget.rounds_left = UInt32(clamping: roundsLeft)
    return budget
  }
}

/// New weights under a mask: pruned ones become 0, the others must be finite.
/// - Throws: `notFinite`.
func settle(
  _ weights: UnsafeMutableBufferPointer<Float>, kept: UnsafeBufferPointer<UInt8>
) throws(PluginViolation) {
  for index in weights.indices where kept[index] == 0 { weights[index] = 0 }
  try checkFinite(UnsafeBufferPointer(weights), "weights")
}

/// - Throws: `notFinite`.
func checkFinite(_ values: UnsafeBufferPointer<Float>, _ what: String) throws(PluginViolation) {
  if let index = values.firstIndex(where: { !$0.isFinite }) {
    throw .notFinite(what: what, index: index, value: "\(values[index])")
  }
}
