// One message on the wire: a header section, a blank line, a body (LSP 3.17, "Base Protocol").
//
//     Content-Length: 17\r\n
//     \r\n
//     {"jsonrpc":"2.0"}

/// What a frame may ask of its reader.
package struct FrameLimits: Sendable, Equatable {
  /// Bytes of a header section, its blank line included.
  package var headerBytes = 8 << 10
  package var headerFields = 32
  /// Bytes of a body; longer ones are skipped and reported.
  package var bodyBytes: Int

  package init(bodyBytes: Int = 64 << 20) { self.bodyBytes = bodyBytes }

  /// The longest body that is believed, and so skipped to its end: what LSP calls a uinteger, or the limit if larger.
  var believedBytes: Int { max(bodyBytes, Int(Int32.max)) }
}

package enum Frame {
  /// The bytes of the frame that carries `body`.
  package static func encode(_ body: some Collection<UInt8>) -> [UInt8] {
    var frame = Array("Content-Length: \(body.count)\r\n\r\n".utf8)
    frame.append(contentsOf: body)
    return frame
  }
}

/// What a reader of frames finds next.
package enum FrameEvent: Sendable, Equatable {
  case body([UInt8])
  /// Something that is no frame. The reader goes on with the next frame that it can make out.
  case problem(FrameProblem)
  /// The input has ended, now and for every later call.
  case end
}
