// Everything a pipe can bring, whole, byte by byte and cut at every place: the events must be the same.

import Foundation
import JSON
import Testing

@testable import JSONRPC

struct FrameReaderTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let input: String
    let expected: [FrameEvent]
    var testDescription: String { name }

    init(_ name: String, _ input: String, _ expected: FrameEvent...) {
      (self.name, self.input, self.expected) = (name, input, expected)
    }
  }

  private static func body(_ text: String) -> FrameEvent { .body(Array(text.utf8)) }
  private static let good = "Content-Length: 4\r\n\r\ngood"
  private static let utf16 = FrameEvent.problem(.unsupportedCharset("utf-16"))

  static let cases: [Case] = [
    Case("nothing", ""),
    Case("one frame", good, body("good")),
    Case(
      "several frames in one write", good + good + "Content-Length: 0\r\n\r\n" + good, body("good"), body("good"),
      body(""), body("good")),
    Case("lower case", "content-length: 4\r\n\r\ngood", body("good")),
    Case("upper case, no space", "CONTENT-LENGTH:4\r\n\r\ngood", body("good")),
    Case("mixed case, much space", "cOnTeNt-LeNgTh: \t 4 \t \r\n\r\ngood", body("good")),
    Case("leading zeros", "Content-Length: 0004\r\n\r\ngood", body("good")),
    Case("type first", "Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n" + good, body("good")),
    Case(
      "type last", "Content-Length: 4\r\nContent-Type: application/vscode-jsonrpc;charset=utf8\r\n\r\ngood",
      body("good")),
    Case("type without charset", "Content-Type: application/json\r\n" + good, body("good")),
    Case("quoted charset", "Content-Type: application/json; v=1; Charset=\"UTF-8\"\r\n" + good, body("good")),
    Case("unknown headers", "X-One: 1\r\nX-Two:\r\nX-Three: a:b\r\n" + good, body("good")),
    Case("equal lengths", "Content-Length: 4\r\nContent-Length: 04\r\n\r\ngood", body("good")),
    Case("bare line feeds", "Content-Length: 4\nX: y\n\ngood", body("good")),
    Case("empty lines between frames", "\r\n" + good + "\r\n\n\r\n" + good, body("good"), body("good")),
    Case(
      "bytes that look like headers in a body", "Content-Length: 21\r\n\r\nContent-Length: 4\r\n\r\n" + good,
      body("Content-Length: 4\r\n\r\n"), body("good")),

    Case("utf-16", "Content-Length: 3\r\nContent-Type: a/b; charset=utf-16\r\n\r\nbad" + good, utf16, body("good")),
    Case(
      "utf-16 first", "Content-Type: a/b; charset=\"UTF-16\"\r\nContent-Length: 3\r\n\r\nbad" + good, utf16,
      body("good")),
    Case(
      "latin 1", "Content-Type: a/b; charset=iso-8859-1\r\n" + good + good, .problem(.unsupportedCharset("iso-8859-1")),
      body("good")),

    Case("no length, no body", "X-One: 1\r\n\r\n" + good, .problem(.missingContentLength), body("good")),
    Case(
      "no length, then a body", "Content-Type: a/b\r\n\r\n{\"jsonrpc\":\"2.0\"}" + good,
      .problem(.missingContentLength), body("good")),
    Case(
      "no length, a body with a line break", "X: 1\r\n\r\n{\"a\":1}\r\n" + good, .problem(.missingContentLength),
      body("good")),
    Case(
      "no length, a body that mentions one", "X: 1\r\n\r\n{\"Content-Length: 9\":1}" + good,
      .problem(.missingContentLength), body("good")),
    Case(
      "no length, other headers in between", "X: 1\r\n\r\nX-Content-Length: 9\r\n" + good,
      .problem(.missingContentLength), body("good")),
    Case("empty length", "Content-Length:\r\n\r\n" + good, .problem(.invalidContentLength("")), body("good")),
    Case("negative length", "Content-Length: -5\r\n\r\n" + good, .problem(.invalidContentLength("-5")), body("good")),
    Case(
      "negative length and a body", "Content-Length: -5\r\n\r\nhello" + good, .problem(.invalidContentLength("-5")),
      body("good")),
    Case(
      "signed length", "Content-Length: +5\r\n\r\nhello" + good, .problem(.invalidContentLength("+5")), body("good")),
    Case(
      "hexadecimal length", "Content-Length: 0x5\r\n\r\nhello" + good, .problem(.invalidContentLength("0x5")),
      body("good")),
    Case(
      "fractional length", "Content-Length: 5.0\r\n\r\nhello" + good, .problem(.invalidContentLength("5.0")),
      body("good")),
    Case(
      "word as length", "Content-Length: five\r\nX: 1\r\n\r\nhello" + good, .problem(.invalidContentLength("five")),
      body("good")),
    Case(
      "list of lengths", "Content-Length: 5, 5\r\n\r\nhello" + good, .problem(.invalidContentLength("5, 5")),
      body("good")),
    Case(
      "conflicting lengths", "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + good,
      .problem(.conflictingContentLength("5", "6")), body("good")),
    Case(
      "length of 10^20", "Content-Length: 100000000000000000000\r\n\r\n" + good,
      .problem(.bodyTooLarge(length: "100000000000000000000", limit: 64)), body("good")),
    Case(
      "length of 10^20 and a body", "Content-Length: 100000000000000000000\r\n\r\n{}" + good,
      .problem(.bodyTooLarge(length: "100000000000000000000", limit: 64)), body("good")),
    Case(
      "length of Int.max", "Content-Length: 9223372036854775807\r\n\r\n{}" + good,
      .problem(.bodyTooLarge(length: "9223372036854775807", limit: 64)), body("good")),
    Case(
      "length of 2^31", "Content-Length: 2147483648\r\n\r\n{}" + good,
      .problem(.bodyTooLarge(length: "2147483648", limit: 64)), body("good")),
    Case(
      "the largest body", "Content-Length: 64\r\n\r\n" + String(repeating: "x", count: 64) + good,
      body(String(repeating: "x", count: 64)), body("good")),
    Case(
      "a body one too large", "Content-Length: 65\r\n\r\n" + String(repeating: "x", count: 65) + good,
      .problem(.bodyTooLarge(length: "65", limit: 64)), body("good")),

    Case("garbage line", "hello\r\n" + good, .problem(.invalidHeader("hello")), body("good")),
    Case(
      "garbage without line break", "hello" + good, .problem(.invalidHeader("helloContent-Length: 4")), body("good")),
    Case(
      "a body without header", "{\"a\":1}" + good, .problem(.invalidHeader("{\"a\":1}Content-Length: 4")), body("good")),
    Case(
      "space before the colon", "Content-Length : 4\r\n\r\nhey!" + good, .problem(.invalidHeader("Content-Length : 4")),
      body("good")),
    Case(
      "folded line", "X: 1\r\n folded\r\nContent-Length: 4\r\n\r\ngood", .problem(.invalidHeader(" folded")),
      body("good")),
    Case("no name", ": 4\r\n\r\n" + good, .problem(.invalidHeader(": 4")), body("good")),
    Case("control character", "X: \u{1}\r\n" + good, .problem(.invalidHeader("X: ?")), body("good")),
    Case("not ASCII", "X: é\r\n" + good, .problem(.invalidHeader("X: ??")), body("good")),
    Case(
      "bad line after the length", "Content-Length: 3\r\nbad line\r\n\r\nbad" + good,
      .problem(.invalidHeader("bad line")), body("good")),
    Case(
      "long garbage line", String(repeating: "=", count: 100) + "\r\n" + good,
      .problem(.invalidHeader(String(repeating: "=", count: 40) + "...")), body("good")),

    Case("end in a name", "Content-Le", .problem(.unexpectedEnd(missing: nil))),
    Case("end in a section", good + "Content-Length: 5\r\n", body("good"), .problem(.unexpectedEnd(missing: nil))),
    Case("end before a body", "Content-Length: 5\r\n\r\n", .problem(.unexpectedEnd(missing: 5))),
    Case("end in a body", "Content-Length: 9\r\n\r\ngood", .problem(.unexpectedEnd(missing: 5))),
    Case(
      "end in a body that is skipped", "Content-Length: 99\r\n\r\ngood",
      .problem(.bodyTooLarge(length: "99", limit: 64))),
    Case("end in garbage", "X: 1\r\n\r\nContent-Len", .problem(.missingContentLength)),
  ]

  @Test(arguments: cases)
  func reads(_ sample: Case) {
    let bytes = Array(sample.input.utf8)
    let limits = FrameLimits(bodyBytes: 64)
    #expect(events(in: [bytes], limits: limits) == sample.expected)
    #expect(events(in: bytes.map { [$0] }, limits: limits) == sample.expected, "byte by byte")
    for cut in 1..<max(1, bytes.count) {
      let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
      #expect(events(in: pieces, limits: limits) == sample.expected, "cut at \(cut)")
    }
  }

  /// Header sections at their limits, and how the reader gets past those beyond them.
  @Test(arguments: [1, 8000, 70_000])
  func headerLimits(_ pieceSize: Int) {
    func check(_ input: String, _ expected: FrameEvent..., line: Int = #line) {
      let bytes = Array(input.utf8)
      let pieces = stride(from: 0, to: bytes.count, by: pieceSize).map {
        Array(bytes[$0..<min($0 + pieceSize, bytes.count)])
      }
      #expect(events(in: pieces) == expected, "line \(line)")
    }
    let good = Self.good
    let fields = (1...31).map { "X-\($0): \($0)\r\n" }.joined()
    check(fields + good + good, Self.body("good"), Self.body("good"))
    check(fields + "X: 32\r\n" + good + good, .problem(.tooManyHeaderFields(limit: 32)), Self.body("good"))
    check(
      "Content-Length: 4\r\nX: 0\r\n" + fields + "\r\ngood" + good, .problem(.tooManyHeaderFields(limit: 32)),
      Self.body("good"))
    check(fields + fields + "\r\nbody" + good, .problem(.tooManyHeaderFields(limit: 32)), Self.body("good"))

    // A section of exactly 8192 bytes, its empty line included, and one of 8193.
    let end = "\r\n" + good
    check("X: " + String(repeating: "x", count: 8192 - 26) + end, Self.body("good"))
    check(
      "X: " + String(repeating: "x", count: 8193 - 26) + end + good, .problem(.headerTooLarge(limit: 8192)),
      Self.body("good"))

    guard pieceSize > 1 else { return }  // a hundred thousand round trips add nothing
    let long = String(repeating: "x", count: 100_000)
    check("X: \(long)\r\n" + good + good, .problem(.headerTooLarge(limit: 8192)), Self.body("good"))
    check(
      "Content-Length: 3\r\nX: \(long)\r\n\r\nbad" + good, .problem(.headerTooLarge(limit: 8192)), Self.body("good"))
    check("X: \(long)\r\n\r\nbad" + good, .problem(.headerTooLarge(limit: 8192)), Self.body("good"))
    check(
      "X: \(long)\r\nContent-Length: -3\r\n\r\nbad" + good, .problem(.headerTooLarge(limit: 8192)), Self.body("good"))
    check("X: \(long)", .problem(.headerTooLarge(limit: 8192)))
    check(long + good, .problem(.invalidHeader(String(repeating: "x", count: 40) + "...")), Self.body("good"))
    check(long, .problem(.invalidHeader(String(repeating: "x", count: 40) + "...")))
  }

  /// A body beyond the limit is read past in pieces; a body within it arrives whole.
  @Test func largeBodies() {
    let large = [UInt8](repeating: 0x78, count: 1_000_000)
    let bytes = Frame.encode(large) + frame("good")
    #expect(events(in: [bytes], limits: FrameLimits(bodyBytes: 1_000_000)) == [.body(large), Self.body("good")])
    #expect(
      events(in: [bytes], limits: FrameLimits(bodyBytes: 999_999)) == [
        .problem(.bodyTooLarge(length: "1000000", limit: 999_999)), Self.body("good"),
      ])
  }

  /// What is too large is reported before it has arrived, so that a client that waits learns of it.
  @Test func reportsATooLargeBodyAtOnce() {
    let pipe = Pipe()
    let reader = FrameReader(descriptor: pipe.reading, limits: FrameLimits(bodyBytes: 4))
    writeAll(Array("Content-Length: 5\r\n\r\n".utf8), to: pipe.writing)
    #expect(reader.next() == .problem(.bodyTooLarge(length: "5", limit: 4)))
    writeAll(Array("hello".utf8) + frame("ok"), to: pipe.writing)
    #expect(reader.next() == Self.body("ok"))
    close(pipe.writing)
    #expect(reader.next() == .end)
    close(pipe.reading)
  }

  @Test func readsDescriptorsSetToNonBlocking() {
    let pipe = Pipe()
    #expect(fcntl(pipe.reading, F_SETFL, O_NONBLOCK) == 0)
    let thread = Thread {
      for byte in frame("good") {
        usleep(200)
        writeAll([byte], to: pipe.writing)
      }
      close(pipe.writing)
    }
    thread.start()
    let reader = FrameReader(descriptor: pipe.reading)
    #expect(reader.next() == Self.body("good"))
    #expect(reader.next() == .end)
    close(pipe.reading)
  }

  @Test func aFailingInputIsReportedOnce() {
    let reader = FrameReader(descriptor: -1)
    #expect(reader.next() == .problem(.readFailed(EBADF)))
    #expect(reader.next() == .end)
    #expect(reader.next() == .end)
  }

  /// The input is open and silent, or holds a frame; the way back is closed before anybody reads.
  @Test(arguments: [false, true])
  func aClosedWayBackEndsTheInput(hasFrame: Bool) {
    let input = Pipe(), output = Pipe()
    if hasFrame { writeAll(frame("{}"), to: input.writing) }
    close(output.reading)
    let reader = FrameReader(descriptor: input.reading, wayBack: output.writing)
    #expect(reader.next() == .end)
    for descriptor in [input.reading, input.writing, output.writing] { close(descriptor) }
  }

  @Test func anOpenWayBackChangesNothing() {
    let input = Pipe(), output = Pipe()
    writeAll(frame("{}"), to: input.writing)
    close(input.writing)
    let reader = FrameReader(descriptor: input.reading, wayBack: output.writing)
    #expect(reader.next() == .body(Array("{}".utf8)))
    #expect(reader.next() == .end)
    for descriptor in [input.reading, output.reading, output.writing] { close(descriptor) }
  }

  @Test func framesAreExactlyLengthBlankLineBody() {
    #expect(Frame.encode(Array("{}".utf8)) == Array("Content-Length: 2\r\n\r\n{}".utf8))
    #expect(Frame.encode([]) == Array("Content-Length: 0\r\n\r\n".utf8))
    #expect(Frame.encode(Array("é".utf8)) == Array("Content-Length: 2\r\n\r\né".utf8))
  }

  /// Random bytes, among them pieces of headers: the reader ends, and a good frame after a Content-Length that it can
  /// make out is read.
  @Test func randomBytesNeverTrapAndAlwaysEnd() {
    let seed = UInt64.random(in: .min ... .max)
    print("frame fuzz seed \(seed)")
    var random = SplitMix(state: seed)
    let words = [
      "Content-Length", "content-length:", ": ", "\r\n", "\r\n\r\n", "\n", "\r", " ", "-", "4", "99999999999999999999",
      "Content-Type: a; charset=", "utf-8", "utf-16", "{\"a\":1}", "X: y", ";", "Content-Length: 3\r\n\r\nabc", "\0",
      "é",
    ].map { Array($0.utf8) }
    for _ in 0..<400 {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 0...60, using: &random) {
        if Int.random(in: 0..<4, using: &random) == 0 {
          bytes.append(UInt8.random(in: 0...255, using: &random))
        } else {
          bytes += words.randomElement(using: &random)!
        }
      }
      let whole = events(in: [bytes], limits: FrameLimits(bodyBytes: 64))
      let cut = Int.random(in: 0...bytes.count, using: &random)
      let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])].filter { !$0.isEmpty }
      #expect(events(in: pieces, limits: FrameLimits(bodyBytes: 64)) == whole, "seed \(seed), cut at \(cut): \(bytes)")
      #expect(whole.count <= bytes.count + 1)
    }
  }
}

/// A seeded generator (Steele, Lea and Flood 2014, SplitMix64).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
