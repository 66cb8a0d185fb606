// initialize: the first request of every client (LSP 3.17, initialize). Whatever else an editor sends is accepted.

package import JSON

package enum Initialize: Method {
  package static let name = "initialize"

  package struct Params: MethodParams {
    /// The parent process, whose end ends the daemon.
    package let processId: Int?
    package let trace: TraceLevel

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      processId = try fields.optionalInt("processId", in: 1...Int(Int32.max))
      trace = TraceLevel(rawValue: try fields.string("trace", default: "off")) ?? .off
    }
  }

  package static func result(version: String, methods: [String], limits: JSON) -> JSON {
    [
      "serverInfo": ["name": "espalier", "version": JSON(version)],
      "protocolVersion": "1",
      "capabilities": ["workDoneProgress": true, "methods": JSON(methods)],
      "limits": limits,
    ]
  }
}

/// How much the client wants to hear of what the server does.
package enum TraceLevel: String, Sendable {
  case off, messages, verbose
}

/// What the server takes at the most, announced to every client.
package func wireLimits(bodyBytes: Int, headerBytes: Int, depth: Int, batch: Int, requests: Int) -> JSON {
  [
    "bodyBytes": JSON(bodyBytes), "headerBytes": JSON(headerBytes), "depth": JSON(depth), "batch": JSON(batch),
    "requests": JSON(requests),
  ]
}
