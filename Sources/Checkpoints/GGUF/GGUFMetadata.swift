// Typed access to GGUF metadata: by whole keys, and under the prefix of an architecture. A missing key, a wrong type
// and a value out of range are faults with the key's name.

import OrderedCollections

extension GGUFFile {
  func value(_ key: String) throws(GGUFFault) -> GGUFValue {
    guard let value = metadata[key] else { throw .metadataMissing(key: key) }
    return value
  }

  func string(_ key: String) throws(GGUFFault) -> String {
    let value = try value(key)
    guard case .string(let string) = value else { throw wrong(key, "a string", value) }
    return string
  }

  func bool(_ key: String) throws(GGUFFault) -> Bool {
    let value = try value(key)
    guard case .bool(let bool) = value else { throw wrong(key, "a boolean", value) }
    return bool
  }

  func integer(_ key: String) throws(GGUFFault) -> Int {
    let value = try value(key)
    guard let integer = value.integer else { throw wrong(key, "an integer", value) }
    return integer
  }

  /// An integer that counts something there must be: 1 to 2^31 - 1.
  func positive(_ key: String) throws(GGUFFault) -> Int {
    let integer = try integer(key)
    guard (1...Int(Int32.max)).contains(integer) else {
      throw .metadataValue(key: key, found: String(integer), expected: "1 to \(Int32.max)")
    }
    return integer
  }

  /// A finite float.
  func float(_ key: String) throws(GGUFFault) -> Double {
    let value = try value(key)
    guard case .float(let float) = value else { throw wrong(key, "a float", value) }
    guard float.isFinite else { throw .metadataValue(key: key, found: value.text, expected: "a finite number") }
    return float
  }

  func array(_ key: String) throws(GGUFFault) -> GGUFArray {
    let value = try value(key)
    guard case .array(let array) = value else { throw wrong(key, "an array", value) }
    return array
  }

  private func wrong(_ key: String, _ expected: String, _ value: GGUFValue) -> GGUFFault {
    .metadataType(key: key, expected: expected, found: value.typeName)
  }

  /// The result of `body`, whose faults become errors about this file.
  func fault<T>(_ body: (GGUFFile) throws(GGUFFault) -> T) throws(CheckpointError) -> T {
    do throws(GGUFFault) {
      return try body(self)
    } catch {
      throw .gguf(path: path, error)
    }
  }
}

/// The metadata of a file under the prefix of its architecture. Names are those behind the prefix.
struct GGUFFields {
  let file: GGUFFile
  let architecture: String

  func key(_ name: String) -> String { "\(architecture).\(name)" }
  func has(_ name: String) -> Bool { file.metadata[key(name)] != nil }
  func string(_ name: String) throws(GGUFFault) -> String { try file.string(key(name)) }
  func integer(_ name: String) throws(GGUFFault) -> Int { try file.integer(key(name)) }

  /// - Parameter fallback: for a key that is not there; without it that is a fault.
  func positive(_ name: String, default fallback: Int? = nil) throws(GGUFFault) -> Int {
    if let fallback, !has(name) { return fallback }
    return try file.positive(key(name))
  }

  /// - Parameter fallback: for a key that is not there; without it that is a fault.
  func float(_ name: String, default fallback: Double? = nil) throws(GGUFFault) -> Double {
    if let fallback, !has(name) { return fallback }
    return try file.float(key(name))
  }
}
