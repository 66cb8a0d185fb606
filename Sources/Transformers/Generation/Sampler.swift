// From the logits of a vocabulary to one token: greedy, or drawn at random from what temperature, top-k and top-p
// leave.

import Glibc
import Tensors

/// How tokens are chosen. Temperature first, then the `topK` most probable of what it gives, then the nucleus `topP` of
/// those: the order of Hugging Face's transformers.
package struct SamplingOptions: Sendable, Equatable {
  /// What logits are divided by. 0: always the most probable token, whatever the others say.
  package let temperature: Double
  /// Only this many of the most probable tokens; nil for all.
  package let topK: Int?
  /// Only the fewest most probable tokens whose probabilities, after `topK`, sum to this at least (nucleus sampling,
  /// Holtzman et al. 2020); at least one. nil for all.
  package let topP: Double?

  /// - Parameters:
  ///   - temperature: finite, at least 0.
  ///   - topK: at least 1.
  ///   - topP: 0...1.
  package init(temperature: Double = 0, topK: Int? = nil, topP: Double? = nil) {
    precondition(temperature.isFinite && temperature >= 0 && topK ?? 1 >= 1 && (0...1).contains(topP ?? 1))
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
  }
}

/// Log-probabilities of a chosen token, in nats.
package struct TokenLogProbability: Sendable, Equatable {
  /// Under the model's own distribution: the softmax of the logits at temperature 1 over the whole vocabulary.
  package let model: Double
  /// Under the distribution that it was drawn from: after temperature, top-k and top-p. 0 when greedy.
  package let sampling: Double
}

/// Chooses tokens, with working memory for one vocabulary. Of tokens that are equally probable, those with lower ids
/// come first: greedy takes the first, top-k and top-p keep the first.
package final class Sampler {
  private struct Candidate {
    let probability: Float
    let token: Int32

    func isBefore(_ other: Candidate) -> Bool {
      probability > other.probability || (probability == other.probability && token < other.token)
    }
  }

  private let options: SamplingOptions
  private let vocabularySize: Int
  private let probabilities: FloatBuffer
  /// A heap whose first element comes before all others.
  private var candidates: [Candidate] = []
  /// Those that stay, most probable first.
  private var kept: [Candidate] = []

  package init(_ options: SamplingOptions, vocabularySize: Int) {
    self.options = options
    self.vocabularySize = vocabularySize
    probabilities = FloatBuffer(count: options.temperature > 0 ? vocabularySize : 0)
  }

  /// Chooses the token that follows.
  /// - Parameters:
  ///   - logits: of the whole vocabulary.
  ///   - position: tokens before it, for errors.
  ///   - random: gives one number for each choice, none when greedy.
  /// - Throws: `GenerationError.nonFiniteLogits`.
  package func choose(
    _ logits: UnsafePointer<Float>, position: Int, random: inout RandomStream, wantsLogProbability: Bool = false
  ) throws(GenerationError) -> (token: Int32, logProbability: TokenLogProbability?) {
    guard let largest = Compute.largestLogit(logits, count: vocabularySize) else {
      let token = (0..<vocabularySize).first { !logits[$0].isFinite }
      throw .nonFiniteLogits(position: position, token: token ?? 0)
    }
    var choice = (token: Int32(largest), probability: 1.0)
    if options.temperature > 0 {
      Compute.softmax(probabilities.pointer, logits, count: vocabularySize, temperature: options.temperature)
      let point = random.uniform()
      choice = keepsAll ? drawFromAll(point) : drawFromKept(point)
    }
    guard wantsLogProbability else { return (choice.token, nil) }
    let model = Double(logits[Int(choice.token)]) - Compute.logSumExp(logits, count: vocabularySize)
    return (choice.token, TokenLogProbability(model: min(0, model), sampling: min(0, log(choice.probability))))
  }

  private var keepsAll: Bool { (options.topK ?? vocabularySize) >= vocabularySize && (options.topP ?? 1) >= 1 }

  /// The token at `point` (0..<1) of the vocabulary laid out by probability, in the order of ids.
  private func drawFromAll(_ point: Double) -> (Int32, Double) {
    let p = probabilities.pointer
    var total = 0.0
    for token in 0..<vocabularySize { total += Double(p[token]) }
    let target = point * total
    var sum = 0.0, last = 0
    for token in 0..<vocabularySize where p[token] > 0 {
      last = token
      sum += Double(p[token])
      if sum > target { break }
    }
    return (Int32(last), Double(p[last]) / total)
  }

  /// The token at `point` (0..<1) of those that stay laid out by probability, the most probable first.
  private func drawFromKept(_ point: Double) -> (Int32, Double) {
    let total = keep()
    let target = point * total
    var sum = 0.0
    for candidate in kept {
      sum += Double(candidate.probability)
      if sum > target { return (candidate.token, Double(candidate.probability) / total) }
    }
    let last = kept[kept.count - 1]
    return (last.token, Double(last.probability) / total)
  }

  /// Fills `kept`, and returns the sum of its probabilities.
  private func keep() -> Double {
    let topP = options.topP ?? 1
    let p = probabilities.pointer
    // Tokens below (1 - topP) / V sum to less than 1 - topP: none is in the nucleus of the whole vocabulary.
    let floor = options.topK == nil ? Float((1 - topP) / Double(vocabularySize)) * 0.99 : 0
    candidates.removeAll(keepingCapacity: true)
    kept.removeAll(keepingCapacity: true)
    var total = 0.0
    for token in 0..<vocabularySize {
      total += Double(p[token])
      if p[token] >= floor { candidates.append(Candidate(probability: p[token], token: Int32(token))) }
    }
    heapify()
    if let topK = options.topK {
      total = 0
      while kept.count < topK, let candidate = popFirst() {
        kept.append(candidate)
        total += Double(candidate.probability)
      }
      guard topP < 1 else { return total }
    }
    let enough = topP * total
    var sum = 0.0, count = 0
    while count == 0 || sum < enough {
      if count == kept.count {
        guard options.topK == nil, let candidate = popFirst() else { break }
        kept.append(candidate)
      }
      sum += Double(kept[count].probability)
      count += 1
    }
    kept.removeLast(kept.count - count)
    return sum
  }

  private func heapify() {
    for place in stride(from: candidates.count / 2 - 1, through: 0, by: -1) { siftDown(place) }
  }

  private func popFirst() -> Candidate? {
    guard let first = candidates.first, let last = candidates.popLast() else { return nil }
    if !candidates.isEmpty {
      candidates[0] = last
      siftDown(0)
    }
    return first
  }

  private func siftDown(_ start: Int) {
    candidates.withUnsafeMutableBufferPointer { heap in
      let moving = heap[start]
      var place = start
      while true {
        var child = 2 * place + 1
        guard child < heap.count else { break }
        if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
        guard heap[child].isBefore(moving) else { break }
        heap[place] = heap[child]
        place = child
      }
      heap[place] = moving
    }
  }
}
