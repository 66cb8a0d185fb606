// What can be wrong with a move on the graph of revisions or with a dataset.

package enum WorkspaceError: Error, Equatable {
  case revisionNotFound(id: String, newest: String)
  case revisionInUse(id: String, branch: String, head: String)
  case branchNotFound(name: String, branches: [String])
  case branchExists(name: String, revision: String)
  case branchNameInvalid(name: String)
  case nothingToUndo(revision: String)
  case nothingToRedo(revision: String)
  case datasetTooSmall(tokens: Int, sequenceLength: Int)
  case sequenceLengthInvalid(given: Int)
  case sequencesNotAvailable(asked: Int, available: Int, sequenceLength: Int)
  case datasetTooLarge(sequences: Int, sequenceLength: Int, maximumTokens: Int)
  case documentsNotUsable(tooLong: Int, tooShort: Int)
  case documentsTooLarge(tokens: Int, maximumTokens: Int)
  case datasetNotUniform(sequences: Int, sequenceLength: Int)
  case tokenOutOfRange(token: Int, position: Int, vocabularySize: Int)

  /// A stable word for clients.
  package var kind: String {
    switch self {
    case .revisionNotFound: "revisionNotFound"
    case .revisionInUse: "revisionInUse"
    case .branchNotFound: "branchNotFound"
    case .branchExists: "branchExists"
    case .branchNameInvalid: "branchNameInvalid"
    case .nothingToUndo: "nothingToUndo"
    case .nothingToRedo: "nothingToRedo"
    case .datasetTooSmall, .sequencesNotAvailable, .documentsNotUsable: "datasetTooSmall"
    case .sequenceLengthInvalid: "sequenceLengthInvalid"
    case .datasetTooLarge, .documentsTooLarge: "datasetTooLarge"
    case .datasetNotUniform: "datasetNotUniform"
    case .tokenOutOfRange: "tokenOutOfRange"
    }
  }

  package var message: String {
    switch self {
    case .revisionNotFound(let id, let newest):
      "There is no revision \"\(id)\"; the newest is \(newest), and some may be forgotten. revision/log lists them."
    case .revisionInUse(let id, let branch, let head):
      "\(id) cannot be forgotten: the branch \"\(branch)\" is at \(head), which "
        + (head == id ? "is it" : "came out of it") + ". Check out another revision on that branch first."
    case .branchNotFound(let name, let branches):
      "There is no branch \"\(name)\". Branches: \(branches.joined(separator: ", "))."
    case .branchExists(let name, let revision):
      "The branch \"\(name)\" exists already, at \(revision). Choose another name, or check it out."
    case .branchNameInvalid(let name):
      "\"\(name)\" cannot name a branch: expected 1 to 64 letters, digits, '-', '_', '.' or '/', and not the form "
        + "of a revision (r0, r1, ...)."
    case .nothingToUndo(let revision):
      "Nothing to undo: \(revision) is the model as it was loaded."
    case .nothingToRedo(let revision):
      "Nothing to redo: no edit was undone since \(revision) became current."
    case .datasetTooSmall(let tokens, let sequenceLength):
      "The text has \(tokens) tokens, less than one sequence of \(sequenceLength). Give more text or a smaller "
        + "sequenceLength."
    case .sequenceLengthInvalid(let given):
      "A sequence of \(given) tokens predicts nothing; sequenceLength must be at least 2."
    case .sequencesNotAvailable(let asked, let available, let sequenceLength):
      "\(asked) sequences of \(sequenceLength) tokens were asked for, but there are only \(available). Give more "
        + "text, fewer sequences, or leave `sequences` out to take all."
    case .datasetTooLarge(let sequences, let sequenceLength, let maximumTokens):
      "\(sequences) sequences of \(sequenceLength) tokens are more than a dataset holds, which is \(maximumTokens) tokens. "
        + "Ask for fewer or shorter sequences."
    case .documentsNotUsable(let tooLong, let tooShort):
      "No document can be used: \(tooLong) with a prompt are longer than sequenceLength, \(tooShort) have too few tokens. "
        + "Give a larger sequenceLength, or other documents."
    case .documentsTooLarge(let tokens, let maximumTokens):
      "The documents have \(tokens) tokens, more than a dataset holds, which is \(maximumTokens). Load a part of them."
    case .datasetNotUniform(let sequences, let sequenceLength):
      "The dataset's \(sequences) sequences are documents of different lengths (up to \(sequenceLength) tokens), and this "
        + "method needs sequences of one length. Load plain text: dataset/load with `format` \"text\"."
    case .tokenOutOfRange(let token, let position, let vocabularySize):
      "The token id \(token) at position \(position) is outside the vocabulary (0...\(vocabularySize - 1)). "
        + "Give tokens of the model's own tokenizer."
    }
  }
}
