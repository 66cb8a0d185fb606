// From the body of a frame to messages: which member says what, and what to answer when they do not fit.
// Pure; reads and writes nothing.

package import JSON

/// A JSON value that is no message, and the id to answer it with, if that could be read.
package struct InvalidMessage: Error, Sendable, Equatable {
  package var id: RequestID?
  package var error: ResponseError
}

/// What one frame holds.
package enum Incoming: Sendable, Equatable {
  package typealias Element = Result<Message, InvalidMessage>

  /// No JSON at all.
  case unreadable(ResponseError)
  case single(Element)
  /// At least one element, of which each is answered on its own (JSON-RPC 2.0, section 6).
  case batch([Element])

  /// Messages in a batch; each may cost a reply.
  package static let batchLimit = 1024

  /// Decodes the body of a frame.
  package init(body: [UInt8], limits: JSONLimits = .message) {
    do throws(JSONError) {
      self.init(try JSON.parse(body, limits: limits))
    } catch {
      self = .unreadable(ResponseError(error))
    }
  }

  package init(_ json: JSON) {
    guard let elements = json.array else {
      self = .single(Result { () throws(InvalidMessage) in try Message(json) })
      return
    }
    if elements.isEmpty {
      self = .single(
        .failure(
          InvalidMessage(
            error: ResponseError(
              .invalidRequest, kind: "emptyBatch", "The batch is empty; send an array of at least one request."))))
    } else if elements.count > Self.batchLimit {
      self = .single(
        .failure(
          InvalidMessage(
            error: ResponseError(
              .invalidRequest, kind: "batchTooLarge",
              "The batch has \(elements.count) messages; at most \(Self.batchLimit) are taken. Send several batches.",
              facts: ["limit": JSON(Self.batchLimit)]))))
    } else {
      self = .batch(elements.map { json in Result { () throws(InvalidMessage) in try Message(json) } })
    }
  }
}

extension Message {
  /// Tells by the members what `json` is: `method` makes it a call, `id` makes a call a request, `result` or `error`
  /// makes it a response. Parameters that are null count as left out, since several editors send them so.
  /// - Throws: what to answer if it is none of these.
  init(_ json: JSON) throws(InvalidMessage) {
    guard let object = json.object else {
      throw .invalid(nil, "The message is \(json.typeName); expected an object with jsonrpc, method, and id or not.")
    }
    let isResponse = object["method"] == nil && (object["result"] != nil || object["error"] != nil)
    // A response that is wrong must not be answered with its id: that names a request of ours, not of the client's.
    let id = isResponse ? nil : RequestID(object["id"])
    guard object["jsonrpc"] == .string("2.0") else {
      throw .invalid(id, "jsonrpc is \(Self.text(object["jsonrpc"])); expected \"2.0\".")
    }
    self = try isResponse ? .response(Self.response(object)) : Self.call(object, id: id)
  }

  private static func call(_ object: JSONObject, id: RequestID?) throws(InvalidMessage) -> Message {
    if object["id"] != nil, id == nil {
      throw .invalid(nil, "id is \(text(object["id"])); expected an integer of 64 bits or a string.")
    }
    guard let method = object["method"]?.string else {
      throw .invalid(id, "method is \(text(object["method"])); expected the name of a method, as \"model/list\".")
    }
    if object["result"] != nil || object["error"] != nil {
      throw .invalid(id, "The message has a method and a result or an error; expected a request or a response.")
    }
    var params = object["params"]
    switch params {
    case nil, .object?, .array?: break
    case .null?: params = nil
    case let other?:
      throw .invalid(id, "params is \(other.typeName); expected an object or an array, or no params at all.")
    }
    guard let id else { return .notification(Notification(method: method, params: params)) }
    return .request(Request(id: id, method: method, params: params))
  }

  private static func response(_ object: JSONObject) throws(InvalidMessage) -> Response {
    let id = RequestID(object["id"])
    guard id != nil || object["id"] == .null else {
      throw .invalid(nil, "The id of a response is \(text(object["id"])); expected the id of a request, or null.")
    }
    switch (object["result"], object["error"]) {
    case (let result?, nil): return Response(id: id, result: .success(result))
    case (nil, let error?):
      guard let error = ResponseError(error) else {
        throw .invalid(nil, "The error of a response is \(error.typeName) without code and message; expected both.")
      }
      return Response(id: id, result: .failure(error))
    default:
      throw .invalid(nil, "A response has both a result and an error; expected exactly one of them.")
    }
  }

  /// A member as a message shows it.
  private static func text(_ json: JSON?) -> String {
    switch json {
    case nil: "missing"
    case .null?: "null"
    case .bool(let value)?: String(value)
    case .integer(let value)?: String(value)
    case .number(let value)?: String(value)
    case .string(let value)?: "\"\(value.prefix(40))\(value.count > 40 ? "..." : "")\""
    case let other?: other.typeName
    }
  }
}

extension InvalidMessage {
  fileprivate static func invalid(_ id: RequestID?, _ message: String) -> InvalidMessage {
    InvalidMessage(id: id, error: ResponseError(.invalidRequest, kind: "invalidRequest", message))
  }
}
