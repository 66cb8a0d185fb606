// From the regular expressions of tokenizer files to PCRE2's. Hugging Face compiles them with Oniguruma; where the two
// read the same text differently the expression is rewritten, and what is not known to mean the same is refused.

/// One pass over an expression.
struct RegexTranslation {
  private var rest: Substring.UnicodeScalarView
  private var output = String.UnicodeScalarView()

  /// The expression for PCRE2 in UTF mode with `PCRE2_UCP` and `PCRE2_MULTILINE`, or why there is none.
  static func translate(_ pattern: String) -> Result<String, Refusal> {
    var translation = RegexTranslation(rest: Substring(pattern).unicodeScalars)
    do throws(Refusal) {
      try translation.run()
      return .success(String(translation.output))
    } catch {
      return .failure(error)
    }
  }

  struct Refusal: Error {
    let reason: String
    fileprivate init(_ reason: String) { self.reason = reason }
  }

  private init(rest: Substring.UnicodeScalarView) { self.rest = rest }

  private mutating func run() throws(Refusal) {
    var inClass = false
    while let character = rest.popFirst() {
      switch character {
      case "\\":
        output.append(contentsOf: try escape().unicodeScalars)
      case "[" where inClass:
        // Oniguruma nests classes here, PCRE2 takes the bracket literally.
        throw Refusal("\"[\" inside a character class; escape it as \\[")
      case "[":
        inClass = true
        output.append(character)
        if rest.first == "^" { output.append(rest.removeFirst()) }
        if rest.first == "]" { throw Refusal("an empty character class") }
      case "]":
        inClass = false
        output.append(character)
      case "&" where inClass && rest.first == "&":
        throw Refusal("an intersection of character classes (&&)")
      case "(" where !inClass:
        output.append(contentsOf: try group().unicodeScalars)
      case "}" where !inClass && rest.first == "+":
        // Possessive for PCRE2, one or more of the whole for Oniguruma.
        throw Refusal("a \"+\" behind a counted repetition")
      default:
        output.append(character)
      }
    }
  }

  /// The opening of a group.
  private mutating func group() throws(Refusal) -> String {
    if rest.first == "*" { throw Refusal("a verb (*...)") }
    guard rest.first == "?" else { return "(" }
    for opening in ["?:", "?=", "?!", "?<=", "?<!", "?>", "?i:"] where rest.starts(with: opening.unicodeScalars) {
      rest.removeFirst(opening.unicodeScalars.count)
      return "(" + opening
    }
    throw Refusal("a group that begins with (\(String(rest.prefix(3)))")
  }

  /// What follows a backslash.
  private mutating func escape() throws(Refusal) -> String {
    guard let character = rest.popFirst() else { throw Refusal("a backslash at the end") }
    switch character {
    case "s": return "\\p{White_Space}"  // PCRE2's \s also takes U+180E
    case "S": return "\\P{White_Space}"
    case "d": return "\\p{Nd}"
    case "D": return "\\P{Nd}"
    case "r", "n", "t", "f": return "\\\(character)"
    case "p", "P": return try property(negated: character == "P")
    case "x": return try hexadecimal()
    case _ where character.isASCII && !character.properties.isAlphabetic && character.properties.numericType == nil:
      return "\\\(character)"
    default: throw Refusal("the escape \\\(character)")
    }
  }

  /// `\p{L}`, `\p{Han}`: general categories and scripts.
  private mutating func property(negated: Bool) throws(Refusal) -> String {
    guard rest.first == "{", let end = rest.firstIndex(of: "}") else { throw Refusal("\\p without braces") }
    var name = rest[rest.index(after: rest.startIndex)..<end]
    rest = rest[rest.index(after: end)...]
    var negated = negated
    if name.first == "^" {
      name = name.dropFirst()
      negated.toggle()
    }
    guard !name.isEmpty, name.allSatisfy({ $0.isASCII && ($0.properties.isAlphabetic || $0 == "_") }) else {
      throw Refusal("the property \\p{\(String(name))}")
    }
    // A longer name is a script, of which PCRE2 would otherwise take the extensions too.
    return "\\\(negated ? "P" : "p"){\(name.count <= 2 ? "" : "sc:")\(String(name))}"
  }

  /// `\xHH` and `\x{H...}`.
  private mutating func hexadecimal() throws(Refusal) -> String {
    let digits: Substring.UnicodeScalarView
    if rest.first == "{", let end = rest.firstIndex(of: "}") {
      digits = rest[rest.index(after: rest.startIndex)..<end]
      rest = rest[rest.index(after: end)...]
    } else {
      digits = rest.prefix(2)
      rest = rest.dropFirst(2)
    }
    guard (1...6).contains(digits.count), digits.allSatisfy(\.properties.isASCIIHexDigit) else {
      throw Refusal("a \\x without digits")
    }
    return "\\x{\(String(digits))}"
  }
}
