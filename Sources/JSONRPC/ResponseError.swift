// The error object of a reply (JSON-RPC 2.0, section 5.1).

package import JSON

/// Why a request was not done: a number, words for a person, and facts for a program.
package struct ResponseError: Error, Sendable, Equatable {
  package var code: ErrorCode
  package var message: String
  /// An object whose `kind` is a stable word to branch on, with the facts of that kind.
  package var data: JSON?

  package init(_ code: ErrorCode, _ message: String, data: JSON? = nil) {
    self.code = code
    self.message = message
    self.data = data
  }

  /// An error whose data are `kind` and `facts`.
  package init(_ code: ErrorCode, kind: String, _ message: String, facts: JSONObject = [:]) {
    var data: JSONObject = ["kind": .string(kind)]
    for (key, value) in facts { data[key] = value }
    self.init(code, message, data: .object(data))
  }

  /// The word in `data.kind`.
  package var kind: String? { data?["kind"]?.string }

  package var json: JSON {
    var object: JSONObject = ["code": JSON(code.rawValue), "message": .string(message)]
    if let data { object["data"] = data }
    return .object(object)
  }

  /// The error object of a reply, or nil if `json` is none.
  package init?(_ json: JSON) {
    guard let code = json["code"]?.integer, let message = json["message"]?.string else { return nil }
    self.init(ErrorCode(rawValue: code), message, data: json["data"])
  }

  /// The reply to a document that could not be read.
  package init(_ error: JSONError) {
    var facts: JSONObject = [:]
    if let offset = error.offset { facts["offset"] = JSON(offset) }
    switch error {
    case .tooLarge(_, let limit), .tooDeep(let limit, _), .tooManyNodes(let limit, _): facts["limit"] = JSON(limit)
    default: break
    }
    let isOurs = ["readerFailed", "outOfMemory"].contains(error.kind)
    self.init(
      isOurs ? .internalError : .parseError, kind: error.kind,
      "The message could not be read as JSON. " + error.message, facts: facts)
  }
}
