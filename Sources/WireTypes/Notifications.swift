// The notifications that the server sends and their shapes (LSP 3.17, progress and window/logMessage).

package import JSON

package enum Progress {
  package static let name = "$/progress"

  package static func begin(token: JSON, title: String) -> JSON {
    value(token, ["kind": "begin", "title": JSON(title), "cancellable": true, "percentage": 0])
  }

  /// - Parameter percentage: 0...100.
  package static func report(token: JSON, percentage: Int, message: String) -> JSON {
    value(token, ["kind": "report", "percentage": JSON(percentage), "message": JSON(message)])
  }

  package static func end(token: JSON, message: String) -> JSON {
    value(token, ["kind": "end", "message": JSON(message)])
  }

  private static func value(_ token: JSON, _ value: JSON) -> JSON { ["token": token, "value": value] }
}

package enum LogMessage {
  package static let name = "window/logMessage"

  /// The message types of LSP 3.17.
  package enum Level: Int, Sendable { case error = 1, warning, info, log }

  package static func params(_ level: Level, _ message: String) -> JSON {
    ["type": JSON(level.rawValue), "message": JSON(message)]
  }
}

package enum LogTrace {
  package static let name = "$/logTrace"

  /// - Parameter verbose: more of it, for clients that asked for that.
  package static func params(_ message: String, verbose: String?) -> JSON {
    var params: JSONObject = ["message": JSON(message)]
    if let verbose { params["verbose"] = JSON(verbose) }
    return .object(params)
  }
}
