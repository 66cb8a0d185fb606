// A plugin's solver, "espalier.solver/1", in the clothes of Compression's `Solver`. Masks start full and weights as the
// matrix's; what comes back is held against the budget.

import CPluginABI
package import Compression
package import Tensors

/// What a plugin offers as a solver, every field checked.
struct SolverOffer: @unchecked Sendable {
  let description: SolverDescription
  let table: espalier_solver

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, of identity: PluginIdentity) throws(PluginRejection) {
    let fields = MethodFields(name: "espalier_solver", identity: identity)
    table = try loadStruct(at: pointer, name: fields.name)
    try fields.require(table.solve != nil, "solve")
    description = SolverDescription(
      method: try fields.method(statistics: table.statistics, table.parameters, count: table.parameter_count),
      defaultGroup: try fields.group(table.default_group, of: [.matrix, .row, .column]))
  }
}

package struct PluginSolver: Solver {
  package let description: SolverDescription
  private let offer: SolverOffer
  private let caller: MethodCaller

  init(_ offer: SolverOffer, services: PluginServices) {
    description = offer.description
    self.offer = offer
    caller = MethodCaller(method: offer.description.method, services: services)
  }

  /// - Throws: `Cancelled`; `PluginError`, which names the tensor, or the first of several.
  package func solve(
    _ problems: [Problem], parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws {
    guard let first = problems.first?.matrix.tensor else { return }
    let values = try caller.values(parameters, for: first)
    let matrices = try ForeignMatrices(
      problems.map(\.matrix), need: description.method.statistics, caller: caller)
    for problem in problems {
      try caller.checking(problem.matrix.tensor) { () throws(PluginInputProblem) in try problem.check() }
    }
    let arena = matrices.arena
    let list = zip(problems, matrices.pointers).map { problem, matrix in
      problem.kept.update(repeating: 1)
      _ = problem.weights.update(fromContentsOf: problem.matrix.weights)
      return Optional(
        arena.copy(
          one: espalier_problem(
            struct_size: UInt32(MemoryLayout<espalier_problem>.size), reserved: 0, matrix: matrix,
            budget: arena.copy(one: problem.budget.foreign), kept: problem.kept.baseAddress,
            weights: problem.weights.baseAddress)))
    }
    let pointers = arena.copy(list)
    try withExtendedLifetime(matrices) {
      try caller.call(first, values, monitor: monitor, diagnostics: diagnostics) { host, values, message in
        offer.table.solve?(host, pointers, Int64(problems.count), values, message) ?? ESPALIER_FAILED
      }
    }
    for problem in problems {
      try caller.judging(problem.matrix.tensor) { () throws(PluginViolation) in try problem.judge() }
    }
  }
}

extension Problem {
  fileprivate func check() throws(PluginInputProblem) {
    try matrix.checkShape("bytes of a mask", kept.count)
    try matrix.checkShape("new weights", weights.count)
    try matrix.check(budget)
  }

  /// Sets pruned weights to 0 and checks the rest.
  fileprivate func judge() throws(PluginViolation) {
    let mask = MaskBytes(UnsafeBufferPointer(kept), of: matrix)
    try mask.checkValues()
    try mask.check(budget)
    try settle(weights, kept: mask.kept)
  }
}
