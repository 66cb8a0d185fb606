// Why a text cannot be generated: facts, and their words.

package enum GenerationError: Error, Equatable {
  /// Prompt number `index` has no tokens.
  case promptEmpty(index: Int)
  /// Prompt number `index` leaves no position for another token.
  case promptTooLong(index: Int, tokens: Int, maximum: Int)
  /// After `position` tokens of a sequence the logit of `token` is NaN or infinite.
  case nonFiniteLogits(position: Int, token: Int)

  /// A stable word for clients.
  package var kind: String {
    switch self {
    case .promptEmpty: "promptEmpty"
    case .promptTooLong: "promptTooLong"
    case .nonFiniteLogits: "nonFiniteLogits"
    }
  }

  package var message: String {
    switch self {
    case .promptEmpty(let index):
      "Prompt \(index) has no tokens, and the model continues only what has begun. "
        + "Give it some text, or a token as the one that begins a sequence."
    case .promptTooLong(let index, let tokens, let maximum):
      "Prompt \(index) has \(tokens) tokens; the model's sequences have at most \(maximum), so a prompt may have "
        + "\(maximum - 1). Shorten it."
    case .nonFiniteLogits(let position, let token):
      "After \(position) tokens the model gives token \(token) a score that is NaN or infinite: weights or activations "
        + "overflow or hold NaN. Undo the last edits, or check the model's files."
    }
  }
}
