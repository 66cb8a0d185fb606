// `MatrixInput` across the border: checked against its contract, then in C's form with what the method asked for and
// nothing else. The one place where matrices, statistics and terms cross.

import CPluginABI
import Compression
import Tensors

/// The C form of matrices, alive as long as this object. Matrices with the same statistics of inputs point to the same
/// structs, so that a solver can see it.
final class ForeignMatrices {
  private(set) var pointers: [UnsafePointer<espalier_matrix>] = []
  /// For functions that take a list of pointers.
  var list: UnsafeMutablePointer<UnsafePointer<espalier_matrix>?> { arena.copy(pointers.map(Optional.some)) }

  /// For what else the call needs.
  let arena = ForeignArena()
  /// Keeps the buffers behind the pointers.
  private let inputs: [MatrixInput]
  private var moments: [[UnsafePointer<Double>?]: UnsafePointer<espalier_moments>] = [:]
  private var grams: [ObjectIdentifier: UnsafePointer<espalier_gram>] = [:]

  /// - Parameters:
  ///   - need: what the method asked for.
  ///   - terms: names of the scores that it knows.
  /// - Throws: what `MatrixInput.check` says, with the tensor that it says it of.
  init(
    _ inputs: [MatrixInput], need: StatisticsNeed, terms: [String] = [], caller: MethodCaller
  ) throws(PluginError) {
    self.inputs = inputs
    for input in inputs {
      do throws(PluginInputProblem) { try input.check(need, terms: terms) } catch {
        throw caller.invalid(input.tensor, error)
      }
    }
    pointers = inputs.map { form($0, need, terms) }
  }

  private func form(_ input: MatrixInput, _ need: StatisticsNeed, _ terms: [String]) -> UnsafePointer<espalier_matrix> {
    let statistics = input.statistics
    let own = input.terms.filter { terms.contains($0.name) }.map { term in
      arena.copy(
        one: espalier_term(
          struct_size: UInt32(MemoryLayout<espalier_term>.size), reserved: 0, name: arena.copy(text: term.name),
          scores: UnsafePointer(term.scores.values.pointer)))
    }
    return arena.copy(
      one: espalier_matrix(
        struct_size: UInt32(MemoryLayout<espalier_matrix>.size), reserved: 0, tensor: arena.copy(text: input.tensor),
        layer: input.layer.map(Int64.init) ?? -1, rows: Int64(input.rows), columns: Int64(input.columns),
        weights: input.weights.baseAddress,
        moments: need.contains(.moments) ? statistics.input.moments.map(form) : nil,
        gram: need.containsGram ? statistics.input.gram.map { form($0, cross: need.contains(.crossGram)) } : nil,
        gradients: need.contains(.gradients) ? statistics.gradients.map(form) : nil,
        regional_gradients: need.contains(.regionalGradients) ? statistics.regionalGradients.map(form) : nil,
        terms: own.isEmpty ? nil : UnsafePointer(arena.copy(own.map(Optional.some))), term_count: Int64(own.count)))
  }

  private func form(_ moments: Moments) -> UnsafePointer<espalier_moments> {
    let arrays = [moments.sum, moments.sumOfSquares, moments.sumOfMagnitudes, moments.sumOfSquaredMeans]
    // Copies of an array share their elements until one is changed.
    let key = arrays.map { $0.withUnsafeBufferPointer(\.baseAddress) }
    if let known = self.moments[key] { return known }
    let copies = arrays.map { UnsafePointer(arena.copy($0)) }
    let form = arena.copy(
      one: espalier_moments(
        struct_size: UInt32(MemoryLayout<espalier_moments>.size), reserved: 0, sequences: Int64(moments.sequences),
        tokens: Int64(moments.tokens), count: Int64(moments.sum.count), sum: copies[0], sum_of_squares: copies[1],
        sum_of_magnitudes: copies[2], sum_of_squared_means: copies[3]))
    self.moments[key] = form
    return form
  }

  private func form(_ gram: Gram, cross: Bool) -> UnsafePointer<espalier_gram> {
    if let known = grams[ObjectIdentifier(gram)] { return known }
    let form = arena.copy(
      one: espalier_gram(
        struct_size: UInt32(MemoryLayout<espalier_gram>.size), reserved: 0, sequences: Int64(gram.sequences),
        tokens: Int64(gram.tokens), count: Int64(gram.inputs), products: UnsafePointer(gram.products.pointer),
        cross: cross ? gram.cross.map { UnsafePointer($0.pointer) } : nil))
    grams[ObjectIdentifier(gram)] = form
    return form
  }

  private func form(_ gradients: GradientSums) -> UnsafePointer<espalier_gradients> {
    arena.copy(
      one: espalier_gradients(
        struct_size: UInt32(MemoryLayout<espalier_gradients>.size), reserved: 0, samples: Int64(gradients.samples),
        steps: Int64(gradients.steps), sum: UnsafePointer(gradients.sum.pointer),
        sum_of_squares: UnsafePointer(gradients.sumOfSquares.pointer),
        movement: gradients.movement.map { UnsafePointer($0.pointer) }))
  }
}

// MARK: The contract

extension MatrixInput {
  /// - Throws: `shape`, `statisticsMissing`, `statisticsMismatch`.
  func check(_ need: StatisticsNeed, terms: [String] = []) throws(PluginInputProblem) {
    try checkShape("weights", weights.count)
    if need.contains(.moments) { try check(statistics.input.moments) }
    if need.containsGram { try check(statistics.input.gram, cross: need.contains(.crossGram)) }
    if need.contains(.gradients) { try check(statistics.gradients, .gradients) }
    if need.contains(.regionalGradients) { try check(statistics.regionalGradients, .regionalGradients) }
    for term in self.terms where terms.contains(term.name) {
      guard term.scores.rows == rows, term.scores.columns == columns else {
        throw .shape(what: "scores of '\(term.name)'", rows: rows, columns: columns, given: term.scores.elementCount)
      }
    }
  }

  /// `given` is the number of elements of something that has one for each weight.
  func checkShape(_ what: String, _ given: Int) throws(PluginInputProblem) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    guard rows >= 1, columns >= 1, !overflow, given == count else {
      throw .shape(what: what, rows: rows, columns: columns, given: given)
    }
  }

  private func check(_ moments: Moments?) throws(PluginInputProblem) {
    guard let moments else { throw .statisticsMissing(.moments) }
    try Self.atLeast("sequences", moments.sequences, 1, .moments)
    for given in [
      moments.sum.count, moments.sumOfSquares.count, moments.sumOfMagnitudes.count, moments.sumOfSquaredMeans.count,
    ] {
      try Self.same("inputs", given, columns, .moments)
    }
    try Self.atLeast("tokens", moments.tokens, moments.sequences, .moments)
  }

  private func check(_ gram: Gram?, cross: Bool) throws(PluginInputProblem) {
    guard let gram else { throw .statisticsMissing(cross ? .crossGram : .gram) }
    try Self.same("inputs", gram.inputs, columns, .gram)
    let (count, overflow) = columns.multipliedReportingOverflow(by: columns)
    try Self.same("products", gram.products.count, overflow ? .max : count, .gram)
    guard cross else { return }
    guard let products = gram.cross else { throw .statisticsMissing(.crossGram) }
    try Self.same("products", products.count, count, .crossGram)
  }

  private func check(_ gradients: GradientSums?, _ which: StatisticsNeed) throws(PluginInputProblem) {
    guard let gradients else { throw .statisticsMissing(which) }
    try Self.atLeast("sequences", gradients.samples, 1, which)
    for buffer in [gradients.sum, gradients.sumOfSquares, gradients.movement ?? gradients.sum] {
      try Self.same("elements", buffer.count, weights.count, which)
    }
  }

  private static func same(
    _ what: String, _ given: Int, _ expected: Int, _ statistics: StatisticsNeed
  ) throws(PluginInputProblem) {
    guard given == expected else {
      throw .statisticsMismatch(statistics, what: what, given: given, expected: expected)
    }
  }

  private static func atLeast(
    _ what: String, _ given: Int, _ minimum: Int, _ statistics: StatisticsNeed
  ) throws(PluginInputProblem) {
    if given < minimum { throw .statisticsMismatch(statistics, what: what, given: given, expected: minimum) }
  }
}
