// The numbers that an error reply may carry. Clients tell cases apart by `data.kind`; the numbers are the few
// that JSON-RPC 2.0 (section 5.1) and the Language Server Protocol 3.17 (section "ErrorCodes") define.

package struct ErrorCode: RawRepresentable, Hashable, Sendable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }

  /// The bytes received are no JSON. JSON-RPC 2.0, section 5.1.
  package static let parseError = ErrorCode(rawValue: -32700)
  /// The JSON received is no request, or no request that is allowed now. JSON-RPC 2.0, section 5.1.
  package static let invalidRequest = ErrorCode(rawValue: -32600)
  /// There is no such method. JSON-RPC 2.0, section 5.1.
  package static let methodNotFound = ErrorCode(rawValue: -32601)
  /// The parameters are not those of the method. JSON-RPC 2.0, section 5.1.
  package static let invalidParams = ErrorCode(rawValue: -32602)
  /// A fault of the server. JSON-RPC 2.0, section 5.1.
  package static let internalError = ErrorCode(rawValue: -32603)

  /// A request came before `initialize`. LSP 3.17, ErrorCodes.
  package static let serverNotInitialized = ErrorCode(rawValue: -32002)
  /// The client cancelled the request. LSP 3.17, ErrorCodes.
  package static let requestCancelled = ErrorCode(rawValue: -32800)
  /// What the request is about changed under it. LSP 3.17, ErrorCodes.
  package static let contentModified = ErrorCode(rawValue: -32801)
  /// The server cancelled the request, where the method allows that. LSP 3.17, ErrorCodes.
  package static let serverCancelled = ErrorCode(rawValue: -32802)
  /// The request was understood and allowed, but it failed. LSP 3.17, ErrorCodes.
  package static let requestFailed = ErrorCode(rawValue: -32803)
}
