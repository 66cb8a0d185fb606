// The strict grammar of RFC 8259, walked over the bytes of a document before json-c sees them: whatever json-c would
// let pass (leading zeros, NaN, single quotes, comments, lone surrogates, ...) ends here. Builds nothing, copies
// nothing, keeps a stack no deeper than the limit. Strings and numbers are in JSONScanner+Scalars.swift.

/// One pass over a document: checks it and counts the members of its objects.
struct JSONScanner {
  let bytes: UnsafeRawBufferPointer
  let limits: JSONLimits
  /// The byte to look at next.
  var position = 0
  /// For each object, in the order in which they open, how many members it was written with. json-c keeps one of
  /// several members of the same name, so an object that comes out smaller had a duplicate.
  private(set) var memberCounts: [Int] = []
  /// The place of the document without the whitespace around it.
  private(set) var extent = 0..<0
  /// Where the names of the object with this number lie, quotation marks included, if one is asked for.
  private var watched: Int?
  private var watchedNames: [Range<Int>] = []

  private var nodes = 0
  /// The open containers: the number of an object, or -1 for an array.
  private var open: [Int] = []

  init(_ bytes: UnsafeRawBufferPointer, limits: JSONLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  /// What the grammar allows next.
  private enum Expectation { case value, firstElement, firstName, name, afterValue }

  /// Reads the whole document.
  /// - Throws: the first departure from the grammar, or the first limit exceeded.
  mutating func scan() throws(JSONError) {
    guard bytes.count <= limits.bytes else { throw .tooLarge(bytes: bytes.count, limit: limits.bytes) }
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { throw .byteOrderMark }
    skipWhitespace()
    guard position < bytes.count else { throw .empty }
    let start = position
    var expectation = Expectation.value
    while true {
      skipWhitespace()
      switch expectation {
      case .value:
        expectation = try scanValue()
      case .firstElement:
        expectation = closes(0x5d) ? .afterValue : .value
      case .firstName:
        expectation = closes(0x7d) ? .afterValue : .name
      case .name:
        try scanName()
        expectation = .value
      case .afterValue:
        guard let container = open.last else {
          extent = start..<position
          return try scanEnd()
        }
        expectation = try scanSeparator(inObject: container >= 0)
      }
    }
  }

  /// The first name that the object with number `object` has twice, and its place. For documents that `scan` accepts.
  static func duplicate(
    inObject object: Int, of bytes: UnsafeRawBufferPointer, limits: JSONLimits, decode: (Range<Int>) -> String?
  ) -> (name: String, offset: Int)? {
    var scanner = JSONScanner(bytes, limits: limits)
    scanner.watched = object
    guard (try? scanner.scan()) != nil else { return nil }
    var seen: Set<[UInt8]> = []
    for place in scanner.watchedNames {
      guard let name = decode(place) else { return nil }
      if !seen.insert(Array(name.utf8)).inserted { return (name, place.lowerBound) }
    }
    return nil
  }

  private mutating func scanValue() throws(JSONError) -> Expectation {
    nodes += current == 0x7b ? JSONLimits.objectWeight : 1
    guard nodes <= limits.nodes else { throw .tooManyNodes(limit: limits.nodes, offset: position) }
    switch current {
    case 0x7b:
      try push(memberCounts.count)
      memberCounts.append(0)
      return .firstName
    case 0x5b:
      try push(-1)
      return .firstElement
    case 0x22: try scanString(isName: false)
    case 0x2d, 0x30...0x39: try scanNumber()
    case 0x74: try scanWord("true")
    case 0x66: try scanWord("false")
    case 0x6e: try scanWord("null")
    default: throw unexpected("a value")
    }
    return .afterValue
  }

  private mutating func push(_ container: Int) throws(JSONError) {
    guard open.count < limits.depth else { throw .tooDeep(limit: limits.depth, offset: position) }
    open.append(container)
    position += 1
  }

  /// Consumes the closing bracket `byte` if it comes next.
  private mutating func closes(_ byte: UInt8) -> Bool {
    guard current == byte else { return false }
    open.removeLast()
    position += 1
    return true
  }

  private mutating func scanName() throws(JSONError) {
    guard current == 0x22 else { throw unexpected("a member name in double quotes") }
    let start = position
    try scanString(isName: true)
    if let object = open.last {
      memberCounts[object] += 1
      if object == watched { watchedNames.append(start..<position) }
    }
    skipWhitespace()
    guard current == 0x3a else { throw unexpected("':' after a member name") }
    position += 1
  }

  private mutating func scanSeparator(inObject: Bool) throws(JSONError) -> Expectation {
    if current == 0x2c {
      position += 1
      return inObject ? .name : .value
    }
    guard closes(inObject ? 0x7d : 0x5d) else {
      throw unexpected(inObject ? "',' or '}' after a member" : "',' or ']' after an element")
    }
    return .afterValue
  }

  private mutating func scanEnd() throws(JSONError) {
    skipWhitespace()
    if position < bytes.count { throw .trailing(found: current, offset: position) }
  }

  private mutating func skipWhitespace() {
    while current == 0x20 || current == 0x0a || current == 0x0d || current == 0x09 { position += 1 }
  }

  /// The byte at `position`; at the end NUL, which the grammar allows nowhere.
  var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

  func unexpected(_ expected: String) -> JSONError {
    .unexpected(found: position < bytes.count ? current : nil, expected: expected, offset: position)
  }
}
