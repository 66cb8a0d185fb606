// Why a document was refused or a value could not be written. The text is in JSONError+Message.swift.

/// What is wrong with a JSON text or value. `offset` counts bytes from the start of the document.
package enum JSONError: Error, Sendable, Equatable {
  /// Nothing but whitespace.
  case empty
  case tooLarge(bytes: Int, limit: Int)
  case tooDeep(limit: Int, offset: Int)
  case tooManyNodes(limit: Int, offset: Int)
  /// The grammar wants something else here; `found` is nil at the end of the document.
  case unexpected(found: UInt8?, expected: String, offset: Int)
  /// Bytes after the document.
  case trailing(found: UInt8, offset: Int)
  case byteOrderMark
  case leadingZero(offset: Int)
  /// A control character that must be escaped in a string.
  case controlCharacter(UInt8, offset: Int)
  case invalidUTF8(UInt8, offset: Int)
  case loneSurrogate(UInt16, offset: Int)
  /// A member name with a NUL character, which C strings cannot hold.
  case nulInKey(offset: Int)
  /// An integer beyond 64 bits.
  case integerOutOfRange(String, offset: Int)
  /// A number beyond the largest double.
  case numberOutOfRange(String, offset: Int)
  case duplicateKey(String, offset: Int)

  /// Writing: NaN or an infinity at `path`.
  case notFinite(Double, path: String)
  /// Writing: a member name with a NUL character in the object at `path`.
  case keyNotWritable(String, path: String)
  /// Writing: containers nested deeper than `limit`.
  case valueTooDeep(limit: Int)
  /// Writing: a text longer than the writer can hold.
  case textTooLong
  case outOfMemory
  /// The reader refuses what the grammar allows: a fault of ours.
  case readerFailed(String, offset: Int)

  /// A stable word for clients to branch on.
  package var kind: String {
    switch self {
    case .empty: "emptyDocument"
    case .tooLarge: "documentTooLarge"
    case .tooDeep: "documentTooDeep"
    case .tooManyNodes: "tooManyValues"
    case .unexpected, .trailing, .leadingZero: "parseError"
    case .byteOrderMark: "byteOrderMark"
    case .controlCharacter: "controlCharacter"
    case .invalidUTF8: "invalidUTF8"
    case .loneSurrogate: "loneSurrogate"
    case .nulInKey: "nulInKey"
    case .integerOutOfRange: "integerOutOfRange"
    case .numberOutOfRange: "numberOutOfRange"
    case .duplicateKey: "duplicateKey"
    case .notFinite: "notFinite"
    case .keyNotWritable: "keyNotWritable"
    case .valueTooDeep: "valueTooDeep"
    case .textTooLong: "textTooLong"
    case .outOfMemory: "outOfMemory"
    case .readerFailed: "readerFailed"
    }
  }

  /// Where in the document, if it is about one place.
  package var offset: Int? {
    switch self {
    case .tooDeep(_, let offset), .tooManyNodes(_, let offset), .unexpected(_, _, let offset),
      .trailing(_, let offset), .leadingZero(let offset), .controlCharacter(_, let offset),
      .invalidUTF8(_, let offset), .loneSurrogate(_, let offset), .nulInKey(let offset),
      .integerOutOfRange(_, let offset), .numberOutOfRange(_, let offset), .duplicateKey(_, let offset),
      .readerFailed(_, let offset):
      offset
    case .byteOrderMark: 0
    case .empty, .tooLarge, .notFinite, .keyNotWritable, .valueTooDeep, .textTooLong, .outOfMemory: nil
    }
  }
}
