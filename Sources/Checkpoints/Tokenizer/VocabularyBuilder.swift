// Collects the tokens and merges of a file and checks that they belong together.

/// A vocabulary and its merges in the making.
struct VocabularyBuilder {
  private(set) var vocabulary: Vocabulary
  private(set) var merges: MergeTable
  /// Added tokens that the model itself does not have.
  private(set) var foreign: Set<Int32> = []
  private let idLimit: Int

  /// Tokens and merges at most; the largest vocabularies have a quarter of a million.
  static let limit = 1 << 22

  /// - Parameters: how many tokens and merges there will be.
  init(tokens: Int, merges: Int) throws(TokenizerFault) {
    for (what, count) in [("tokens", tokens), ("merges", merges)] where count > Self.limit {
      throw .tooMany(what, count: count, limit: Self.limit)
    }
    vocabulary = Vocabulary(capacity: tokens)
    self.merges = MergeTable(capacity: merges)
    // Ids may have holes, but a short file must not ask for a huge table.
    idLimit = 2 * tokens + 65_536
  }

  mutating func add(_ token: UnsafeRawBufferPointer, id: Int) throws(TokenizerFault) {
    let name = { String(decoding: token, as: UTF8.self) }
    guard (0..<idLimit).contains(id) else { throw .tokenID(token: name(), id: id, limit: idLimit) }
    switch vocabulary.insert(token, id: id) {
    case .inserted: break
    case .idTaken: throw .duplicateID(id, tokens: [vocabulary.token(id) ?? "", name()])
    case .tokenTaken: throw .duplicateToken(name())
    }
  }

  mutating func add(_ token: String, id: Int) throws(TokenizerFault) {
    var token = token
    let result = token.withUTF8 { bytes in
      Result { () throws(TokenizerFault) in try add(UnsafeRawBufferPointer(bytes), id: id) }
    }
    try result.get()
  }

  /// Adds an added token, which may be in the vocabulary already under the same id.
  mutating func addAdded(_ token: String, id: Int) throws(TokenizerFault) {
    guard let known = vocabulary.id(of: token) else {
      try add(token, id: id)
      foreign.insert(Int32(id))
      return
    }
    guard known == id else { throw .addedToken(token, id: id, vocabularyID: Int(known)) }
  }

  /// Sets merges of tokens of the vocabulary, by rank.
  mutating func setMerges(_ pairs: [(left: Int32, right: Int32)]) {
    merges = MergeTable(capacity: pairs.count)
    for (index, pair) in pairs.enumerated() {
      guard let merged = merged(pair.left, pair.right) else { continue }
      merges.insert(pair.left, pair.right, rank: index, into: merged)
    }
  }

  /// The token that two tokens make.
  private func merged(_ left: Int32, _ right: Int32) -> Int32? {
    vocabulary.withToken(Int(left)) { left in
      vocabulary.withToken(Int(right)) { right in
        guard let left, let right else { return nil }
        return merged(left, right)
      }
    }
  }

  private func merged(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int32? {
    withUnsafeTemporaryAllocation(byteCount: left.count + right.count, alignment: 1) { buffer in
      buffer.copyMemory(from: left)
      UnsafeMutableRawBufferPointer(rebasing: buffer[left.count...]).copyMemory(from: right)
      return vocabulary.id(of: UnsafeRawBufferPointer(buffer))
    }
  }

  /// Adds the merge of rank `index`.
  mutating func addMerge(
    _ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer, index: Int
  ) throws(TokenizerFault) {
    func id(_ token: UnsafeRawBufferPointer) throws(TokenizerFault) -> Int32 {
      guard let id = vocabulary.id(of: token) else {
        throw .mergeToken(index: index, token: String(decoding: token, as: UTF8.self))
      }
      return id
    }
    let (leftID, rightID) = (try id(left), try id(right))
    let merged = merged(left, right)
    guard let merged else {
      throw .mergeToken(
        index: index, token: String(decoding: left, as: UTF8.self) + String(decoding: right, as: UTF8.self))
    }
    merges.insert(leftID, rightID, rank: index, into: merged)
  }

  /// Adds a merge written as "left right".
  mutating func addMerge(_ text: UnsafeRawBufferPointer, index: Int) throws(TokenizerFault) {
    let space = UInt8(ascii: " ")
    guard let cut = text.firstIndex(of: space), cut > 0, cut + 1 < text.count,
      text.lastIndex(of: space) == cut
    else { throw .merge(index: index, text: String(decoding: text, as: UTF8.self)) }
    try addMerge(
      UnsafeRawBufferPointer(rebasing: text[..<cut]), UnsafeRawBufferPointer(rebasing: text[(cut + 1)...]),
      index: index)
  }
}
