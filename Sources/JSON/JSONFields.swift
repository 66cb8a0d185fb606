// Reads the members of one object, typed, and says precisely which one is wrong. Used for configuration files and for
// the parameters of requests. Every member that is asked for counts as known; `finish()` refuses all others.
// An optional member that is null counts as left out.

/// The members of an object, read one after another.
///
///     var fields = try JSONFields(params, at: "params")
///     let model = try fields.string("model")
///     let sparsity = try fields.double("sparsity", in: 0...1)
///     let seed = try fields.int("seed", default: 0)
///     try fields.finish()
package struct JSONFields: Sendable {
  /// Where the object is, as `params`; empty for the top of a document.
  package let path: String
  package let members: JSONObject
  private var known: [String] = []

  /// - Throws: `wrongType` unless `json` is an object.
  package init(_ json: JSON, at path: String) throws(JSONFieldError) {
    guard let members = json.object else {
      throw JSONFieldError(.wrongType, path: path.isEmpty ? "The document" : path, expected: "an object", given: json)
    }
    self.init(members: members, at: path)
  }

  package init(members: JSONObject, at path: String) {
    self.members = members
    self.path = path
  }

  /// Whether the object has a member `key` other than null. Does not make it known.
  package func has(_ key: String) -> Bool { members[key].map { !$0.isNull } ?? false }

  /// The path of member `key`.
  package func path(of key: String) -> String { path.isEmpty ? key : path + "." + key }

  /// An error about member `key` for what only its reader can judge.
  package func error(
    _ reason: JSONFieldError.Kind = .outOfRange, _ key: String, expected: String
  ) -> JSONFieldError {
    JSONFieldError(reason, path: path(of: key), expected: expected, given: members[key])
  }

  /// Ends the reading.
  /// - Parameter others: members that are allowed though nobody asked for them.
  /// - Throws: `unknownField` for the first member that is neither known nor among `others`.
  package func finish(alsoAllowed others: [String] = []) throws(JSONFieldError) {
    let allowed = known + others.filter { !known.contains($0) }
    guard let stranger = members.keys.first(where: { !allowed.contains($0) }) else { return }
    throw JSONFieldError(
      .unknownField, path: path(of: stranger.shortened()),
      expected: allowed.isEmpty ? "no members" : allowed.joined(separator: ", "),
      given: members[stranger], suggestion: nearest(to: stranger, among: allowed))
  }

  /// The first member, other than null, that nobody asked for and that `isAllowed` does not know either.
  package func stranger(besides isAllowed: (String) -> Bool) -> String? {
    members.keys.first { has($0) && !known.contains($0) && !isAllowed($0) }
  }

  /// The value of member `key` if it is there and not null.
  package mutating func optionalValue(_ key: String) -> JSON? {
    if !known.contains(key) { known.append(key) }
    guard let value = members[key], !value.isNull else { return nil }
    return value
  }

  /// The value of member `key`, converted; nil if it is left out.
  fileprivate mutating func read<Value>(
    _ key: String, _ expected: String, _ convert: (JSON) -> Value?
  ) throws(JSONFieldError) -> Value? {
    guard let json = optionalValue(key) else { return nil }
    guard let value = convert(json) else { throw error(.wrongType, key, expected: expected) }
    return value
  }

  /// `value`, or the error that member `key` is missing.
  fileprivate func required<Value>(
    _ value: Value?, _ key: String, _ expected: String
  ) throws(JSONFieldError) -> Value {
    guard let value else { throw JSONFieldError(.missingField, path: path(of: key), expected: expected) }
    return value
  }
}

// MARK: Strings and booleans

extension JSONFields {
  /// The longest string, in bytes, where no other limit is given: names and paths, which errors repeat.
  package static let stringLimit = 4096

  /// - Parameters:
  ///   - words: the strings allowed; nil allows all.
  ///   - limit: the longest string, in bytes.
  package mutating func optionalString(
    _ key: String, oneOf words: [String]? = nil, limit: Int = Self.stringLimit
  ) throws(JSONFieldError) -> String? {
    let expected = Self.stringExpectation(words)
    let value = try read(key, expected) { $0.string }
    if let value, value.utf8.count > limit { throw error(.outOfRange, key, expected: "at most \(limit) bytes of text") }
    if let value, let words, !words.contains(value) {
      let hint = nearest(to: value, among: words).map { " (did you mean \"\($0)\"?)" } ?? ""
      throw error(.outOfRange, key, expected: expected + hint)
    }
    return value
  }

  package mutating func string(_ key: String, oneOf words: [String]? = nil) throws(JSONFieldError) -> String {
    try required(optionalString(key, oneOf: words), key, Self.stringExpectation(words))
  }

  package mutating func string(
    _ key: String, oneOf words: [String]? = nil, default fallback: String
  ) throws(JSONFieldError) -> String {
    try optionalString(key, oneOf: words) ?? fallback
  }

  package mutating func optionalBool(_ key: String) throws(JSONFieldError) -> Bool? {
    try read(key, "true or false") { $0.bool }
  }

  package mutating func bool(_ key: String) throws(JSONFieldError) -> Bool {
    try required(optionalBool(key), key, "true or false")
  }

  package mutating func bool(_ key: String, default fallback: Bool) throws(JSONFieldError) -> Bool {
    try optionalBool(key) ?? fallback
  }

  private static func stringExpectation(_ words: [String]?) -> String {
    guard let words else { return "a string" }
    return (words.count == 1 ? "" : "one of ") + words.map { "\"\($0)\"" }.joined(separator: ", ")
  }
}

// MARK: Numbers

extension JSONFields {
  package mutating func optionalInt(
    _ key: String, in range: ClosedRange<Int>? = nil
  ) throws(JSONFieldError) -> Int? {
    let expected = Self.intExpectation(range)
    let value = try read(key, expected) { $0.integer }
    if let value, let range, !range.contains(value) { throw error(.outOfRange, key, expected: expected) }
    return value
  }

  package mutating func int(_ key: String, in range: ClosedRange<Int>? = nil) throws(JSONFieldError) -> Int {
    try required(optionalInt(key, in: range), key, Self.intExpectation(range))
  }

  package mutating func int(
    _ key: String, in range: ClosedRange<Int>? = nil, default fallback: Int
  ) throws(JSONFieldError) -> Int {
    try optionalInt(key, in: range) ?? fallback
  }

  package mutating func optionalDouble(
    _ key: String, in range: ClosedRange<Double>? = nil
  ) throws(JSONFieldError) -> Double? {
    let expected = Self.doubleExpectation(range)
    let value = try read(key, expected) { $0.number }
    if let value, let range, !range.contains(value) { throw error(.outOfRange, key, expected: expected) }
    return value
  }

  package mutating func double(
    _ key: String, in range: ClosedRange<Double>? = nil
  ) throws(JSONFieldError) -> Double {
    try required(optionalDouble(key, in: range), key, Self.doubleExpectation(range))
  }

  package mutating func double(
    _ key: String, in range: ClosedRange<Double>? = nil, default fallback: Double
  ) throws(JSONFieldError) -> Double {
    try optionalDouble(key, in: range) ?? fallback
  }

  private static func intExpectation(_ range: ClosedRange<Int>?) -> String {
    guard let range else { return "an integer" }
    return "an integer" + bounds(range, isOpenBelow: range.lowerBound == .min, isOpenAbove: range.upperBound == .max)
  }

  private static func doubleExpectation(_ range: ClosedRange<Double>?) -> String {
    guard let range else { return "a number" }
    let huge = Double.greatestFiniteMagnitude
    return "a number" + bounds(range, isOpenBelow: range.lowerBound <= -huge, isOpenAbove: range.upperBound >= huge)
  }

  private static func bounds(_ range: ClosedRange<some Any>, isOpenBelow: Bool, isOpenAbove: Bool) -> String {
    switch (isOpenBelow, isOpenAbove) {
    case (false, false): " from \(range.lowerBound) to \(range.upperBound)"
    case (false, true): " of at least \(range.lowerBound)"
    case (true, false): " of at most \(range.upperBound)"
    case (true, true): ""
    }
  }
}

// MARK: Containers

extension JSONFields {
  package mutating func value(_ key: String) throws(JSONFieldError) -> JSON {
    try required(optionalValue(key), key, "a value")
  }

  package mutating func optionalArray(_ key: String) throws(JSONFieldError) -> [JSON]? {
    try read(key, "an array") { $0.array }
  }

  package mutating func array(_ key: String) throws(JSONFieldError) -> [JSON] {
    try required(optionalArray(key), key, "an array")
  }

  package mutating func optionalObject(_ key: String) throws(JSONFieldError) -> JSONObject? {
    try read(key, "an object") { $0.object }
  }

  package mutating func object(_ key: String) throws(JSONFieldError) -> JSONObject {
    try required(optionalObject(key), key, "an object")
  }

  /// The reader of the object that member `key` is.
  package mutating func optionalFields(_ key: String) throws(JSONFieldError) -> JSONFields? {
    try optionalObject(key).map { JSONFields(members: $0, at: path(of: key)) }
  }

  package mutating func fields(_ key: String) throws(JSONFieldError) -> JSONFields {
    JSONFields(members: try object(key), at: path(of: key))
  }

  /// The readers of the objects in the array that member `key` is.
  package mutating func optionalFieldsArray(_ key: String) throws(JSONFieldError) -> [JSONFields]? {
    guard let elements = try optionalArray(key) else { return nil }
    var all: [JSONFields] = []
    for (index, element) in elements.enumerated() {
      all.append(try JSONFields(element, at: path(of: "\(key)[\(index)]")))
    }
    return all
  }

  package mutating func fieldsArray(_ key: String) throws(JSONFieldError) -> [JSONFields] {
    try required(optionalFieldsArray(key), key, "an array of objects")
  }

  /// - Parameter limit: the longest string, in bytes.
  package mutating func optionalStrings(
    _ key: String, limit: Int = Self.stringLimit
  ) throws(JSONFieldError) -> [String]? {
    try elements(
      key, limit == .max ? "a string" : "a string of at most \(limit) bytes", allowed: { $0.utf8.count <= limit },
      convert: { $0.string })
  }

  package mutating func strings(_ key: String) throws(JSONFieldError) -> [String] {
    try required(optionalStrings(key), key, "an array of strings")
  }

  package mutating func optionalInts(
    _ key: String, in range: ClosedRange<Int>? = nil
  ) throws(JSONFieldError) -> [Int]? {
    try elements(key, Self.intExpectation(range), allowed: { range?.contains($0) ?? true }, convert: { $0.integer })
  }

  package mutating func ints(_ key: String, in range: ClosedRange<Int>? = nil) throws(JSONFieldError) -> [Int] {
    try required(optionalInts(key, in: range), key, "an array of integers")
  }

  package mutating func optionalDoubles(
    _ key: String, in range: ClosedRange<Double>? = nil
  ) throws(JSONFieldError) -> [Double]? {
    try elements(key, Self.doubleExpectation(range), allowed: { range?.contains($0) ?? true }, convert: { $0.number })
  }

  package mutating func doubles(
    _ key: String, in range: ClosedRange<Double>? = nil
  ) throws(JSONFieldError) -> [Double] {
    try required(optionalDoubles(key, in: range), key, "an array of numbers")
  }

  /// The elements of an array, converted; the error names the first that is wrong.
  private mutating func elements<Value>(
    _ key: String, _ expected: String, allowed: (Value) -> Bool = { _ in true }, convert: (JSON) -> Value?
  ) throws(JSONFieldError) -> [Value]? {
    guard let elements = try optionalArray(key) else { return nil }
    var values: [Value] = []
    values.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      let value = convert(element)
      guard let value, allowed(value) else {
        throw JSONFieldError(
          value == nil ? .wrongType : .outOfRange, path: path(of: "\(key)[\(index)]"), expected: expected,
          given: element)
      }
      values.append(value)
    }
    return values
  }
}
