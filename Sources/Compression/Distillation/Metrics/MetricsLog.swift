// metrics.jsonl: one object a step, appended and never rewritten, readable while the run goes on.

import Checkpoints
import JSON

/// The metrics of a run as lines `{"run", "step", "tokens", "wall", "attempt", ...}`. Numbers that JSON has no words
/// for are the strings "NaN", "Infinity" and "-Infinity".
package final class MetricsLog: MetricsWriter {
  /// 1 for a new file; each reopening counts one more. Steps that an earlier attempt did without saving are there
  /// again under the later attempt, which is the one that counts.
  package let attempt: Int
  private let run: String
  private let file: AppendedFile

  private static let own = ["run", "step", "tokens", "wall", "attempt"]

  /// Opens the file at `path`, or makes it. A line that was cut short by an interruption is taken away.
  /// - Throws: `CheckpointError.file`; `CheckpointError.json` if the last line is none of a log.
  package init(path: String, run: String) throws {
    self.run = run
    file = try AppendedFile(path: path)
    guard let last = try Self.lastLine(of: file) else {
      attempt = 1
      try file.truncate(to: 0)
      return
    }
    guard let json = try? JSON.parse(last), let before = json["attempt"]?.integer, (1..<Int.max).contains(before),
      json["step"]?.integer != nil
    else {
      throw CheckpointError.json(path: path, reason: "Its last line is none of a metrics log. Give another path.")
    }
    attempt = before + 1
    try file.truncateToWholeLines()
  }

  /// The last line that is whole, without its end; nil if there is none but at most the beginning of an object.
  private static func lastLine(of file: AppendedFile) throws -> [UInt8]? {
    var window = 1 << 16
    while true {
      let tail = try file.tail(limit: window), isAll = tail.count == file.byteCount
      let feed = UInt8(ascii: "\n")
      guard let end = tail.lastIndex(of: feed) else {
        guard !isAll else {
          // No log begins otherwise: somebody else's file is not ours to cut.
          return tail.isEmpty || tail.starts(with: Array("{\"run\":".utf8).prefix(tail.count)) ? nil : tail
        }
        window *= 4
        continue
      }
      if let start = tail[..<end].lastIndex(of: feed) { return Array(tail[(start + 1)..<end]) }
      if isAll { return Array(tail[..<end]) }
      window *= 4
    }
  }

  /// A metric that has the name of one of the log's own members is written as `metric.NAME`.
  package func append(step: Int, tokens: Int, wallSeconds: Double, values: [(name: String, value: Double)]) throws {
    var line: JSONObject = [
      "run": JSON(run), "step": JSON(step), "tokens": JSON(tokens), "wall": Self.number(wallSeconds),
      "attempt": JSON(attempt),
    ]
    for (name, value) in values {
      line[Self.own.contains(name) ? "metric.\(name)" : name] = Self.number(value)
    }
    try file.append(try JSON.object(line).serialized() + [UInt8(ascii: "\n")])
  }

  /// Makes what was appended durable.
  package func synchronise() throws { try file.synchronise() }

  private static func number(_ value: Double) -> JSON {
    value.isFinite ? .number(value) : value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity"
  }
}
