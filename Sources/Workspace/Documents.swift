// Documents, and how they share windows: each is a segment of its own, which sees no other.

/// A text that is trained on: a prompt, which is given, and what follows it.
package struct Document: Sendable, Equatable {
  package let tokens: [Int32]
  /// The first so many tokens are given and never predicted.
  package let promptTokens: Int

  /// - Parameter promptTokens: 0...tokens.count.
  package init(tokens: [Int32], promptTokens: Int = 0) {
    precondition((0...tokens.count).contains(promptTokens), "a prompt longer than its document")
    self.tokens = tokens
    self.promptTokens = promptTokens
  }
}

/// A prompt as it is sampled from and rewarded.
package struct Example: Sendable, Equatable {
  package let prompt: String
  package let promptTokens: [Int32]
  /// What rewards compare with, if the data have it.
  package let answer: String?

  package init(prompt: String, promptTokens: [Int32], answer: String? = nil) {
    self.prompt = prompt
    self.promptTokens = promptTokens
    self.answer = answer
  }
}

/// How documents are put into windows.
package enum Packing: String, Sendable, CaseIterable {
  /// Each document is a window.
  case none
  /// The longest document first, each into the window that it fills best.
  case bestFit
}

/// Documents that were put into windows of at most `sequenceLength` tokens.
package struct PackedDocuments: Sendable, Equatable {
  package let sequenceLength: Int
  /// The segments of each window, at least one of at least one token. Windows are in the order of their first segments,
  /// segments in that of the documents.
  package let windows: [[Document]]
  /// Documents without a prompt that were longer than a window: each was cut into pieces that do not see each other.
  package let cutDocuments: Int
  /// Documents with a prompt that were longer than a window: without it, or without their end, they would teach
  /// something else.
  package let tooLong: Int
  /// Documents and ends of cut ones that had too few tokens to predict any.
  package let tooShort: Int

  /// - Parameters:
  ///   - sequenceLength: at least 2.
  ///   - packing: best-fit decreasing: documents by falling length, equally long ones in their order; each goes into
  ///     the window with the least room that it fits into, of several into the one that came to have that room last.
  ///     (Ding et al. 2024, Fewer Truncations Improve Language Modeling, section 3)
  package init(_ documents: [Document], sequenceLength: Int, packing: Packing) {
    precondition(sequenceLength >= 2)
    var segments: [Document] = []
    var cut = 0, long = 0, short = 0
    for document in documents {
      if document.tokens.count <= sequenceLength {
        // A prompt alone predicts nothing, and is kept for what is sampled from it.
        if document.tokens.count >= 2 || document.promptTokens > 0 { segments.append(document) } else { short += 1 }
      } else if document.promptTokens > 0 {
        long += 1
      } else {
        cut += 1
        for start in stride(from: 0, to: document.tokens.count, by: sequenceLength) {
          let piece = document.tokens[start..<min(document.tokens.count, start + sequenceLength)]
          if piece.count >= 2 { segments.append(Document(tokens: Array(piece))) } else { short += 1 }
        }
      }
    }
    self.sequenceLength = sequenceLength
    (cutDocuments, tooLong, tooShort) = (cut, long, short)
    switch packing {
    case .none: windows = segments.map { [$0] }
    case .bestFit:
      windows = Self.bestFit(segments.map(\.tokens.count), room: sequenceLength).map { $0.map { segments[$0] } }
    }
  }

  /// Windows of the numbers of `lengths`, each 1...room.
  private static func bestFit(_ lengths: [Int], room: Int) -> [[Int]] {
    let order = lengths.indices.sorted { (lengths[$1], $0) < (lengths[$0], $1) }
    var windows: [[Int]] = []
    var open = OpenWindows(room: room)
    for number in order {
      let length = lengths[number]
      if let (window, left) = open.take(length) {
        windows[window].append(number)
        open.put(window, room: left - length)
      } else {
        windows.append([number])
        open.put(windows.count - 1, room: room - length)
      }
    }
    return windows.map { $0.sorted() }.sorted { $0[0] < $1[0] }
  }
}

/// Windows by the room that they have left.
private struct OpenWindows {
  private var byRoom: [[Int]]
  /// Bit r: whether there is a window with room r.
  private var occupied: [UInt64]

  init(room: Int) {
    byRoom = Array(repeating: [], count: room + 1)
    occupied = Array(repeating: 0, count: room / 64 + 1)
  }

  mutating func put(_ window: Int, room: Int) {
    byRoom[room].append(window)
    occupied[room / 64] |= 1 << UInt64(room % 64)
  }

  /// The window with the least room of at least `length`, which is 1 or more.
  mutating func take(_ length: Int) -> (window: Int, room: Int)? {
    var word = length / 64
    var bits = occupied[word] & (~0 << UInt64(length % 64))
    while bits == 0 {
      word += 1
      guard word < occupied.count else { return nil }
      bits = occupied[word]
    }
    let room = word * 64 + bits.trailingZeroBitCount
    let window = byRoom[room].removeLast()
    if byRoom[room].isEmpty { occupied[room / 64] &= ~(1 << UInt64(room % 64)) }
    return (window, room)
  }
}
