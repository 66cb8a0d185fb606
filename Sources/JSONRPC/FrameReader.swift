// Reads frames from a descriptor and survives whatever else arrives there.
//
// After a frame whose end is known (too large, unsupported charset) the body is skipped. After one whose end is not
// known (no Content-Length, a negative one, a line that is no header) the reader looks for the next text that reads
// `Content-Length: digits` up to a line break, wherever it begins: bodies usually end without a line break.

/// A blocking reader of frames, for one thread. Never throws and never traps: what is wrong becomes an event.
package final class FrameReader {
  private var input: InputBuffer
  private let limits: FrameLimits
  private var pending = Pending.frame

  /// What lies ahead in the input.
  private enum Pending {
    case frame
    /// A body to skip.
    case body(Int)
    /// The rest of a header section that is too large, with what it has said so far.
    case section(FrameHeader)
    /// Anything; frames begin again at the next Content-Length.
    case unknown
    case end
  }

  /// - Parameters:
  ///   - descriptor: stays open; the caller closes it.
  ///   - wayBack: where answers go; once nobody reads there, the input counts as ended.
  package init(descriptor: Int32, wayBack: Int32? = nil, limits: FrameLimits = FrameLimits()) {
    input = InputBuffer(descriptor: descriptor, wayBack: wayBack)
    self.limits = limits
  }

  /// Waits for the next frame, or for what is wrong with it.
  package func next() -> FrameEvent {
    while true {
      switch pending {
      case .end: return .end
      case .frame: return readFrame()
      case .body(let length): pending = skip(length) ? .frame : .end
      case .section(let header): pending = skipSection(header)
      case .unknown: pending = findContentLength() ? .frame : .end
      }
      if case .end = pending { return end(nil) }
    }
  }

  private func readFrame() -> FrameEvent {
    var header = FrameHeader()
    var size = 0
    while true {
      switch readLine(limit: limits.headerBytes - size) {
      case .end: return end(size > 0 || !input.bytes.isEmpty ? .unexpectedEnd(missing: nil) : nil)
      case .tooLong:
        // A header section that is too long has an end; garbage has none.
        let line = input.bytes.prefix(limits.headerBytes)
        guard header.fieldCount > 0 || FrameHeader.beginsField(line) else {
          return report(.invalidHeader(FrameHeader.shortened(line)), .unknown)
        }
        return report(.headerTooLarge(limit: limits.headerBytes), .section(header))
      case .line(let line, let consumed) where line.isEmpty:
        input.consume(consumed)
        size += consumed
        // Empty lines between frames are harmless (RFC 7230, section 3.5).
        if header.fieldCount > 0 { return readBody(header) }
        size = 0
      case .line(let line, let consumed):
        do throws(FrameProblem) {
          try header.add(line)
        } catch {
          // What is no header may be a body with the next header right behind it: look at the line again.
          if case .invalidHeader = error {} else { input.consume(consumed) }
          return report(error, .unknown)
        }
        input.consume(consumed)
        size += consumed
        if header.fieldCount > limits.headerFields {
          return report(.tooManyHeaderFields(limit: limits.headerFields), .section(header))
        }
      }
    }
  }

  private func readBody(_ header: FrameHeader) -> FrameEvent {
    guard let text = header.lengthText else { return report(.missingContentLength, .unknown) }
    let tooLarge = FrameProblem.bodyTooLarge(length: FrameHeader.shortened(text.utf8), limit: limits.bodyBytes)
    guard let length = header.length, length <= limits.believedBytes else { return report(tooLarge, .unknown) }
    guard header.isUTF8 else {
      return report(.unsupportedCharset(FrameHeader.shortened((header.charset ?? "").utf8)), .body(length))
    }
    guard length <= limits.bodyBytes else { return report(tooLarge, .body(length)) }
    switch input.take(length) {
    case .success(let body): return .body(body)
    case .failure(let missing): return end(.unexpectedEnd(missing: missing.bytes))
    }
  }

  private func report(_ problem: FrameProblem, _ ahead: Pending) -> FrameEvent {
    pending = ahead
    return .problem(problem)
  }

  /// The last events: what was cut off or the failure of the input, once, then the end.
  private func end(_ problem: FrameProblem?) -> FrameEvent {
    pending = .end
    if let failure = input.failure { return .problem(.readFailed(failure)) }
    return problem.map(FrameEvent.problem) ?? .end
  }

  private enum Line {
    /// A line without its line break, and how many bytes it takes with it.
    case line(ArraySlice<UInt8>, consumed: Int)
    case tooLong, end
  }

  /// The next line, not yet consumed. A line may end with LF alone.
  private func readLine(limit: Int) -> Line {
    while true {
      if let lineFeed = input.bytes.firstIndex(of: 0x0a) {
        let consumed = lineFeed + 1 - input.bytes.startIndex
        guard consumed <= limit else { return .tooLong }
        let line = input.bytes[..<lineFeed]
        return .line(line.last == 0x0d ? line.dropLast() : line, consumed: consumed)
      }
      if input.bytes.count >= limit { return .tooLong }
      guard input.fill() else { return .end }
    }
  }

  /// Skips a body; false if the input ends before.
  private func skip(_ count: Int) -> Bool {
    var left = count
    while true {
      let now = min(left, input.bytes.count)
      input.consume(now)
      left -= now
      if left == 0 { return true }
      guard input.fill() else { return false }
    }
  }

  /// Skips the rest of a header section, and tells from its Content-Length what follows.
  private func skipSection(_ header: FrameHeader) -> Pending {
    var header = header
    var isReadable = true
    while true {
      switch readLine(limit: limits.headerBytes) {
      case .line(let line, let consumed):
        let isLast = line.isEmpty
        if !isLast { isReadable = (try? header.add(line)) != nil && isReadable }
        input.consume(consumed)
        guard isLast else { continue }
        guard isReadable, let length = header.length, length <= limits.believedBytes else { return .unknown }
        return .body(length)
      case .tooLong:
        while input.bytes.firstIndex(of: 0x0a) == nil {
          input.consume(input.bytes.count)
          guard input.fill() else { return .end }
        }
        input.consume(input.bytes.prefix { $0 != 0x0a }.count + 1)
      case .end: return .end
      }
    }
  }

  /// Skips to the next text that reads like a Content-Length field; false if the input ends before.
  private func findContentLength() -> Bool {
    while true {
      let (skipped, isFound) = ContentLengthText.search(input.bytes)
      input.consume(skipped)
      if isFound { return true }
      guard input.fill() else { return false }
    }
  }
}

/// The text `Content-Length: digits` with its line break, in any case and with the whitespace that RFC 7230 allows.
private enum ContentLengthText {
  enum Match { case yes, no, needsMore }

  private static let name = Array("content-length:".utf8)
  /// Longer texts are not looked at: no length needs so many digits.
  private static let longest = 64

  /// How many bytes come before the first such text, or before what may become one with more bytes.
  static func search(_ bytes: ArraySlice<UInt8>) -> (skipped: Int, isFound: Bool) {
    for place in bytes.indices {
      if place > bytes.startIndex, bytes[place - 1] == 0x2d { continue }  // X-Content-Length
      switch matches(bytes[place...]) {
      case .yes: return (place - bytes.startIndex, true)
      case .needsMore: return (place - bytes.startIndex, false)
      case .no: continue
      }
    }
    return (bytes.count - (bytes.last == 0x2d ? 1 : 0), false)
  }

  /// Whether `bytes` begin with it.
  private static func matches(_ bytes: ArraySlice<UInt8>) -> Match {
    var rest = bytes.prefix(longest)
    for byte in name {
      guard let next = rest.popFirst() else { return .needsMore }
      guard next == byte || next == byte & 0xdf && byte >= 0x61 else { return .no }
    }
    rest = rest.drop { $0 == 0x20 || $0 == 0x09 }
    let digits = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }
    rest = rest[digits.endIndex...].drop { $0 == 0x20 || $0 == 0x09 }
    if rest.first == 0x0d { rest.removeFirst() }
    guard let last = rest.first else { return bytes.count < longest ? .needsMore : .no }
    return last == 0x0a && !digits.isEmpty ? .yes : .no
  }
}
