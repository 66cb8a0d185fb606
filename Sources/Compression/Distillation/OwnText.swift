// What a student has written in a run, and how much of the batches it writes.

import Tensors
import Workspace

/// A prompt, and how the student went on.
struct WrittenText: Sendable, Equatable {
  let prompt, completion: [Int32]
}

/// The share of the batches that the student writes, and what it has written.
struct OwnText: Sendable, Equatable {
  /// What becomes of a batch.
  enum Choice { case dataset, written, remembered }

  private(set) var share: Double
  /// The loss that the next validation is held against.
  private(set) var level: Double?
  /// Oldest first.
  private(set) var texts: [WrittenText]

  init(share: Double, level: Double? = nil, texts: [WrittenText] = []) {
    self.share = share
    self.level = level
    self.texts = texts
  }

  mutating func adapt(to loss: Double, _ adaptation: OnPolicy.Adaptation) {
    guard let before = level else {
      level = loss
      return
    }
    guard loss >= before + adaptation.tolerance else { return }
    share = min(1, share + adaptation.rise)
    level = loss
  }

  /// - Parameters:
  ///   - point: random, 0..<1.
  ///   - progress: the part of all steps that is done.
  func choice(_ point: Double, progress: Double, _ adaptation: OnPolicy.Adaptation?) -> Choice {
    guard point < share else { return .dataset }
    guard let adaptation else { return .written }
    return point < share * (1 - progress) || texts.count < adaptation.memory ? .written : .remembered
  }

  mutating func remember(_ new: [WrittenText], atMost count: Int) {
    texts.append(contentsOf: new)
    texts.removeFirst(max(0, texts.count - count))
  }

  /// Some of what is remembered, none twice.
  func recalled(_ count: Int, using random: inout SplitMix64) -> [WrittenText] {
    Array(texts.shuffled(using: &random).prefix(count))
  }
}

extension TrainingBatch {
  /// Texts of which only what the student wrote counts.
  init(_ texts: [WrittenText]) {
    self.init(
      lengths: texts.map { $0.prompt.count + $0.completion.count - 1 },
      tokens: texts.flatMap { $0.prompt + $0.completion.dropLast() },
      targets: texts.flatMap { text in text.prompt.dropLast().map { _ in -1 } + text.completion })
  }
}

extension OwnText {
  /// The texts as floats, `[memory, 2 + width]`: the lengths of prompt and completion, their tokens, zeros.
  func floats(memory: Int, width: Int) -> FloatBuffer {
    let buffer = FloatBuffer(count: memory * (2 + width))
    buffer.values.initialize(repeating: 0)
    for (index, text) in texts.enumerated() {
      let row = buffer.pointer + index * (2 + width)
      for (column, value) in ([Int32(text.prompt.count), Int32(text.completion.count)] + text.prompt + text.completion)
        .enumerated()
      {
        row[column] = Float(value)
      }
    }
    return buffer
  }

  /// What `floats` wrote; nil if it is no such thing.
  /// - Parameter vocabulary: tokens are below.
  static func texts(_ buffer: FloatBuffer, memory: Int, width: Int, vocabulary: Int) -> [WrittenText]? {
    var texts: [WrittenText] = []
    for index in 0..<memory {
      let row = buffer.pointer + index * (2 + width)
      guard let prompt = Int(exactly: row[0]), let completion = Int(exactly: row[1]), prompt >= 0, completion >= 0
      else { return nil }
      if prompt == 0, completion == 0 { break }
      guard prompt > 0, completion > 0, prompt <= width, completion <= width, prompt + completion <= width
      else { return nil }
      let tokens = (0..<prompt + completion).compactMap { Int32(exactly: row[2 + $0]) }
      guard tokens.count == prompt + completion, tokens.allSatisfy({ (0..<Int32(vocabulary)).contains($0) })
      else { return nil }
      texts.append(WrittenText(prompt: Array(tokens.prefix(prompt)), completion: Array(tokens.dropFirst(prompt))))
    }
    return texts
  }
}
