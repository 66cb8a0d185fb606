// Writing: the value becomes a json-c tree and json-c writes it. No other file writes JSON text.
// What JSON cannot express is refused with its path; it never becomes invalid text.

import CJSONC

extension JSON {
  /// Arrays and objects open at the same time in what is written: as many as are read.
  package static let writableDepth = JSONLimits.message.depth

  /// The value as compact UTF-8 text. Doubles are written in the shortest form that reads back as the same double.
  /// - Throws: `notFinite`, `keyNotWritable`, `valueTooDeep`, `textTooLong`, `outOfMemory`.
  package func serialized() throws(JSONError) -> [UInt8] {
    try written(flags: JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
  }

  /// The value as indented text, ending without a line break.
  /// - Throws: as `serialized()`.
  package func prettyPrinted() throws(JSONError) -> [UInt8] {
    try written(flags: JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)
  }

  private func written(flags: Int32) throws(JSONError) -> [UInt8] {
    if case .null = self { return Array("null".utf8) }  // json-c's null is no node
    let node = try makeNode(depth: 0)
    defer { json_object_put(node) }
    var length = 0
    guard let text = json_object_to_json_string_length(node, flags, &length) else { throw .textTooLong }
    return Array(UnsafeRawBufferPointer(start: text, count: length))
  }

  /// A json-c node owned by the caller; nil stands for null.
  private func makeNode(depth: Int) throws(JSONError) -> OpaquePointer? {
    let node: OpaquePointer?
    switch self {
    case .null: return nil
    case .bool(let value): node = json_object_new_boolean(value ? 1 : 0)
    case .integer(let value): node = json_object_new_int64(value)
    case .number(let value):
      guard value.isFinite else { throw .notFinite(value, path: "The value") }
      node = json_object_new_double_s(value, value.description)
    case .string(var value):
      let made: OpaquePointer?? = value.withUTF8 { utf8 in
        guard let length = Int32(exactly: utf8.count) else { return nil }
        return utf8.withMemoryRebound(to: CChar.self) { json_object_new_string_len($0.baseAddress, length) }
      }
      guard let made else { throw .textTooLong }
      node = made
    case .array(let elements): node = try Self.makeArray(elements, depth: depth + 1)
    case .object(let members): node = try Self.makeObject(members, depth: depth + 1)
    }
    guard let node else { throw .outOfMemory }
    return node
  }

  private static func makeArray(_ elements: [JSON], depth: Int) throws(JSONError) -> OpaquePointer? {
    guard depth <= writableDepth else { throw .valueTooDeep(limit: writableDepth) }
    guard let node = json_object_new_array() else { return nil }
    do throws(JSONError) {
      for (index, element) in elements.enumerated() {
        let child: OpaquePointer?
        do throws(JSONError) {
          child = try element.makeNode(depth: depth)
        } catch {
          throw error.inside("[\(index)]")
        }
        guard json_object_array_add(node, child) == 0 else {
          json_object_put(child)
          throw .outOfMemory
        }
      }
    } catch {
      json_object_put(node)
      throw error
    }
    return node
  }

  private static func makeObject(_ members: JSONObject, depth: Int) throws(JSONError) -> OpaquePointer? {
    guard depth <= writableDepth else { throw .valueTooDeep(limit: writableDepth) }
    guard let node = json_object_new_object() else { return nil }
    do throws(JSONError) {
      for (key, value) in members {
        guard !key.utf8.contains(0) else { throw .keyNotWritable(key, path: "The value") }
        let child: OpaquePointer?
        do throws(JSONError) {
          child = try value.makeNode(depth: depth)
        } catch {
          throw error.inside(key)
        }
        guard json_object_object_add_ex(node, key, child, UInt32(JSON_C_OBJECT_ADD_KEY_IS_NEW)) == 0 else {
          json_object_put(child)
          throw .outOfMemory
        }
      }
    } catch {
      json_object_put(node)
      throw error
    }
    return node
  }
}

extension JSONError {
  /// The same fault, seen from the container that holds it as `step`: a member name or `[index]`.
  fileprivate func inside(_ step: String) -> JSONError {
    func extended(_ path: String) -> String {
      if path == "The value" { return step }
      return path.hasPrefix("[") ? step + path : step + "." + path
    }
    switch self {
    case .notFinite(let value, let path): return .notFinite(value, path: extended(path))
    case .keyNotWritable(let key, let path): return .keyNotWritable(key, path: extended(path))
    default: return self
    }
  }
}
