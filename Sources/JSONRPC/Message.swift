// The three kinds of messages of JSON-RPC 2.0 (sections 4 and 5), in both directions.

package import JSON

/// What ties a reply to its request: an integer or a string, compared with its type.
package enum RequestID: Hashable, Sendable {
  case integer(Int64)
  case string(String)

  package var json: JSON {
    switch self {
    case .integer(let value): .integer(value)
    case .string(let value): .string(value)
    }
  }

  /// An id as it came; nil for fractions, null and everything else that is no id.
  package init?(_ json: JSON?) {
    switch json {
    case .integer(let value)?: self = .integer(value)
    case .string(let value)?: self = .string(value)
    default: return nil
    }
  }
}

/// A call that must be answered exactly once.
package struct Request: Sendable, Equatable {
  package var id: RequestID
  package var method: String
  /// An object, an array, or nil if left out.
  package var params: JSON?

  package init(id: RequestID, method: String, params: JSON? = nil) {
    (self.id, self.method, self.params) = (id, method, params)
  }

  package var json: JSON {
    var object: JSONObject = ["jsonrpc": "2.0", "id": id.json, "method": .string(method)]
    if let params { object["params"] = params }
    return .object(object)
  }
}

/// A call that is never answered.
package struct Notification: Sendable, Equatable {
  package var method: String
  /// An object, an array, or nil if left out.
  package var params: JSON?

  package init(method: String, params: JSON? = nil) { (self.method, self.params) = (method, params) }

  package var json: JSON {
    var object: JSONObject = ["jsonrpc": "2.0", "method": .string(method)]
    if let params { object["params"] = params }
    return .object(object)
  }
}

/// The answer to a request: a result or an error, never both.
package struct Response: Sendable, Equatable {
  /// nil (null on the wire) answers a message whose id could not be read.
  package var id: RequestID?
  package var result: Result<JSON, ResponseError>

  package init(id: RequestID?, result: Result<JSON, ResponseError>) { (self.id, self.result) = (id, result) }

  package var json: JSON {
    var object: JSONObject = ["jsonrpc": "2.0", "id": id?.json ?? .null]
    switch result {
    case .success(let result): object["result"] = result
    case .failure(let error): object["error"] = error.json
    }
    return .object(object)
  }

  /// The bytes to send. What cannot be written as JSON (a NaN in the result) becomes an internal error that says so.
  package func body() -> [UInt8] {
    do throws(JSONError) {
      return try json.serialized()
    } catch {
      let failure = ResponseError(
        .internalError, kind: error.kind, "The answer could not be written as JSON: " + error.message)
      // Plain words and an id can always be written.
      return (try? Response(id: id, result: .failure(failure)).json.serialized()) ?? []
    }
  }
}

package enum Message: Sendable, Equatable {
  case request(Request)
  case notification(Notification)
  case response(Response)

  package var json: JSON {
    switch self {
    case .request(let request): request.json
    case .notification(let notification): notification.json
    case .response(let response): response.json
    }
  }
}
