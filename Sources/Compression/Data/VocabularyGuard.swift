// Whether two models mean the same by the same token ids: decided by their tokenizers, never by the sizes of their
// vocabularies, which are padded as their makers liked.

package import Checkpoints
import Workspace

/// What two models have in common.
package enum SharedVocabulary: Sendable, Equatable {
  /// Ids 0..<size are the same tokens for both; logits of both sides are cut there.
  case same(size: Int)
  /// `reason` names the first piece of text, or the first token, on which they disagree.
  case different(reason: String)
}

/// Whether `teacher` and `student` encode text alike.
///
/// In order: the pieces of `vocabularyProbe`; the tokens that begin and end texts; every token that is special for
/// neither, id for id. Special tokens besides those may be named differently (reserved ones often are), and either side
/// may have ids that the other does not: the shared size ends before them.
/// - Parameters:
///   - teacherSize: tokens that the teacher has logits for; a tokenizer may have more ids, or fewer.
///   - studentSize: the same of the student.
package func sharedVocabulary(
  teacher: Tokenizer, teacherSize: Int, student: Tokenizer, studentSize: Int
) -> SharedVocabulary {
  for piece in vocabularyProbe {
    let (a, b) = (encoded(piece, teacher), encoded(piece, student))
    guard a == b else {
      return .different(reason: "the text \"\(piece)\" is \(words(a)) for the teacher and \(words(b)) for the student")
    }
  }
  let size = min(teacher.vocabularySize, student.vocabularySize, teacherSize, studentSize)
  let edges = Set([teacher, student].flatMap { $0.endTokens + ($0.beginToken.map { [$0] } ?? []) })
  for id in edges.sorted() + Array(0..<Int32(size)) where id < size {
    if !edges.contains(id), teacher.isSpecial(id) || student.isSpecial(id) { continue }
    guard let a = teacher.token(id), let b = student.token(id), !a.utf8.elementsEqual(b.utf8) else { continue }
    return .different(reason: "the token \(id) is \"\(a)\" for the teacher and \"\(b)\" for the student")
  }
  return .same(size: size)
}

/// The ids of a piece, or nil if the tokenizer has none for it.
private func encoded(_ text: String, _ tokenizer: Tokenizer) -> [Int32]? { try? tokenizer.encode(text) }

private func words(_ ids: [Int32]?) -> String {
  guard let ids else { return "no tokens" }
  let shown = ids.prefix(12).map(String.init).joined(separator: ", ")
  return "[\(shown)\(ids.count > 12 ? ", ..." : "")]"
}

/// What tokenizers disagree on: code, scripts, digits, white space, accents, emoji, control characters. Fractions and
/// raised digits are left out: the GGUF and the tokenizer.json of one model (SmolLM2) part them differently.
let vocabularyProbe: [String] = [
  "The quick brown fox jumps over the lazy dog; it's 'quoted' and WE'LL see (don't we?).",
  "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }  // 0x1F, 3.14e-10",
  "def f(x):\n    return x ** 2 if x != 0 else None\n\n\tindented with a tab\r\n",
  "SELECT * FROM t WHERE id >= 42 AND name LIKE '%foo%';",
  "<div class=\"a-b_c\"><a href=\"https://example.org/?q=1&r=2#x\">link</a></div>",
  "0 1 12 123 1234 12345 123456 1234567890 3,141.59 1/2 50% 2024-02-29T23:59:60Z",
  " leading and trailing ", "   three spaces\t\ttwo tabs\n\n\nthree lines   ", "\n", "\t", "        ",
  "\u{00A0}no-break\u{3000}ideographic\u{2003}em\u{200B}zero\u{FEFF}",
  "Übergröße, naïve café, Ærøskøbing, İstanbul, straße, e\u{301} \u{E9}",
  "Съешь же ещё этих мягких французских булок", "Γαζέες και μυρτιές δεν θα βρω πια",
  "敏捷的棕色狐狸跳过懒狗。你好，世界！", "いろはにほへと ちりぬるを カタカナ", "다람쥐 헌 쳇바퀴에 타고파",
  "صِف خَلقَ خَودِ كَمِثلِ الشَمسِ", "דג סקרן שט בים מאוכזב", "ऋषियों को सताने वाले दुष्ट",
  "นายสังฆภัณฑ์ เฮงพิทักษ์ฝั่ง",
  "😀👩‍👩‍👧‍👦🇩🇪👍🏽 ∑∫√≠≤∞ → ← ℵ ﷽ ﬁ Ａ", "\u{0} \u{1}\u{7F}\u{85}",
  "antidisestablishmentarianism zzzzzzzzzz XMLHttpRequest2 snake_case camelCase",
]

/// What a tokenizer is: SHA-256 over the tokens of its ids with whether each is special, and how it encodes
/// `vocabularyProbe`. Tokenizers with equal digests give the same ids for the same texts as far as that shows.
package func tokenizerDigest(_ tokenizer: Tokenizer) -> String {
  var bytes: [UInt8] = []
  func add(_ value: Int32) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
  add(Int32(tokenizer.vocabularySize))
  for id in 0..<Int32(tokenizer.vocabularySize) {
    guard let token = tokenizer.token(id) else {
      add(-1)
      continue
    }
    add(Int32(token.utf8.count))
    bytes.append(contentsOf: token.utf8)
    bytes.append(tokenizer.isSpecial(id) ? 1 : 0)
  }
  for piece in vocabularyProbe {
    let ids = encoded(piece, tokenizer)
    add(Int32(ids?.count ?? -1))
    for id in ids ?? [] { add(id) }
  }
  return bytes.withUnsafeBytes(sha256)
}
