// The extension "espalier.selector/1" of a plugin: copied, with every field checked, into a `SelectorDescription`.

import CPluginABI
import Compression

/// A selector's function and its description.
///
/// `@unchecked Sendable`: the function's code stays mapped until the process ends, and the ABI obliges it to be
/// callable on any compute thread.
struct SelectorExtension: @unchecked Sendable {
  typealias Score =
    @convention(c) (
      UnsafePointer<espalier_host>?, UnsafePointer<espalier_matrix>?, UnsafePointer<Double>?,
      UnsafeMutablePointer<Float>?, UnsafeMutablePointer<espalier_message>?
    ) -> Int32

  let score: Score
  let description: SelectorDescription

  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, id: String, version: String, summary: String) throws(PluginRejection) {
    let table: espalier_selector = try loadStruct(at: pointer, name: "espalier_selector")
    guard let score = table.score else {
      throw .fieldInvalid(field: "espalier_selector.score", problem: "is NULL")
    }
    self.score = score
    description = SelectorDescription(
      method: MethodDescription(
        id: id, version: version, summary: summary, statistics: try Self.statistics(table.statistics),
        parameters: try Self.parameters(table)),
      defaultGroup: try Self.group(table.default_group))
  }

  private static func statistics(_ bits: UInt32) throws(PluginRejection) -> StatisticsNeed {
    switch bits {
    case UInt32(ESPALIER_STATISTICS_NONE): return .none
    case UInt32(ESPALIER_STATISTICS_MOMENTS): return .moments
    default:
      throw .fieldInvalid(
        field: "espalier_selector.statistics", problem: "is \(bits), which asks for statistics this host does not have")
    }
  }

  private static func group(_ number: Int32) throws(PluginRejection) -> MaskGroup {
    switch number {
    case ESPALIER_GROUP_MATRIX: return .matrix
    case ESPALIER_GROUP_ROW: return .row
    case ESPALIER_GROUP_COLUMN: return .column
    case ESPALIER_GROUP_GLOBAL: return .global
    default:
      throw .fieldInvalid(field: "espalier_selector.default_group", problem: "is \(number), which is no group")
    }
  }

  private static func parameters(_ table: espalier_selector) throws(PluginRejection) -> [ParameterDescription] {
    let field = "espalier_selector.parameters"
    guard table.parameter_count <= 64 else {
      throw .fieldInvalid(field: field, problem: "has \(table.parameter_count) elements, allowed are 64")
    }
    guard table.parameter_count > 0 else { return [] }
    guard let pointers = table.parameters else { throw .fieldInvalid(field: field, problem: "is NULL") }
    var parameters: [ParameterDescription] = []
    for index in 0..<Int(table.parameter_count) {
      let field = "\(field)[\(index)]"
      guard let pointer = pointers[index] else { throw .fieldInvalid(field: field, problem: "is NULL") }
      let parameter = try ParameterDescription(at: pointer, field: field)
      guard !parameters.contains(where: { $0.name == parameter.name }) else {
        throw .fieldInvalid(field: field, problem: "has the name '\(parameter.name)' of an earlier one")
      }
      parameters.append(parameter)
    }
    return parameters
  }
}

extension ParameterDescription {
  fileprivate init(at pointer: UnsafeRawPointer, field: String) throws(PluginRejection) {
    let raw: espalier_parameter = try loadStruct(at: pointer, name: "espalier_parameter")
    let name = try ForeignText.required(raw.name, field: "\(field).name", limit: 64)
    guard ForeignText.isCamelCase(name) else {
      throw .fieldInvalid(field: "\(field).name", problem: "is '\(name)', expected is camelCase of ASCII letters")
    }
    let summary = try ForeignText.required(raw.summary, field: "\(field).summary", limit: 1024)
    let bounds = [raw.minimum, raw.default_value, raw.maximum]
    guard bounds.allSatisfy(\.isFinite), raw.minimum <= raw.default_value, raw.default_value <= raw.maximum else {
      throw .fieldInvalid(
        field: field,
        problem: "has the default \(raw.default_value) and the bounds \(raw.minimum)...\(raw.maximum); expected are "
          + "finite numbers with minimum <= default <= maximum")
    }
    switch raw.type {
    case ESPALIER_NUMBER:
      self.init(
        name: name, summary: summary,
        kind: .number(default: raw.default_value, minimum: raw.minimum, maximum: raw.maximum))
    case ESPALIER_INTEGER:
      let integers = bounds.compactMap { abs($0) <= 0x1p53 ? Int64(exactly: $0) : nil }
      guard integers.count == 3 else {
        throw .fieldInvalid(field: field, problem: "is an integer, but its numbers are not whole or exceed 2^53")
      }
      self.init(
        name: name, summary: summary,
        kind: .integer(default: integers[1], minimum: integers[0], maximum: integers[2]))
    case ESPALIER_BOOLEAN:
      guard raw.minimum == 0, raw.maximum == 1, raw.default_value == 0 || raw.default_value == 1 else {
        throw .fieldInvalid(field: field, problem: "is a boolean; expected are bounds of 0...1 and a default of 0 or 1")
      }
      self.init(name: name, summary: summary, kind: .boolean(default: raw.default_value == 1))
    default:
      throw .fieldInvalid(field: "\(field).type", problem: "is \(raw.type), which is no type")
    }
  }
}

/// A copy of the part of a plugin's struct that this host knows.
/// - Throws: `structSize`; `fieldInvalid` if the pointer cannot be one to such a struct.
func loadStruct<T: BitwiseCopyable>(at pointer: UnsafeRawPointer, name: String) throws(PluginRejection) -> T {
  guard UInt(bitPattern: pointer) % UInt(MemoryLayout<T>.alignment) == 0 else {
    throw .fieldInvalid(field: name, problem: "lies at an address that is not a multiple of 8")
  }
  let size = pointer.load(as: UInt32.self)
  try checkStructSize(size, knownAs: UInt32(MemoryLayout<T>.size), name: name)
  return pointer.load(as: T.self)
}
