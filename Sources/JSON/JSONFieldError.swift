// Why a member of an object is not what its reader needs. The words are here too, since they are short.

/// A member that is missing, of the wrong type, out of range or unknown.
package struct JSONFieldError: Error, Sendable, Equatable {
  /// Stable words for clients to branch on.
  package enum Kind: String, Sendable {
    case missingField, wrongType, outOfRange, unknownField
  }

  package let reason: Kind
  /// Where the member is, as `params.objectives[2].weight`.
  package let path: String
  /// What was expected, as it completes "expected ..."; for an unknown member, the names that are known.
  package let expected: String
  /// What was given, shortened; nil for a missing member.
  package let given: String?
  /// For an unknown member, the known name it resembles.
  package let suggestion: String?

  package init(_ reason: Kind, path: String, expected: String, given: JSON? = nil, suggestion: String? = nil) {
    self.reason = reason
    self.path = path
    self.expected = expected
    self.given = given.map(Self.shortened)
    self.suggestion = suggestion
  }

  package var kind: String { reason.rawValue }

  package var message: String {
    let given = given ?? "nothing"
    switch reason {
    case .missingField: return "\(path) is missing; expected \(expected)."
    case .wrongType, .outOfRange: return "\(path) is \(given); expected \(expected)."
    case .unknownField:
      let hint = suggestion.map { " Did you mean \"\($0)\"?" } ?? ""
      return "\(path) is not known.\(hint) Known here: \(expected)."
    }
  }

  /// `value` on one line, at most about 60 characters.
  private static func shortened(_ value: JSON) -> String {
    switch value {
    case .null: "null"
    case .bool(let value): String(value)
    case .integer(let value): String(value)
    case .number(let value): String(value)
    case .string(let text): JSONError.quoted(text)
    case .array(let elements): "an array of \(elements.count)"
    case .object(let members): "an object of \(members.count) members"
    }
  }
}

extension JSONFieldError: CustomStringConvertible {
  package var description: String { message }
}
