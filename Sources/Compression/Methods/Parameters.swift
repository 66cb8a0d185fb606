// What a person can set of a method, as the method describes it, and what was set.

/// A parameter that a method takes, as it describes it.
package struct ParameterDescription: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    case number(default: Double, minimum: Double, maximum: Double)
    case integer(default: Int64, minimum: Int64, maximum: Int64)
    case boolean(default: Bool)
    /// One of a few words; the default is an index into them.
    case choice(default: Int, words: [String])
    /// Of at most `textLimit` bytes; for rewards only.
    case text(default: String)
  }
  /// Bytes of a text in UTF-8.
  package static let textLimit = 1024

  package let name: String
  package let summary: String
  package let kind: Kind

  package init(name: String, summary: String, kind: Kind) {
    self.name = name
    self.summary = summary
    self.kind = kind
  }
}

package enum ParameterValue: Sendable, Equatable {
  case number(Double)
  case integer(Int64)
  case boolean(Bool)
  case choice(index: Int, word: String)
  case text(String)
}

extension ParameterValue: CustomStringConvertible {
  package var description: String {
    switch self {
    case .number(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .boolean(let value): "\(value)"
    case .choice(_, let word): word
    case .text(let text): "\"\(text)\""
    }
  }
}

extension ParameterDescription {
  package var defaultValue: ParameterValue {
    switch kind {
    case .number(let fallback, _, _): .number(fallback)
    case .integer(let fallback, _, _): .integer(fallback)
    case .boolean(let fallback): .boolean(fallback)
    case .choice(let fallback, let words): .choice(index: fallback, word: words[fallback])
    case .text(let fallback): .text(fallback)
    }
  }
}
