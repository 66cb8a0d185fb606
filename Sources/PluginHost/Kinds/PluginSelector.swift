// A plugin's selector, "espalier.selector/1", in the clothes of Compression's `Selector`. Scores start as NaN.

import CPluginABI
package import Compression
package import Tensors

/// What a plugin offers as a selector, every field checked.
///
/// `@unchecked Sendable`, here and in the other kinds: the functions' code stays mapped until the process ends, and the
/// ABI obliges them to be callable on any compute thread.
struct SelectorOffer: @unchecked Sendable {
  let description: SelectorDescription
  let table: espalier_selector

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, of identity: PluginIdentity) throws(PluginRejection) {
    let fields = MethodFields(name: "espalier_selector", identity: identity)
    table = try loadStruct(at: pointer, name: fields.name, first: 32)
    try fields.require(table.score != nil, "score")
    description = SelectorDescription(
      method: try fields.method(statistics: table.statistics, table.parameters, count: table.parameter_count),
      defaultGroup: try fields.group(table.default_group, of: MaskGroup.allCases),
      terms: try Self.terms(table, fields), compensator: try Self.compensator(table, fields),
      rounds: try Self.rounds(table, fields))
  }

  private static func terms(_ table: espalier_selector, _ fields: MethodFields) throws(PluginRejection) -> [String] {
    guard table.term_count <= 8 else {
      throw fields.invalid("terms", "has \(table.term_count) elements, allowed are 8")
    }
    guard table.term_count > 0 else { return [] }
    guard let names = table.terms else { throw fields.invalid("terms", "is NULL") }
    var terms: [String] = []
    for index in 0..<Int(table.term_count) {
      let field = "\(fields.name).terms[\(index)]"
      let name = try ForeignText.required(names[index], field: field, limit: 64)
      guard ForeignText.isCamelCase(name), !terms.contains(name) else {
        throw .fieldInvalid(field: field, problem: "is '\(name)', expected are camelCase words, each once")
      }
      terms.append(name)
    }
    return terms
  }

  private static func rounds(_ table: espalier_selector, _ fields: MethodFields) throws(PluginRejection) -> Int {
    guard table.rounds <= 64 else { throw fields.invalid("rounds", "is \(table.rounds), allowed are 64") }
    return max(1, Int(table.rounds))
  }

  private static func compensator(
    _ table: espalier_selector, _ fields: MethodFields
  ) throws(PluginRejection) -> String? {
    let field = "\(fields.name).compensator"
    guard let id = try ForeignText.optional(table.compensator, field: field, limit: 64) else { return nil }
    guard ForeignText.isKebabCase(id) else {
      throw .fieldInvalid(field: field, problem: "is '\(id)', expected is the id of a plugin")
    }
    return id
  }
}

package struct PluginSelector: Selector {
  package let description: SelectorDescription
  private let table: SelectorOffer
  private let caller: MethodCaller

  init(_ offer: SelectorOffer, services: PluginServices) {
    description = offer.description
    table = offer
    caller = MethodCaller(method: offer.description.method, services: services)
  }

  /// What `statistics_for` says, of what is declared. That it says more is an error of the call of `score`.
  package func statistics(parameters: [ParameterValue], hasDataset: Bool) -> StatisticsNeed {
    guard let values = try? caller.values(parameters, for: "") else { return description.method.statistics }
    return asked(values, hasDataset: hasDataset).intersection(description.method.statistics)
  }

  private func asked(_ values: [Double], hasDataset: Bool) -> StatisticsNeed {
    guard let function = table.table.statistics_for else { return description.method.statistics }
    return values.withUnsafeBufferPointer { values in
      StatisticsNeed(rawValue: function(values.isEmpty ? nil : values.baseAddress, hasDataset ? 1 : 0))
    }
  }

  /// - Throws: `Cancelled`; `PluginError`. Scores that the plugin leaves out are NaN.
  package func score(
    _ input: MatrixInput, parameters: [ParameterValue], into scores: UnsafeMutableBufferPointer<Float>,
    monitor: Monitor, diagnostics: Diagnostics
  ) throws {
    let values = try caller.values(parameters, for: input.tensor)
    let matrices = try ForeignMatrices(
      [input], need: need(input, values), terms: description.terms, caller: caller)
    try caller.checking(input.tensor) { () throws(PluginInputProblem) in
      try input.checkShape("scores", scores.count)
    }
    scores.update(repeating: .nan)
    try withExtendedLifetime(matrices) {
      try caller.call(input.tensor, values, monitor: monitor, diagnostics: diagnostics) { host, values, message in
        table.table.score?(host, matrices.pointers[0], values, scores.baseAddress, message) ?? ESPALIER_FAILED
      }
    }
  }

  /// What the selector asked for, as far as the input can tell: with a dataset if what it asks for then is there, else
  /// without.
  /// - Throws: `PluginError.contractBroken` if it asks for what it did not declare.
  private func need(_ input: MatrixInput, _ values: [Double]) throws(PluginError) -> StatisticsNeed {
    let declared = description.method.statistics
    let asked = [true, false].map { self.asked(values, hasDataset: $0) }
    for need in asked where !need.isSubset(of: declared) {
      throw .contractBroken(
        id: description.method.id, tensor: input.tensor,
        .statisticsUndeclared(asked: need.rawValue, declared: declared))
    }
    return asked.first { $0.isSubset(of: input.statistics.kinds) } ?? asked[0]
  }
}

extension MatrixStatistics {
  /// What is there.
  fileprivate var kinds: StatisticsNeed {
    var kinds = StatisticsNeed.none
    if input.moments != nil { kinds.insert(.moments) }
    if let gram = input.gram { kinds.formUnion(gram.cross == nil ? .gram : [.gram, .crossGram]) }
    if gradients != nil { kinds.insert(.gradients) }
    if regionalGradients != nil { kinds.insert(.regionalGradients) }
    return kinds
  }
}
