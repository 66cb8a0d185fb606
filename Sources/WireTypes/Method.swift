// What a method of the protocol is: a name, parameters read from JSON, and a result made of typed values.
// One file per method; nothing here knows a domain type.

package import JSON

/// A method of the protocol, version 1.
package protocol Method {
  /// As on the wire: `mask/apply`.
  static var name: String { get }
  associatedtype Params: MethodParams
}

/// The parameters of a method.
package protocol MethodParams: Sendable {
  /// Reads the parameters; `JSONFields.finish` is the caller's part.
  init(_ fields: inout JSONFields) throws(JSONFieldError)
}

/// For methods that take none.
package struct NoParams: MethodParams {
  package init(_ fields: inout JSONFields) throws(JSONFieldError) {}
}

/// Parameters of methods that take just a model.
package struct ModelParams: MethodParams {
  package let model: String

  package init(_ fields: inout JSONFields) throws(JSONFieldError) { model = try fields.string("model") }
}

/// Parameters of methods that take a model and, optionally, a revision of it.
package struct RevisionParams: MethodParams {
  package let model: String
  /// Nil: the current one.
  package let revision: String?

  package init(_ fields: inout JSONFields) throws(JSONFieldError) {
    model = try fields.string("model")
    revision = try fields.optionalString("revision")
  }
}

extension JSONFields {
  /// A name that the client gives to something, in whatever script: it comes back in messages and tables.
  mutating func optionalName(_ key: String) throws(JSONFieldError) -> String? {
    let name = try optionalString(key)
    let isControl = { (scalar: Unicode.Scalar) in scalar.properties.generalCategory == .control }
    if let name, !(1...256).contains(name.unicodeScalars.count) || name.unicodeScalars.contains(where: isControl) {
      throw error(.outOfRange, key, expected: "1 to 256 characters, none of them a control character")
    }
    return name
  }
}

extension JSONFields {
  /// The token under which a result is sent in parts: an integer or a string. (LSP 3.17, partial results)
  mutating func partialResultToken() throws(JSONFieldError) -> JSON? {
    let token = optionalValue("partialResultToken")
    switch token {
    case nil, .integer?, .string?: return token
    default: throw error(.wrongType, "partialResultToken", expected: "an integer or a string")
    }
  }
}

/// What of the work is asked for: `sparsity`, a number, or `pattern`, as "2:4". Exactly one of them.
package enum SparsityParam: Sendable, Equatable {
  case sparsity(Double)
  case pattern(String)

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    let sparsity = try fields.optionalDouble("sparsity", in: 0...1)
    let pattern = try fields.optionalString("pattern")
    switch (sparsity, pattern) {
    case (let sparsity?, nil): self = .sparsity(sparsity)
    case (nil, let pattern?): self = .pattern(pattern)
    case (nil, nil):
      throw fields.error(.missingField, "sparsity", expected: "a number from 0 to 1, or `pattern` as \"2:4\"")
    case (_?, _?):
      throw fields.error(.outOfRange, "pattern", expected: "either `sparsity` or `pattern`, not both")
    }
  }
}

/// A rectangle of a matrix: `{rows: [from, to), columns: [from, to)}`.
package struct RegionParam: Sendable, Equatable {
  package let rows: Range<Int>
  package let columns: Range<Int>

  init(_ fields: inout JSONFields) throws(JSONFieldError) {
    rows = try Self.range("rows", &fields)
    columns = try Self.range("columns", &fields)
    try fields.finish()
  }

  private static func range(_ key: String, _ fields: inout JSONFields) throws(JSONFieldError) -> Range<Int> {
    let bounds = try fields.ints(key, in: 0...Int(Int32.max))
    guard bounds.count == 2, bounds[0] < bounds[1] else {
      throw fields.error(.outOfRange, key, expected: "[from, to) with from < to")
    }
    return bounds[0]..<bounds[1]
  }

  static func optional(_ key: String, _ fields: inout JSONFields) throws(JSONFieldError) -> RegionParam? {
    guard var region = try fields.optionalFields(key) else { return nil }
    return try RegionParam(&region)
  }
}

/// The grid of a heatmap: `{rows, columns}`, at most 64 x 64 cells.
package struct GridParam: Sendable, Equatable {
  package let rows: Int
  package let columns: Int

  static func optional(_ key: String, _ fields: inout JSONFields) throws(JSONFieldError) -> GridParam? {
    guard var grid = try fields.optionalFields(key) else { return nil }
    let size = GridParam(rows: try grid.int("rows", in: 1...64), columns: try grid.int("columns", in: 1...64))
    try grid.finish()
    return size
  }
}

/// The comparison groups of masks.
let groupNames = ["matrix", "row", "column", "global"]

/// How sparse one tensor is after an edit.
package struct TensorSparsity: Sendable {
  let json: JSON

  package init(tensor: String, sparsity: Double, pruned: Int, kept: Int) {
    json = [
      "tensor": JSON(tensor), "sparsity": JSON(sparsity), "pruned": JSON(pruned), "kept": JSON(kept),
    ]
  }
}

/// Numbers that JSON may not hold: NaN and infinities go as named strings.
func wireNumber(_ value: Double) -> JSON {
  if value.isFinite { return .number(value) }
  return value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity"
}

func wireNumber(_ value: Float) -> JSON { wireNumber(Double(value)) }

/// Values of a region: numbers, or base64 of little-endian fp32.
package enum ValueEncoding: String, Sendable, CaseIterable {
  case numbers, base64

  func json(_ values: [Float]) -> JSON {
    switch self {
    case .numbers: .array(values.map(wireNumber))
    case .base64:
      .string(
        base64Text(
          values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) } }))
    }
  }
}
