// Reading the members of a tokenizer file's objects, with errors that name them.

import JSON

/// A JSON object of a tokenizer file, and what messages call it.
struct Object {
  let members: JSONObject
  let name: String

  init(_ json: JSON?, _ name: String) throws(TokenizerFault) {
    guard let members = json?.object else { throw .field(name, expected: "an object") }
    self.members = members
    self.name = name
  }

  /// A member that is not null.
  subscript(key: String) -> JSON? {
    guard let value = members[key], !value.isNull else { return nil }
    return value
  }

  /// A flag; false if it is not there.
  func bool(_ key: String, default fallback: Bool = false) throws(TokenizerFault) -> Bool {
    guard let value = self[key] else { return fallback }
    guard let bool = value.bool else { throw .field("\(name).\(key)", expected: "true or false") }
    return bool
  }

  /// A text; `fallback` if it is not there.
  func string(_ key: String, default fallback: String? = nil) throws(TokenizerFault) -> String {
    if self[key] == nil, let fallback { return fallback }
    guard let text = self[key]?.string else { throw .field("\(name).\(key)", expected: "a string") }
    return text
  }
}
