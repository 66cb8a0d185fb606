// A JSON value as Espalier sees it: what a document says, in document order, with 64-bit integers kept exact.
// Knows nothing of text (JSON+Parsing.swift, JSON+Writing.swift) and nothing of what a document means.

/// A JSON value (RFC 8259).
///
/// A number written without fraction and exponent is an `integer`, any other a `number`; the two never compare equal.
package enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSON])
  case object(JSONObject)
}

/// What the value is, or nil if it is something else.
extension JSON {
  package var isNull: Bool { self == .null }

  package var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  package var integer: Int? {
    if case .integer(let value) = self { Int(value) } else { nil }
  }

  /// The value of a number of either kind.
  package var number: Double? {
    switch self {
    case .number(let value): value
    case .integer(let value): Double(value)
    default: nil
    }
  }

  package var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  package var array: [JSON]? {
    if case .array(let value) = self { value } else { nil }
  }

  package var object: JSONObject? {
    if case .object(let value) = self { value } else { nil }
  }

  /// The member `key` of an object; nil if there is none or this is no object. Setting turns a non-object into one.
  package subscript(key: String) -> JSON? {
    get {
      if case .object(let members) = self { members[key] } else { nil }
    }
    set {
      var members = object ?? [:]
      self = .null  // leaves `members` the only owner, so that it is changed in place
      members[key] = newValue
      self = .object(members)
    }
  }

  /// The word a message uses for the kind of this value.
  package var typeName: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer: "an integer"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

/// `nil` is `null` where a `JSON` is expected and the absence of a value where a `JSON?` is.
extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByStringInterpolation,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  package init(nilLiteral: ()) { self = .null }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(integerLiteral value: Int64) { self = .integer(value) }
  package init(floatLiteral value: Double) { self = .number(value) }
  package init(stringLiteral value: String) { self = .string(value) }
  package init(arrayLiteral elements: JSON...) { self = .array(elements) }
  /// A key given twice keeps its first place and its last value.
  package init(dictionaryLiteral elements: (String, JSON)...) { self = .object(JSONObject(elements)) }
}

/// Conversions from what code has at hand; unlabelled, as for the standard library's own lossless conversions.
extension JSON {
  package init(_ value: Bool) { self = .bool(value) }
  package init(_ value: Int) { self = .integer(Int64(value)) }
  package init(_ value: Double) { self = .number(value) }
  package init(_ value: String) { self = .string(value) }
  package init(_ values: [String]) { self = .array(values.map(JSON.string)) }
  package init(_ values: [Int]) { self = .array(values.map { .integer(Int64($0)) }) }
  package init(_ values: [Double]) { self = .array(values.map(JSON.number)) }

  /// `null` for nil.
  package init(_ value: Int?) { self = value.map { .integer(Int64($0)) } ?? .null }
  /// `null` for nil.
  package init(_ value: String?) { self = value.map(JSON.string) ?? .null }
}
