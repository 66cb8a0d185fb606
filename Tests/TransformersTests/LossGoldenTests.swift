// Losses on logits and on hidden states against PyTorch, and what must not matter to them: how many rows of logits
// exist at a time.

import Glibc
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

/// Forward divergence from logits that are there already, in double. (Hinton et al. 2015, without the factor T^2)
private struct StoredDivergence: LogitLoss {
  let teacher: [Double]
  let temperature: Double
  let scale: Double

  func overwriteWithGradient(
    _ logits: UnsafeMutablePointer<Float>, rows: Range<Int>, vocabulary V: Int, compute: Compute,
    cancellation: Cancellation
  ) throws(Cancelled) -> Double {
    try compute.sumOverRows(rows.count, cancellation: cancellation) { row in
      let first = (rows.lowerBound + row) * V
      let own = logits + row * V
      let p = softmax(teacher[first..<first + V].map { $0 / temperature })
      let q = softmax((0..<V).map { Double(own[$0]) / temperature })
      for c in 0..<V { own[c] = Float(scale / temperature * (q[c] - p[c])) }
      return zip(p, q).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) }
    }
  }
}

private func softmax(_ logits: [Double]) -> [Double] {
  let largest = logits.max() ?? 0, powers = logits.map { exp($0 - largest) }, sum = powers.reduce(0, +)
  return powers.map { $0 / sum }
}

extension Family {
  /// Loss (a sum) and gradients of any loss over the golden's tokens.
  fileprivate func backward(
    _ loss: (any LogitLoss)?, stateGradients: [Int: [Float]] = [:], tokens: [Int32]? = nil,
    logitRows: Int? = nil
  ) throws -> (loss: Double, gradients: ParameterBlock) {
    let compute = try Self.compute.get(), transformer = model.transformer
    let parameters = Parameters(transformer, copying: model.history.current, pool: compute.pool)
    let gradients = ParameterBlock(parameters.layout)
    let pass = TrainingPass(
      transformer, batch: Self.batch, plan: .keepAll(transformer), compute: compute, logitRows: logitRows)
    try pass.forward(tokens ?? self.tokens, batch: Self.batch, weights: parameters, cancellation: Cancellation())
    var inner = InnerGradients()
    for (layer, values) in stateGradients {
      let buffer = FloatBuffer(count: values.count)
      _ = buffer.values.update(fromContentsOf: values)
      inner.states[layer] = buffer
    }
    let total = try pass.backward(
      through: loss, weights: parameters, into: gradients, cancellation: Cancellation()) { _ in inner }
    return (total, gradients)
  }
}

/// ‖a - b‖ / ‖b‖ of one tensor; ‖b‖ is taken as a hundredth of the whole gradient's at least, for what is next to zero
/// is rounding.
private func distance(_ a: ParameterBlock, _ b: ParameterBlock, _ name: String) -> Double {
  let whole = b.values.readOnly.reduce(0.0) { $0 + Double($1) * Double($1) }
  var difference = 0.0, norm = 0.0
  for index in 0..<(b.layout.entries[name]?.count ?? 0) {
    let (x, y) = (Double(a[name][index]), Double(b[name][index]))
    difference += (x - y) * (x - y)
    norm += y * y
  }
  return (difference / max(norm, 1e-4 * whole)).squareRoot()
}

@Suite struct LossGoldenTests {
  @Test(arguments: Family.names)
  func divergenceFromStoredLogits(name: String) throws {
    let family = try Family(name), golden = family.golden
    let loss = StoredDivergence(
      teacher: try golden.numbers("kl.teacherLogits").values, temperature: 2, scale: 1 / 38)
    let (total, gradients) = try family.backward(loss)
    let expected = try golden.numbers("kl.loss").values[0]
    #expect(abs(total / 38 / expected - 1) < 1e-5)
    let prefix = "kl.gradient."
    let stored = golden.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    #expect(stored.count == 3)
    for tensor in stored {
      #expect(try family.gradientError(gradients, tensor, from: prefix) < 1e-4, "\(tensor)")
    }
  }

  /// A loss that is given by its gradient on what leaves the last layer moves all that comes before like the loss
  /// itself.
  @Test(arguments: Family.names)
  func gradientsFromHiddenStates(name: String) throws {
    let family = try Family(name), transformer = family.model.transformer, layers = transformer.shape.layers
    let given = try family.golden.numbers("hiddenGradient").values.map { Float($0) }
    let (total, gradients) = try family.backward(nil, stateGradients: [layers: given])
    #expect(total == 0)
    for tensor in (0..<layers).flatMap({ transformer.tensors(layer: $0) }) {
      #expect(try family.gradientError(gradients, tensor) < 1e-4, "\(tensor)")
    }
    // The output projection has no part in it; a tied embedding has one of two.
    let embedding = transformer.embeddingTensors[0], names = Array(gradients.layout.entries.keys)
    let isTied = !names.contains { $0.contains("lm_head") }
    #expect(try (family.gradientError(gradients, embedding) < 1e-4) == !isTied)
    for tensor in names where tensor.contains("lm_head") || tensor.hasPrefix("model.norm") {
      #expect((0..<(gradients.layout.entries[tensor]?.count ?? 0)).allSatisfy { gradients[tensor][$0] == 0 })
    }
  }

  /// Gradients on states and on logits add up, at every layer.
  @Test func gradientsOnStatesAddUp() throws {
    let family = try Family("qwen3"), layers = family.model.transformer.shape.layers
    let count = Family.batch.tokens * family.model.transformer.shape.hiddenSize
    var random = Seeded(5)
    let more = random.floats(count, scale: 1e-3)
    let loss = try family.backward(family.crossEntropy)
    for layer in 0...layers {
      let alone = try family.backward(nil, stateGradients: [layer: more])
      let both = try family.backward(family.crossEntropy, stateGradients: [layer: more])
      #expect(both.loss == loss.loss)
      for tensor in both.gradients.layout.entries.keys {
        let sum = ParameterBlock(both.gradients.layout)
        for index in 0..<(sum.layout.entries[tensor]?.count ?? 0) {
          sum[tensor][index] = loss.gradients[tensor][index] + alone.gradients[tensor][index]
        }
        #expect(distance(both.gradients, sum, tensor) < 2e-6, "\(tensor) from layer \(layer)")
      }
    }
  }

  @Test(arguments: Family.names, [1, 7, 16, 38, 1000])
  func rowsOfLogitsAtATimeDoNotMatter(name: String, logitRows: Int) throws {
    let family = try Family(name)
    let all = try family.backward(family.crossEntropy)
    let some = try family.backward(family.crossEntropy, logitRows: logitRows)
    #expect(abs(some.loss / all.loss - 1) < 1e-6)
    for tensor in all.gradients.layout.entries.keys {
      #expect(distance(some.gradients, all.gradients, tensor) < 1e-6, "\(tensor)")
    }
  }

  /// Rows without a target have no loss and no gradient, wherever they stand.
  @Test(arguments: ["llama3", "gpt2"], [1, 5, 38])
  func rowsWithoutTarget(name: String, logitRows: Int) throws {
    let family = try Family(name), all = CrossEntropy.nextTokens(family.tokens, length: Family.batch.length)
    func half(_ isTaken: (Int) -> Bool) throws -> (loss: Double, gradients: ParameterBlock) {
      let targets = all.enumerated().map { isTaken($0.offset) ? $0.element : -1 }
      return try family.backward(CrossEntropy(targets: targets, scale: 1 / 36), logitRows: logitRows)
    }
    let even = try half { $0 % 2 == 0 }, odd = try half { $0 % 2 == 1 }, whole = try family.gradients()
    #expect(abs((even.loss + odd.loss) / 36 - whole.loss) < 1e-6 * whole.loss)
    let sum = ParameterBlock(whole.gradients.layout)
    for index in 0..<sum.values.count {
      sum.values.pointer[index] = even.gradients.values.pointer[index] + odd.gradients.values.pointer[index]
    }
    for tensor in sum.layout.entries.keys {
      #expect(distance(sum, whole.gradients, tensor) < 1e-6, "\(tensor)")
    }
    let none = try half { _ in false }
    #expect(none.loss == 0 && none.gradients.values.readOnly.allSatisfy { $0 == 0 })
    #expect(CrossEntropy(targets: all, scale: 1).validRows == 36)
  }
}
