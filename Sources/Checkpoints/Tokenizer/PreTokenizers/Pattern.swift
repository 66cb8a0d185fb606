// A compiled regular expression over UTF-8: the only file that knows PCRE2.

import CPCRE2

/// An expression that may be used on several threads at once.
final class Pattern: @unchecked Sendable {
  // Unchecked: compiled code is constant; what a match changes is in `Matcher`.

  /// As in the tokenizer's file.
  let source: String
  fileprivate let code: OpaquePointer
  fileprivate let hasJIT: Bool

  /// - Parameter source: an expression in Oniguruma's syntax.
  /// - Throws: `TokenizerFault.pattern`.
  init(_ source: String) throws(TokenizerFault) {
    let translated: String
    switch RegexTranslation.translate(source) {
    case .success(let text): translated = text
    case .failure(let refusal): throw .pattern(source, reason: "\(refusal.reason) is not supported")
    }
    guard let context = pcre2_compile_context_create_8(nil) else { throw .pattern(source, reason: "out of memory") }
    defer { pcre2_compile_context_free_8(context) }
    pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_LF))
    pcre2_set_max_pattern_length_8(context, 1 << 16)

    let options = UInt32(PCRE2_UTF) | UInt32(PCRE2_UCP) | UInt32(PCRE2_MULTILINE) | UInt32(PCRE2_NEVER_BACKSLASH_C)
    let bytes = Array(translated.utf8)
    var error: Int32 = 0
    var offset = 0
    guard let code = pcre2_compile_8(bytes, bytes.count, options, &error, &offset, context) else {
      throw .pattern(source, reason: Self.message(error))
    }
    self.source = source
    self.code = code
    hasJIT = pcre2_jit_compile_8(code, UInt32(PCRE2_JIT_COMPLETE)) == 0
  }

  deinit { pcre2_code_free_8(code) }

  fileprivate static func message(_ error: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    guard pcre2_get_error_message_8(error, &buffer, buffer.count) >= 0 else { return "PCRE2 error \(error)" }
    return String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
  }
}

/// The state of matching one pattern, on one thread.
final class Matcher {
  private let pattern: Pattern
  private let data: OpaquePointer
  private let context: OpaquePointer
  private let stack: OpaquePointer

  init(_ pattern: Pattern) throws(TokenizerFault) {
    guard let data = pcre2_match_data_create_8(1, nil), let context = pcre2_match_context_create_8(nil),
      let stack = pcre2_jit_stack_create_8(32 << 10, 1 << 20, nil)
    else { throw .patternGaveUp(pattern.source, reason: "out of memory") }
    self.pattern = pattern
    self.data = data
    self.context = context
    self.stack = stack
    pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack))
    pcre2_set_heap_limit_8(context, 64 << 10)  // KiB
  }

  deinit {
    pcre2_match_data_free_8(data)
    pcre2_match_context_free_8(context)
    pcre2_jit_stack_free_8(stack)
  }

  /// The first match in `text` at `offset` or behind. What lies before `offset` is seen by lookbehinds.
  /// - Parameter text: valid UTF-8; `offset` is at the start of a character.
  /// - Throws: `TokenizerFault.patternGaveUp` for an expression that takes too much work on this text.
  func firstMatch(in text: UnsafeRawBufferPointer, from offset: Int) throws(TokenizerFault) -> Range<Int>? {
    let subject = text.baseAddress?.assumingMemoryBound(to: UInt8.self)
    var status: Int32
    if pattern.hasJIT {
      status = pcre2_jit_match_8(pattern.code, subject, text.count, offset, 0, data, context)
      if status == PCRE2_ERROR_JIT_STACKLIMIT { status = interpreted(subject, text.count, offset) }
    } else {
      status = interpreted(subject, text.count, offset)
    }
    if status == PCRE2_ERROR_NOMATCH { return nil }
    // 0 says that there are more groups than the data has places for; the whole match is there all the same.
    guard status >= 0, let places = pcre2_get_ovector_pointer_8(data) else {
      throw .patternGaveUp(pattern.source, reason: Pattern.message(status))
    }
    let (start, end) = (places[0], places[1])
    guard start >= offset, start <= end, end <= text.count else {
      throw .patternGaveUp(pattern.source, reason: "a match outside of the text")
    }
    return start..<end
  }

  /// The matches in `text`, from left to right.
  func matches(in text: UnsafeRawBufferPointer) -> Matches { Matches(self, text) }

  private func interpreted(_ subject: UnsafePointer<UInt8>?, _ count: Int, _ offset: Int) -> Int32 {
    pcre2_match_8(
      pattern.code, subject, count, offset, UInt32(PCRE2_NO_UTF_CHECK) | UInt32(PCRE2_NO_JIT), data, context)
  }
}

/// The matches of a pattern in a text, from left to right; an empty one right behind another does not count.
struct Matches {
  private let matcher: Matcher
  private let text: UnsafeRawBufferPointer
  private var from = 0
  private var lastEnd: Int?

  fileprivate init(_ matcher: Matcher, _ text: UnsafeRawBufferPointer) {
    self.matcher = matcher
    self.text = text
  }

  /// - Throws: as `Matcher.firstMatch`.
  mutating func next() throws(TokenizerFault) -> Range<Int>? {
    while from <= text.count, let match = try matcher.firstMatch(in: text, from: from) {
      from = match.upperBound
      if match.isEmpty, match.upperBound == lastEnd {
        repeat { from += 1 } while from < text.count && text[from] & 0xC0 == 0x80
        continue
      }
      lastEnd = match.upperBound
      return match
    }
    return nil
  }
}
