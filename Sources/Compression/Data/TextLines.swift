// Documents as lines of JSON: texts, or prompts with what follows them. Reads the form and nothing of the meaning;
// DocumentTokens.swift makes tokens of it.

import Checkpoints
import JSON

/// A line of a file of documents.
package struct TextLine: Sendable, Equatable {
  package enum Content: Sendable, Equatable {
    case text(String)
    /// Without a completion it is a prompt to sample from.
    case prompt(String, completion: String?)
  }

  package var content: Content
  package var answer: String?
  /// Of the prompt, if whoever wrote the line had them.
  package var promptTokens: [Int32]?
  package var completionTokens: [Int32]?
  /// False for a completion that was stopped before it ended.
  package var isFinished = true
}

/// The lines of a file.
package struct TextLines: Sendable {
  /// Of the tokenizer that `promptTokens` and `completionTokens` are of, as the file's head has it.
  package let tokenizerDigest: String?
  package let lines: [TextLine]
}

extension TextLines {
  /// Reads JSONL: an object a line, blank lines between them allowed, `\r\n` as well. The first may be the head that
  /// dataset/generate writes. Members that are not known are passed over, as such files come from many places.
  /// - Parameter source: what it is, for messages.
  /// - Throws: `DataError.lineInvalid` for the first line that is no document, `DataError.noLines`; `Cancelled`.
  package init(_ bytes: UnsafeRawBufferPointer, source: String, cancellation check: () throws -> Void = {}) throws {
    var lines: [TextLine] = [], digest: String?
    var start = 0, number = 0
    while start < bytes.count {
      number += 1
      if number % 1024 == 0 { try check() }
      let end = Self.end(ofLineAt: start, in: bytes)
      let line = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
      start = end + 1
      if line.allSatisfy({ Self.isBlank($0) }) { continue }
      do {
        let json = try JSON.parse(line)
        if lines.isEmpty, digest == nil, let head = GenerationHead(json) {
          digest = head.tokenizer
        } else {
          lines.append(try TextLine(json))
        }
      } catch let error as JSONError {
        throw DataError.lineInvalid(source: source, line: number, reason: error.message)
      } catch let error as JSONFieldError {
        throw DataError.lineInvalid(source: source, line: number, reason: error.message)
      }
    }
    guard !lines.isEmpty else { throw DataError.noLines(source: source) }
    self.lines = lines
    tokenizerDigest = digest
  }

  private static func end(ofLineAt start: Int, in bytes: UnsafeRawBufferPointer) -> Int {
    bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
}

extension TextLine {
  /// - Throws: `JSONFieldError`.
  init(_ json: JSON) throws(JSONFieldError) {
    var fields = try JSONFields(json, at: "")
    let text = try fields.optionalString("text", limit: .max)
    let prompt = try fields.optionalString("prompt", limit: .max)
    let completion = try fields.optionalString("completion", limit: .max)
    answer = try fields.optionalString("answer", limit: .max)
    switch (text, prompt) {
    case (let text?, nil):
      guard completion == nil else {
        throw fields.error(.outOfRange, "completion", expected: "a `prompt` before it, not `text`")
      }
      content = .text(text)
    case (nil, let prompt?): content = .prompt(prompt, completion: completion)
    case (nil, nil): throw fields.error(.missingField, "text", expected: "`text`, or `prompt`")
    case (_?, _?): throw fields.error(.outOfRange, "prompt", expected: "either `text` or `prompt`, not both")
    }
    let ids = 0...Int(Int32.max)
    promptTokens = try fields.optionalInts("promptTokens", in: ids)?.map(Int32.init)
    completionTokens = try fields.optionalInts("completionTokens", in: ids)?.map(Int32.init)
    let ends = ["endToken", "maxTokens", "maximumLength"]
    isFinished = try fields.string("finish", oneOf: ends, default: ends[0]) == ends[0]
  }
}
