// Reading: the scanner refuses what is not strict JSON, json-c builds the tree, and the tree becomes a JSON value.
// No other file reads JSON text.

import CJSONC

extension JSON {
  /// Reads one document.
  /// - Throws: `JSONError` for anything that RFC 8259 does not allow, and for duplicate member names, integers beyond
  ///   64 bits, numbers beyond double, NUL in a member name, and whatever exceeds `limits`.
  package static func parse(
    _ bytes: UnsafeRawBufferPointer, limits: JSONLimits = .message
  ) throws(JSONError) -> JSON {
    var limits = limits
    limits.bytes = min(limits.bytes, Int(Int32.max))  // json-c counts in int
    limits.depth = min(limits.depth, 1024)  // the tree is walked and freed by recursion
    var scanner = JSONScanner(bytes, limits: limits)
    try scanner.scan()
    let tree = try CTree(UnsafeRawBufferPointer(rebasing: bytes[scanner.extent]), depth: limits.depth)
    var conversion = Conversion(memberCounts: scanner.memberCounts)
    guard let json = conversion.json(tree.root) else {
      let duplicate = JSONScanner.duplicate(inObject: conversion.objects - 1, of: bytes, limits: limits) { place in
        guard let name = try? CTree(UnsafeRawBufferPointer(rebasing: bytes[place]), depth: 1) else { return nil }
        return string(of: name.root)
      }
      throw .duplicateKey(duplicate?.name ?? "", offset: duplicate?.offset ?? 0)
    }
    return json
  }

  package static func parse(_ bytes: [UInt8], limits: JSONLimits = .message) throws(JSONError) -> JSON {
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(JSONError) in try parse(bytes, limits: limits) }
    }
    return try result.get()
  }

  package static func parse(_ text: String, limits: JSONLimits = .message) throws(JSONError) -> JSON {
    try parse(Array(text.utf8), limits: limits)
  }

  /// The text of a json-c string, which may hold NUL.
  private static func string(of node: OpaquePointer?) -> String {
    guard let text = json_object_get_string(node) else { return "" }
    let bytes = UnsafeRawBufferPointer(start: text, count: Int(json_object_get_string_len(node)))
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Walks json-c's tree, whose depth the scanner has bounded.
  private struct Conversion {
    let memberCounts: [Int]
    /// Objects met so far, in document order: the order of `memberCounts`.
    var objects = 0

    /// The value of `node`, or nil if the object met last has fewer members than were written.
    mutating func json(_ node: OpaquePointer?) -> JSON? {
      switch json_object_get_type(node) {
      case json_type_boolean: return .bool(json_object_get_boolean(node) != 0)
      case json_type_int: return .integer(json_object_get_int64(node))
      case json_type_double: return .number(json_object_get_double(node))
      case json_type_string: return .string(JSON.string(of: node))
      case json_type_array: return array(node)
      case json_type_object: return object(node)
      default: return .null
      }
    }

    private mutating func array(_ node: OpaquePointer?) -> JSON? {
      let count = json_object_array_length(node)
      var elements: [JSON] = []
      elements.reserveCapacity(count)
      for index in 0..<count {
        guard let element = json(json_object_array_get_idx(node, index)) else { return nil }
        elements.append(element)
      }
      return .array(elements)
    }

    private mutating func object(_ node: OpaquePointer?) -> JSON? {
      let count = Int(json_object_object_length(node))
      objects += 1
      guard count == memberCounts[objects - 1] else { return nil }
      var keys: [String] = []
      var values: [JSON] = []
      keys.reserveCapacity(count)
      values.reserveCapacity(count)
      var entry = json_object_get_object(node)?.pointee.head
      while let member = entry {
        guard let value = json(OpaquePointer(member.pointee.v)) else { return nil }
        keys.append(String(cString: member.pointee.k.assumingMemoryBound(to: CChar.self)))
        values.append(value)
        entry = member.pointee.next
      }
      return .object(JSONObject(distinctKeys: keys, values: values))
    }
  }
}

/// A tree of json-c nodes, freed with its owner.
private struct CTree: ~Copyable {
  let root: OpaquePointer?

  /// - Parameter bytes: a document that the scanner has accepted, without whitespace around it.
  init(_ bytes: UnsafeRawBufferPointer, depth: Int) throws(JSONError) {
    // json-c counts a scalar as one level.
    guard let tokener = json_tokener_new_ex(Int32(depth + 1)) else { throw .outOfMemory }
    defer { json_tokener_free(tokener) }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8)
    var root = json_tokener_parse_ex(
      tokener, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count))
    if json_tokener_get_error(tokener) == json_tokener_continue {
      root = json_tokener_parse_ex(tokener, "\0", 1)  // a number ends only where something else begins
    }
    let status = json_tokener_get_error(tokener)
    guard status == json_tokener_success else {
      throw .readerFailed(String(cString: json_tokener_error_desc(status)), offset: json_tokener_get_parse_end(tokener))
    }
    self.root = root
  }

  deinit { json_object_put(root) }
}
