// Pruning of the matrices that read one input: scores, masks, refinement, compensation; or a solver for all of them.

import OrderedCollections
package import Tensors
package import Workspace

/// The steps of a plan on some matrices, with what they share.
package struct MatrixPruning {
  let plan: PruningPlan
  let compute: Compute
  /// Polled between matrices; progress is the caller's matter.
  let monitor: Monitor
  let diagnostics: Diagnostics
  /// Of tensors whose weights an edit has given anew: what they have. The rest is 0 under every mask.
  private let remains: [String: MaskBits]
  private let scratch: FloatBuffer

  /// - Parameters:
  ///   - revision: what is pruned.
  ///   - cancellation: obeyed.
  package init(
    _ plan: PruningPlan, of revision: Revision, compute: Compute, cancellation: Cancellation, diagnostics: Diagnostics
  ) {
    self.plan = plan
    remains = plan.tensors.keys.reduce(into: [:]) { $0[$1] = revision.tensors[$1]?.weights.madeUnder }
    self.compute = compute
    monitor = Monitor(cancellation: cancellation)
    self.diagnostics = diagnostics
    scratch = FloatBuffer(count: plan.tensors.largestElementCount)
  }

  /// Prunes `tensors`, which share one input, each to its own target.
  /// - Parameters:
  ///   - weights: where the tensors are.
  ///   - statistics: of a tensor; those of the shared input are the same object for all.
  /// - Throws: `CompressionError`, `Cancelled`, or what the methods throw.
  func prune(
    _ tensors: [PrunableTensor], of weights: any WeightSource,
    statistics: (PrunableTensor) throws -> MatrixStatistics
  ) throws -> OrderedDictionary<String, PrunedTensor> {
    for tensor in tensors { try plan.target(of: tensor.name).check(tensor) }
    switch plan.method {
    case .solver(let solver): return try solve(tensors, with: solver, of: weights, statistics: statistics)
    case .selector(let criterion):
      var pruned: OrderedDictionary<String, PrunedTensor> = [:]
      for tensor in tensors {
        let input = input(tensor, of: weights, statistics: try statistics(tensor))
        pruned[tensor.name] = try select(tensor, input, by: criterion)
      }
      return pruned
    }
  }

  /// Scores, masks and compensates, once or in rounds. Each round scores the weights that the last one left, prunes more
  /// of them, and compensates for all that is pruned from the weights before the first.
  private func select(_ tensor: PrunableTensor, _ input: MatrixInput, by criterion: Criterion) throws -> PrunedTensor {
    let target = plan.target(of: tensor.name)
    let rounds = plan.compensator == nil ? [target] : target.rounds(plan.rounds)
    var current = input, last: FloatBuffer?
    for (round, target) in rounds.enumerated() {
      let scores = try withExtendedLifetime(last) {
        try criterion.score(current, monitor: monitor, diagnostics: diagnostics)
      }
      // First of all goes what is gone: a compensator may have left there what it would be worth.
      if let made = remains[tensor.name] { scores.sink(whatIsPrunedBy: made) }
      let mask = remaining(
        try selectMask(scores, target: target, group: plan.group, ties: plan.ties, pool: compute.pool), of: tensor,
        isFinal: round == rounds.count - 1)
      let budget = Budget(
        target: target, group: plan.group, round: round, roundsLeft: rounds.count - 1 - round)
      let pruned = try finish(tensor, input, mask: mask, scores: scores, budget: budget, from: last)
      guard budget.roundsLeft > 0, let weights = pruned.weights else { return pruned }
      current = matrixInput(tensor, weights: UnsafePointer(weights.pointer), statistics: input.statistics)
      last = weights
    }
    preconditionFailure("there is at least one round")
  }

  /// The rest of a selector's way, from a mask on: refinement and compensation.
  func finish(
    _ tensor: PrunableTensor, of weights: any WeightSource, statistics: MatrixStatistics, mask: MaskBits,
    scores: ScoreMatrix?
  ) throws -> PrunedTensor {
    try finish(
      tensor, input(tensor, of: weights, statistics: statistics), mask: remaining(mask, of: tensor), scores: scores,
      budget: Budget(target: plan.target(of: tensor.name), group: plan.group), from: nil)
  }

  /// The scores of a tensor by themselves.
  func score(
    _ tensor: PrunableTensor, of weights: any WeightSource, statistics: MatrixStatistics, by criterion: Criterion
  ) throws -> ScoreMatrix {
    try criterion.score(
      input(tensor, of: weights, statistics: statistics), monitor: monitor, diagnostics: diagnostics)
  }

  /// A matrix as methods see it. Its weights stay where they are or are read into the scratch, which is used for one
  /// matrix at a time.
  private func input(_ tensor: PrunableTensor, of weights: any WeightSource, statistics: MatrixStatistics) -> MatrixInput {
    let floats = weights.tensor(tensor.name).floats(orReadInto: scratch.pointer, pool: compute.pool)
    return matrixInput(tensor, weights: floats, statistics: statistics)
  }

  private func matrixInput(
    _ tensor: PrunableTensor, weights: UnsafePointer<Float>, statistics: MatrixStatistics
  ) -> MatrixInput {
    for term in plan.terms where term.scores.tensors[tensor.name] == nil {
      diagnostics.add(
        Diagnostic(
          .warning, kind: "termMissing", tensor: tensor.name,
          "The scores given as \"\(term.name)\" hold nothing about this tensor: it is scored without them."))
    }
    return MatrixInput(
      tensor, weights: weights, statistics: statistics,
      terms: plan.terms.compactMap { term in
        term.scores.tensors[tensor.name].map { (name: term.name, scores: $0.matrix) }
      })
  }

  /// - Parameter last: what the round before gave, nil for the first.
  private func finish(
    _ tensor: PrunableTensor, _ input: MatrixInput, mask: MaskBits, scores: ScoreMatrix?, budget: Budget,
    from last: FloatBuffer?
  ) throws -> PrunedTensor {
    guard plan.refiner != nil || plan.compensator != nil else { return PrunedTensor(mask: mask) }
    let isLast = budget.roundsLeft == 0
    let kept = KeptBytes(mask, pool: compute.pool)
    var mask = mask
    if isLast, let refiner = plan.refiner {
      try withExtendedLifetime(kept) {
        try refiner.method.refine(
          input, budget: budget, scores: scores, parameters: refiner.values, kept: kept.values, monitor: monitor,
          diagnostics: diagnostics)
      }
      mask = remaining(kept.mask(pool: compute.pool), of: tensor)
    }
    guard let compensator = plan.compensator else { return PrunedTensor(mask: mask) }
    let weights = FloatBuffer(count: tensor.elementCount)
    _ = weights.values.update(fromContentsOf: last?.readOnly ?? input.weights)
    weights.clear(prunedBy: mask, pool: compute.pool)
    var bias = [Float](repeating: 0, count: compensator.method.description.changesBias ? tensor.rows : 0)
    try withExtendedLifetime((kept, weights, last)) {
      try bias.withUnsafeMutableBufferPointer { bias in
        try compensator.method.compensate(
          input, kept: UnsafeBufferPointer(kept.values), budget: budget, parameters: compensator.values,
          weights: weights.values, bias: bias, monitor: monitor, diagnostics: diagnostics)
      }
    }
    // What a round leaves at pruned places is what they would be worth; the last one prunes them.
    if isLast { weights.clear(prunedBy: mask, pool: compute.pool) }
    return PrunedTensor(mask: mask, weights: weights, bias: bias.isEmpty ? nil : bias)
  }

  /// The mask without what the tensor's weights do not have. Says so if that is more than was to go in the end: the rounds
  /// before the last ask for less.
  private func remaining(_ mask: MaskBits, of tensor: PrunableTensor, isFinal: Bool = true) -> MaskBits {
    guard let made = remains[tensor.name] else { return mask }
    let result = mask.intersection(made), more = mask.keptCount - result.keptCount
    if isFinal, more > 0 {
      diagnostics.add(
        Diagnostic(
          .warning, kind: "staysPruned", tensor: tensor.name,
          "More of \(tensor.name) is pruned than was asked for: its weights were given anew without what they had "
            + "lost, and no mask brings that back. Check out a revision from before that."))
    }
    return result
  }

  private func solve(
    _ tensors: [PrunableTensor], with solver: Configured<any Solver>, of weights: any WeightSource,
    statistics: (PrunableTensor) throws -> MatrixStatistics
  ) throws -> OrderedDictionary<String, PrunedTensor> {
    // A solver's new weights would differ from the old by its rounding, although nothing is to go.
    if tensors.allSatisfy({ plan.target(of: $0.name).prunesNothing(of: $0.elementCount) }) {
      return OrderedDictionary(
        uniqueKeysWithValues: tensors.map {
          ($0.name, PrunedTensor(mask: remaining(MaskBits(keepingAll: $0.rows, columns: $0.columns), of: $0)))
        })
    }
    // All are needed at a time, so each has a place of its own for the old weights and for the new.
    let places = tensors.map { tensor in
      (
        old: FloatBuffer(count: tensor.elementCount), new: FloatBuffer(count: tensor.elementCount),
        kept: KeptBytes(keepingAll: tensor.rows, columns: tensor.columns)
      )
    }
    var problems: [Problem] = []
    for (tensor, place) in zip(tensors, places) {
      let old = weights.tensor(tensor.name).floats(orReadInto: place.old.pointer, pool: compute.pool)
      place.new.pointer.update(from: old, count: tensor.elementCount)
      problems.append(
        Problem(
          matrix: matrixInput(tensor, weights: old, statistics: try statistics(tensor)),
          budget: Budget(target: plan.target(of: tensor.name), group: plan.group), kept: place.kept.values,
          weights: place.new.values))
    }
    try withExtendedLifetime(places) {
      try solver.method.solve(problems, parameters: solver.values, monitor: monitor, diagnostics: diagnostics)
    }
    try monitor.checkCancelled()
    var pruned: OrderedDictionary<String, PrunedTensor> = [:]
    for (tensor, place) in zip(tensors, places) {
      let mask = remaining(place.kept.mask(pool: compute.pool), of: tensor)
      place.new.clear(prunedBy: mask, pool: compute.pool)
      pruned[tensor.name] = PrunedTensor(mask: mask, weights: place.new)
    }
    return pruned
  }
}

extension SparsityTarget {
  /// Whether no group of at most `count` weights loses any.
  func prunesNothing(of count: Int) -> Bool {
    guard case .ratio(let ratio) = self else { return false }
    return Self.pruned(ratio, of: count) == 0
  }

  /// The targets of `count` rounds: two thirds of them rise to this one, quickly at first and slowly at the end, as the
  /// cubic schedule of Zhu & Gupta 2017 (arXiv 1710.01878, equation 1), the rest stay at it. Patterns go up by whole
  /// weights of a group.
  package func rounds(_ count: Int) -> [SparsityTarget] {
    guard count > 1, self != .ratio(0) else { return [self] }
    let rise = (2 * count + 2) / 3
    let rising = (1..<rise).map { round in
      let left = 1 - Double(round) / Double(rise)
      return self.fraction(1 - left * left * left)
    }
    return rising + Array(repeating: self, count: count - rise + 1)
  }

  /// So much of this target, a pattern in whole weights of a group and at least one.
  private func fraction(_ share: Double) -> SparsityTarget {
    switch self {
    case .ratio(let ratio): .ratio(ratio * share)
    case .pattern(let prune, let size):
      .pattern(prune: max(1, Int((Double(prune) * share).rounded())), of: size)
    }
  }

  /// - Throws: `CompressionError.patternDoesNotDivide`.
  func check(_ tensor: PrunableTensor) throws(CompressionError) {
    if case .pattern(_, let size) = self, tensor.columns % size != 0 {
      throw .patternDoesNotDivide(pattern: description, tensor: tensor.name, columns: tensor.columns)
    }
  }
}

extension ScoreMatrix {
  /// Makes the scores that `mask` prunes lower than all others.
  fileprivate func sink(whatIsPrunedBy mask: MaskBits) {
    for row in 0..<rows {
      for column in 0..<columns where mask.bytes[row * mask.rowBytes + column / 8] >> (column % 8) & 1 == 0 {
        values.pointer[row * columns + column] = -.greatestFiniteMagnitude
      }
    }
  }
}
