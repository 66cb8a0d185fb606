// Text that somebody sent, as far as a message repeats it.

extension String {
  /// The first 60 characters, with dots where more were.
  package func shortened() -> String {
    let limit = 60
    guard let end = unicodeScalars.index(startIndex, offsetBy: limit, limitedBy: endIndex), end < endIndex else {
      return self
    }
    return String(unicodeScalars[..<end]) + "..."
  }
}
