// The members of a JSON object, in the order in which they were written.
// Names are compared code unit by code unit (RFC 8259, section 8.3), unlike Swift strings, for which a letter with a
// combining accent equals the accented letter: the vocabulary of a tokenizer may hold both as different tokens.

import OrderedCollections

/// An insertion-ordered dictionary from member names to values; a collection of its `(key, value)` pairs.
package struct JSONObject: Sendable {
  private var members: OrderedDictionary<Name, JSON>

  package init() { members = [:] }

  /// A name given twice keeps its first place and its last value.
  package init(_ elements: some Sequence<(String, JSON)>) {
    members = OrderedDictionary(minimumCapacity: elements.underestimatedCount)
    for (key, value) in elements { members[Name(key)] = value }
  }

  /// Members whose names are known to differ.
  init(distinctKeys: [String], values: [JSON]) {
    members = OrderedDictionary(uncheckedUniqueKeys: distinctKeys.lazy.map(Name.init), values: values)
  }

  /// The value of member `key`. Setting nil removes the member; setting an existing one keeps its place.
  package subscript(key: String) -> JSON? {
    get { members[Name(key)] }
    set { members[Name(key)] = newValue }
  }

  package subscript(key: String, default fallback: @autoclosure () -> JSON) -> JSON {
    get { members[Name(key)] ?? fallback() }
    set { members[Name(key)] = newValue }
  }

  package var keys: some RandomAccessCollection<String> { members.keys.lazy.map(\.text) }
  package var values: some RandomAccessCollection<JSON> { members.values }

  @discardableResult
  package mutating func removeValue(forKey key: String) -> JSON? { members.removeValue(forKey: Name(key)) }

  /// A member name, equal to another only if all their UTF-8 bytes are.
  private struct Name: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (a: Name, b: Name) -> Bool {
      let equal = a.text.utf8.withContiguousStorageIfAvailable { a in
        b.text.utf8.withContiguousStorageIfAvailable { b in a.elementsEqual(b) }
      }
      return (equal ?? nil) ?? a.text.utf8.elementsEqual(b.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
      let hashed: Void? = text.utf8.withContiguousStorageIfAvailable { bytes in
        hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
      }
      if hashed == nil { for byte in text.utf8 { hasher.combine(byte) } }
    }
  }
}

extension JSONObject: RandomAccessCollection {
  package typealias Element = (key: String, value: JSON)

  package var startIndex: Int { 0 }
  package var endIndex: Int { members.count }
  package subscript(position: Int) -> Element {
    let (name, value) = members.elements[position]
    return (name.text, value)
  }
}

extension JSONObject: Equatable {
  /// The same members with equal values; as in RFC 8259 their order does not matter.
  package static func == (a: JSONObject, b: JSONObject) -> Bool {
    a.count == b.count && a.members.allSatisfy { name, value in b.members[name] == value }
  }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral elements: (String, JSON)...) { self.init(elements) }
}
