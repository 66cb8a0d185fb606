// What can be wrong with files of training data: facts, and their words.

/// Why data could not be read, or more of them not be made. Nothing was loaded.
package enum DataError: Error, Equatable {
  case lineInvalid(source: String, line: Int, reason: String)
  case noLines(source: String)
  case endTokenMissing
  case beginTokenMissing
  case promptsMissing(reason: String)
  case generationUnreadable(path: String, reason: String)
  case generationDiffers(path: String, setting: String, found: String, asked: String)

  /// A stable word for clients.
  package var kind: String {
    switch self {
    case .lineInvalid: "lineInvalid"
    case .noLines: "linesMissing"
    case .endTokenMissing: "endTokenMissing"
    case .beginTokenMissing: "beginTokenMissing"
    case .promptsMissing: "promptsMissing"
    case .generationUnreadable: "generationUnreadable"
    case .generationDiffers: "generationDiffers"
    }
  }

  package var message: String {
    switch self {
    case .lineInvalid(let source, let line, let reason):
      "Line \(line) of \(source) is no document: \(reason) Expected {\"text\": ...} or {\"prompt\": ..., "
        + "\"completion\": ...} with an optional \"answer\". Nothing was loaded."
    case .noLines(let source):
      "\(source) has no documents. Expected one JSON object a line."
    case .endTokenMissing:
      "The model names no token that ends a text, which completions should end with. Set `endOfText` to false."
    case .beginTokenMissing:
      "A prompt is empty, and the model names no token that begins a text. Give prompts with text."
    case .promptsMissing(let reason):
      "There is nothing to generate from: \(reason)."
    case .generationUnreadable(let path, let reason):
      "\(path) cannot be gone on with: \(reason). Give another `path`, or move the file away."
    case .generationDiffers(let path, let setting, let found, let asked):
      "\(path) was begun with \(setting) \(found), and \(asked) is asked for: the same settings go on with it, others "
        + "need another `path`."
    }
  }
}
