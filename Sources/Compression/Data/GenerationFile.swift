// The file that generated documents are streamed to: a head that says how they came about, then a line for each, in the
// order of their numbers. An interruption at any moment leaves whole lines, and the same settings go on behind them.

import Checkpoints
import JSON
import Tensors
package import Transformers
package import Workspace

/// How documents are generated: all that decides their text but the prompts.
package struct GenerationHead: Sendable, Equatable {
  /// Of the model at its revision (`ModelState.digest`).
  package let model: String
  /// `tokenizerDigest`.
  package let tokenizer: String
  package let maximumTokens: Int
  package let temperature: Double
  package let topK: Int?
  package let topP: Double?
  package let seed: UInt64

  package init(model: String, tokenizer: String, options: GenerationOptions) {
    self.model = model
    self.tokenizer = tokenizer
    maximumTokens = options.maximumTokens
    temperature = options.sampling.temperature
    topK = options.sampling.topK
    topP = options.sampling.topP
    seed = options.seed
  }

  private static let mark = "generated"
  private static let version = 1

  var json: JSON {
    [
      "espalier": JSON(Self.mark), "version": JSON(Self.version), "model": JSON(model), "tokenizer": JSON(tokenizer),
      "maxTokens": JSON(maximumTokens), "temperature": JSON(temperature), "topK": JSON(topK),
      "topP": topP.map(JSON.number) ?? .null, "seed": JSON("\(seed)"),
    ]
  }

  /// Nil for any line that is no head of this version.
  init?(_ json: JSON) {
    guard json["espalier"]?.string == Self.mark, json["version"]?.integer == Self.version,
      let model = json["model"]?.string, let tokenizer = json["tokenizer"]?.string,
      let maximumTokens = json["maxTokens"]?.integer, let temperature = json["temperature"]?.number,
      let seed = json["seed"]?.string.flatMap(UInt64.init)
    else { return nil }
    self.model = model
    self.tokenizer = tokenizer
    self.maximumTokens = maximumTokens
    self.temperature = temperature
    topK = json["topK"]?.integer
    topP = json["topP"]?.number
    self.seed = seed
  }

  /// The first setting in which `asked` differs, with what both say.
  func difference(from asked: GenerationHead) -> (setting: String, found: String, asked: String)? {
    func words(_ value: JSON?) -> String {
      guard let value, let bytes = try? value.serialized() else { return "nothing" }
      return String(decoding: bytes, as: UTF8.self)
    }
    let (mine, theirs) = (json, asked.json)
    let keys = ["model", "tokenizer", "maxTokens", "temperature", "topK", "topP", "seed"]
    return keys.first { mine[$0] != theirs[$0] }.map { ($0, words(mine[$0]), words(theirs[$0])) }
  }
}

/// A prompt with what was generated for it.
package struct GeneratedDocument: Sendable, Equatable {
  package let example: Example
  package let completion: String
  package let completionTokens: [Int32]
  package let finish: FinishReason

  package var document: Document {
    Document(tokens: example.promptTokens + completionTokens, promptTokens: example.promptTokens.count)
  }

  /// A line of the file; `TextLine` reads it.
  func line() throws -> [UInt8] {
    var members: JSONObject = ["prompt": JSON(example.prompt), "completion": JSON(completion)]
    if let answer = example.answer { members["answer"] = JSON(answer) }
    members["promptTokens"] = JSON(example.promptTokens.map(Int.init))
    members["completionTokens"] = JSON(completionTokens.map(Int.init))
    members["finish"] = JSON(finish.rawValue)
    return try JSON.object(members).serialized() + [UInt8(ascii: "\n")]
  }
}

/// The file while it is written.
package final class GenerationFile {
  private let file: AppendedFile
  /// What was there when it was opened: as many as the first of the prompts.
  package let found: [TextLine]

  /// Opens the file at `path`, or begins it.
  /// - Parameter prompts: all that will be generated for.
  /// - Throws: `DataError.generationDiffers` if it was begun with other settings or prompts, `generationUnreadable` if
  ///   it is another file; `DataError.lineInvalid`, `CheckpointError`. What is in the file stays as it is then.
  package init(path: String, head: GenerationHead, prompts: [Example]) throws {
    file = try AppendedFile(path: path)
    let first = try head.json.serialized() + [UInt8(ascii: "\n")]
    let whole = try Self.wholeLines(path, first: first)
    if let whole {
      found = try Self.lines(path, bytes: whole, head: head)
      guard found.count <= prompts.count else {
        throw DataError.generationDiffers(
          path: path, setting: "at least as many prompts as", found: "\(found.count)", asked: "\(prompts.count)")
      }
      for (number, line) in found.enumerated() where !line.continues(prompts[number]) {
        throw DataError.generationDiffers(
          path: path, setting: "as prompt \(number)", found: line.words, asked: "\"\(prompts[number].prompt)\"")
      }
      try file.truncate(to: whole)
    } else {
      found = []
      try file.truncate(to: 0)
      try file.append(first)
    }
  }

  /// Appends a document, the next one by its number.
  func append(_ document: GeneratedDocument) throws { try file.append(document.line()) }

  /// Makes what was appended durable.
  func synchronise() throws { try file.synchronise() }

  /// Bytes of the whole lines of the file; nil if it has no line yet but at most the beginning of `first`.
  private static func wholeLines(_ path: String, first: [UInt8]) throws -> Int? {
    let file = try MappedFile(path: path)
    if let end = file.bytes.lastIndex(of: UInt8(ascii: "\n")) { return end + 1 }
    guard first.starts(with: file.bytes) else { throw foreign(path) }
    return nil
  }

  private static func foreign(_ path: String) -> DataError {
    .generationUnreadable(path: path, reason: "it does not begin with the head that dataset/generate writes")
  }

  private static func lines(_ path: String, bytes count: Int, head: GenerationHead) throws -> [TextLine] {
    let file = try MappedFile(path: path)
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes.prefix(count))
    let end = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
    guard let json = try? JSON.parse(UnsafeRawBufferPointer(rebasing: bytes[..<end])), let found = GenerationHead(json)
    else { throw foreign(path) }
    if let (setting, found, asked) = found.difference(from: head) {
      throw DataError.generationDiffers(path: path, setting: setting, found: found, asked: asked)
    }
    if end + 1 >= bytes.count { return [] }
    let lines = try TextLines(bytes, source: path).lines
    for (number, line) in lines.enumerated() where line.promptTokens == nil || line.completionTokens == nil {
      throw DataError.lineInvalid(source: path, line: number + 2, reason: "it has no tokens.")
    }
    return lines
  }
}

extension TextLine {
  /// Whether the line is what was generated for `prompt`.
  fileprivate func continues(_ prompt: Example) -> Bool {
    guard case .prompt(let text, _?) = content else { return false }
    return text.utf8.elementsEqual(prompt.prompt.utf8) && promptTokens == prompt.promptTokens && answer == prompt.answer
  }

  fileprivate var words: String {
    switch content {
    case .text(let text): "the text \"\(text)\""
    case .prompt(let text, _): "\"\(text)\""
    }
  }
}
