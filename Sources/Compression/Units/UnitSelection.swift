// Scores of structures into structures to cut: within each layer, or under one threshold for all.

import Tensors
package import Transformers

/// Structures of one kind that are to be cut.
package struct UnitChoice: Sendable, Equatable {
  package let unit: UnitKind
  /// Nil for channels and layers.
  package let layer: Int?
  /// Ascending; maybe none.
  package let cut: [Int]

  package init(unit: UnitKind, layer: Int?, cut: [Int]) {
    self.unit = unit
    self.layer = layer
    self.cut = cut
  }
}

/// Chooses which structures to cut, at least one of every group staying.
///
/// `.matrix`: each group loses the floor(count * ratio) of the lowest scores, of equal ones the first. Heads that share
/// key/value heads are ranked within those that share one, each of which loses the same number: that is what fewer heads
/// can be computed with. Where key/value heads belong to one head each, they go with it and heads are ranked in the layer.
///
/// `.global`: all structures are ranked together and fall, the lowest score first, as long as what they weigh stays
/// within ratio times the whole; a structure weighs its weights in linear maps. (FLAP, An et al. 2024, where a head
/// weighs 512/3 neurons for the same reason.)
/// - Parameter uniform: under a global threshold too, heads that share key/value heads lose the same number in each
///   group of a layer: the least of what the groups lost.
/// - Throws: `CompressionError.unitRequestInvalid` for the groups `row` and `column`.
package func selectUnits(
  _ scores: UnitScores, model: Transformer, ratio: Double, group: MaskGroup, uniform: Bool = false,
  diagnostics: Diagnostics
) throws(CompressionError) -> [UnitChoice] {
  var choices: [[Int]]
  switch group {
  case .matrix:
    choices = scores.groups.map { lowest(of: $0, model: model, ratio: ratio, diagnostics: diagnostics) }
  case .global:
    choices = underOneThreshold(scores.groups, model: model, ratio: ratio, diagnostics: diagnostics)
    if uniform {
      choices = zip(scores.groups, choices).map { evened($1, of: $0, model: model, diagnostics: diagnostics) }
    }
  case .row, .column:
    throw .unitRequestInvalid(
      reason: "the group \"\(group.rawValue)\" is for weights; structures compete in their layer (matrix) or in the "
        + "model (global)")
  }
  if ratio > 0, choices.allSatisfy(\.isEmpty) {
    diagnostics.add(nothingCut(ratio))
  }
  return zip(scores.groups, choices).map { UnitChoice(unit: $0.unit, layer: $0.layer, cut: $1.sorted()) }
}

/// The indices of a range by ascending score, of equal scores the first first.
private func ranked(_ scores: [Double], _ range: Range<Int>) -> [Int] {
  range.sorted { scores[$0] < scores[$1] || (scores[$0] == scores[$1] && $0 < $1) }
}

/// The ranges of a group of units that are ranked by themselves: of heads that share key/value heads those of each.
private func pools(_ group: UnitGroup, _ model: Transformer) -> [Range<Int>] {
  let count = group.scores.count
  guard group.unit == .head, let layer = group.layer else { return [0..<count] }
  let kvHeads = model.keyValueHeads(layer: layer)
  guard kvHeads < count, count % kvHeads == 0 else { return [0..<count] }
  let size = count / kvHeads
  return (0..<kvHeads).map { $0 * size..<($0 + 1) * size }
}

private func lowest(
  of group: UnitGroup, model: Transformer, ratio: Double, diagnostics: Diagnostics
) -> [Int] {
  let pools = pools(group, model), count = group.scores.count, size = pools.first?.count ?? 0
  var number = SparsityTarget.pruned(ratio, of: size)
  if pools.count > 1, number * pools.count != SparsityTarget.pruned(ratio, of: count) {
    diagnostics.add(rounded(group, from: SparsityTarget.pruned(ratio, of: count), to: number * pools.count, size))
  }
  if number >= size, size > 0 {
    number = size - 1
    diagnostics.add(collapse(group, kept: pools.count))
  }
  return pools.flatMap { ranked(group.scores, $0).prefix(number) }
}

private func underOneThreshold(
  _ groups: [UnitGroup], model: Transformer, ratio: Double, diagnostics: Diagnostics
) -> [[Int]] {
  var entries: [(score: Double, group: Int, unit: Int)] = [], weights: [Double] = [], total = 0.0
  for (number, group) in groups.enumerated() {
    let weight = Double(model.weight(of: group.unit, layer: group.layer))
    weights.append(weight)
    total += weight * Double(group.scores.count)
    entries += group.scores.enumerated().map { ($1, number, $0) }
  }
  entries.sort { a, b in
    a.score != b.score ? a.score < b.score : a.group != b.group ? a.group < b.group : a.unit < b.unit
  }
  var choices = [[Int]](repeating: [], count: groups.count), gone = 0.0
  for entry in entries {
    guard gone + weights[entry.group] <= total * ratio else { break }
    guard choices[entry.group].count + 1 < groups[entry.group].scores.count else {
      diagnostics.add(collapse(groups[entry.group], kept: 1))
      continue
    }
    choices[entry.group].append(entry.unit)
    gone += weights[entry.group]
  }
  return choices
}

/// As many heads of each group of heads as fell in the group that lost least.
private func evened(_ cut: [Int], of group: UnitGroup, model: Transformer, diagnostics: Diagnostics) -> [Int] {
  let pools = pools(group, model)
  guard pools.count > 1 else { return cut }
  let number = pools.map { pool in cut.count { pool.contains($0) } }.min() ?? 0
  if number * pools.count != cut.count {
    diagnostics.add(rounded(group, from: cut.count, to: number * pools.count, pools[0].count))
  }
  return pools.flatMap { ranked(group.scores, $0).prefix(number) }
}

private func rounded(_ group: UnitGroup, from wanted: Int, to cut: Int, _ size: Int) -> Diagnostic {
  Diagnostic(
    .warning, kind: "headGroupingRounded",
    "Of \(group.words), \(cut) are cut instead of \(wanted): \(size) of them share each key/value head, and each such "
      + "group must lose the same number.")
}

private func nothingCut(_ ratio: Double) -> Diagnostic {
  Diagnostic(
    .warning, kind: "nothingCut",
    "A share of \(ratio) is less than one structure wherever structures compete: nothing is cut.")
}

private func collapse(_ group: UnitGroup, kept: Int) -> Diagnostic {
  Diagnostic(
    .warning, kind: "layerCollapse",
    "All of \(group.words) would have been cut; \(kept) \(kept == 1 ? "stays" : "stay"), those of the highest scores.")
}

extension Transformer {
  /// What a unit weighs under a global threshold: its weights in linear maps. Channels weigh alike.
  fileprivate func weight(of unit: UnitKind, layer: Int?) -> Int {
    switch unit {
    case .head: parameterCount(of: .head(0), layer: layer ?? 0)
    case .neuron: parameterCount(of: .neuron(0), layer: layer ?? 0)
    case .channel, .layer: 1
    }
  }
}
