// The fields that extensions of several kinds have: statistics, comparison group, parameters. Checked and copied.

import CPluginABI
import Compression

/// Reads the fields of one extension's struct, and says of which when one is wrong.
struct MethodFields {
  /// The struct: `espalier_solver`.
  let name: String
  let identity: PluginIdentity

  func invalid(_ field: String, _ problem: String) -> PluginRejection {
    .fieldInvalid(field: "\(name).\(field)", problem: problem)
  }

  /// - Throws: `fieldInvalid` if a function is missing.
  func require(_ isThere: Bool, _ field: String) throws(PluginRejection) {
    guard isThere else { throw invalid(field, "is NULL") }
  }

  /// - Parameter takesText: whether the kind has a way to hand texts over.
  func method(
    statistics: UInt32 = 0, _ parameters: UnsafePointer<UnsafePointer<espalier_parameter>?>?, count: UInt32,
    takesText: Bool = false
  ) throws(PluginRejection) -> MethodDescription {
    MethodDescription(
      id: identity.id, version: identity.version, summary: identity.summary, statistics: try need(statistics),
      parameters: try list(parameters, count: count, takesText: takesText))
  }

  private func need(_ bits: UInt32) throws(PluginRejection) -> StatisticsNeed {
    let need = StatisticsNeed(rawValue: bits)
    guard need.isSubset(of: .all) else {
      throw invalid("statistics", "is \(bits), which asks for statistics this host does not have")
    }
    return need
  }

  /// - Parameter allowed: those of which the kind can make something.
  func group(_ number: Int32, of allowed: [MaskGroup]) throws(PluginRejection) -> MaskGroup {
    guard let group = MaskGroup(number: number), allowed.contains(group) else {
      let words = allowed.map { "\($0.number) (\($0.rawValue))" }.joined(separator: ", ")
      throw invalid("default_group", "is \(number), expected is one of \(words)")
    }
    return group
  }

  /// A number that is 1 for yes and 0 for no.
  func flag(_ number: UInt32, _ field: String) throws(PluginRejection) -> Bool {
    guard number <= 1 else { throw invalid(field, "is \(number), expected is 0 or 1") }
    return number == 1
  }

  private func list(
    _ pointers: UnsafePointer<UnsafePointer<espalier_parameter>?>?, count: UInt32, takesText: Bool
  ) throws(PluginRejection) -> [ParameterDescription] {
    guard count <= 64 else { throw invalid("parameters", "has \(count) elements, allowed are 64") }
    guard count > 0 else { return [] }
    guard let pointers else { throw invalid("parameters", "is NULL") }
    var parameters: [ParameterDescription] = []
    for index in 0..<Int(count) {
      let field = "\(name).parameters[\(index)]"
      guard let pointer = pointers[index] else { throw .fieldInvalid(field: field, problem: "is NULL") }
      let parameter = try ParameterDescription(at: pointer, field: field)
      if case .text = parameter.kind, !takesText {
        throw .fieldInvalid(field: "\(field).type", problem: "is a text, which rewards alone can take")
      }
      guard !parameters.contains(where: { $0.name == parameter.name }) else {
        throw .fieldInvalid(field: field, problem: "has the name '\(parameter.name)' of an earlier one")
      }
      parameters.append(parameter)
    }
    return parameters
  }
}

extension MaskGroup {
  init?(number: Int32) {
    guard let group = Self.allCases.first(where: { $0.number == number }) else { return nil }
    self = group
  }

  /// ESPALIER_GROUP_...
  var number: Int32 {
    switch self {
    case .matrix: ESPALIER_GROUP_MATRIX
    case .row: ESPALIER_GROUP_ROW
    case .column: ESPALIER_GROUP_COLUMN
    case .global: ESPALIER_GROUP_GLOBAL
    }
  }
}
