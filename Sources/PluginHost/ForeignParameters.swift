// Parameters across the border: their descriptions copied from a plugin, values checked and made doubles for it.

import CPluginABI
import Compression

extension ParameterDescription {
  /// - Throws: `structSize`, `fieldInvalid`.
  init(at pointer: UnsafeRawPointer, field: String) throws(PluginRejection) {
    let raw: espalier_parameter = try loadStruct(at: pointer, name: "espalier_parameter", first: 48)
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
    let words = try Self.words(raw, field: "\(field).choices")
    guard raw.default_text == nil || raw.type == ESPALIER_TEXT else {
      throw .fieldInvalid(field: "\(field).default_text", problem: "is there, but the parameter is no text")
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
    case ESPALIER_CHOICE:
      guard raw.minimum == 0, raw.maximum == Double(words.count - 1), let index = Int(exactly: raw.default_value) else {
        throw .fieldInvalid(
          field: field,
          problem: "is a choice of \(words.count) words; expected are bounds of 0...\(words.count - 1) and a whole "
            + "default")
      }
      self.init(name: name, summary: summary, kind: .choice(default: index, words: words))
    case ESPALIER_TEXT:
      guard bounds.allSatisfy({ $0 == 0 }) else {
        throw .fieldInvalid(field: field, problem: "is a text; its three numbers must be 0")
      }
      guard raw.default_text != nil else {
        throw .fieldInvalid(field: "\(field).default_text", problem: "is NULL")
      }
      let fallback = try ForeignText.optional(raw.default_text, field: "\(field).default_text", limit: Self.textLimit)
      self.init(name: name, summary: summary, kind: .text(default: fallback ?? ""))
    default:
      throw .fieldInvalid(field: "\(field).type", problem: "is \(raw.type), which is no type")
    }
  }

  /// The words of a choice; none for other types.
  private static func words(_ raw: espalier_parameter, field: String) throws(PluginRejection) -> [String] {
    guard raw.type == ESPALIER_CHOICE else {
      guard raw.choice_count == 0 else {
        throw .fieldInvalid(field: field, problem: "has \(raw.choice_count) words, but the parameter is no choice")
      }
      return []
    }
    guard (2...32).contains(raw.choice_count) else {
      throw .fieldInvalid(field: field, problem: "has \(raw.choice_count) words, expected are 2...32")
    }
    guard let choices = raw.choices else { throw .fieldInvalid(field: field, problem: "is NULL") }
    var words: [String] = []
    for index in 0..<Int(raw.choice_count) {
      let word = try ForeignText.required(choices[index], field: "\(field)[\(index)]", limit: 64)
      guard ForeignText.isKebabCase(word), !words.contains(word) else {
        throw .fieldInvalid(
          field: "\(field)[\(index)]", problem: "is '\(word)', expected are kebab-case words, each once")
      }
      words.append(word)
    }
    return words
  }

  /// The value as a plugin takes it; nil if this description does not allow it.
  /// - Parameter texts: of how many parameters before this one the value is a text.
  func double(_ value: ParameterValue, texts: Int = 0) -> Double? {
    switch (value, kind) {
    case (.number(let number), .number(_, let minimum, let maximum)) where number >= minimum && number <= maximum:
      number
    case (.integer(let integer), .integer(_, let minimum, let maximum))
    where integer >= minimum && integer <= maximum:
      Double(integer)
    case (.boolean(let boolean), .boolean):
      boolean ? 1 : 0
    case (.choice(let index, let word), .choice(_, let words))
    where words.indices.contains(index) && words[index] == word:
      Double(index)
    case (.text(let text), .text) where text.utf8.count <= Self.textLimit && !text.utf8.contains(0):
      Double(texts)
    default:
      nil
    }
  }
}
