// Scores of units: what selectors are given, what layers do, and sums of weights' scores.

@testable import Compression
import Glibc
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct UnitScoringTests {
  /// Heads and neurons: the map that reads them, with the moments of its input; width columns belong to a unit.
  @Test(arguments: ["qwen2", "gpt2"])
  func selectorsAreGivenWhatReadsTheUnits(name: String) throws {
    let model = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
    let transformer = model.state.transformer
    let calibration = try calibrate(
      model.state, dataset: dataset, need: .moments, layers: 0..<transformer.shape.layers, store: Engine.store(),
      compute: Engine.compute, monitor: Monitor())
    let selector = CustomUnits(statistics: .moments) { units in
      #expect(units.matrices.count == 1 && units.count * units.width == units.matrices[0].columns)
      let layer = try #require(units.layer), isHead = units.unit == .head
      #expect(units.matrices[0].tensor == transformer.linearInputs(layer: layer)[isHead ? 1 : 3].tensors[0])
      #expect(units.matrices[0].statistics.input.moments == calibration.moments[layer][isHead ? 1 : 3])
      // The sum of squared weights of the unit's columns: computed again below.
      return (0..<units.count).map { unit in
        (0..<units.matrices[0].rows).reduce(0.0) { sum, row in
          (0..<units.width).reduce(sum) { sum, column in
            let w = Double(units.matrices[0].weights[row * units.matrices[0].columns + unit * units.width + column])
            return sum + w * w
          }
        }
      }
    }
    let scores = try selector.scores(model, .width, dataset: dataset)
    #expect(scores.groups.map(\.unit) == (0..<transformer.shape.layers).flatMap { _ in [UnitKind.head, .neuron] })
    for group in scores.groups {
      let layer = try #require(group.layer)
      let tensor = transformer.linearInputs(layer: layer)[group.unit == .head ? 1 : 3].tensors[0]
      let matrix = Matrix(try #require(model.state.revision.tensors[tensor]).masked)
      let width = matrix.columns / group.scores.count
      for (unit, score) in group.scores.enumerated() {
        let expected = (0..<matrix.rows).reduce(0.0) { sum, row in
          sum + (unit * width..<(unit + 1) * width).reduce(0.0) { $0 + matrix[row, $1] * matrix[row, $1] }
        }
        #expect(abs(score - expected) < 1e-12 * max(1, expected))
      }
    }
    #expect(scores.provenance.dataset == dataset.digest)
  }

  @Test func channelsAreGivenTheFirstReaderOfEachInput() throws {
    let model = try Shrinkable("llama3"), transformer = model.state.transformer
    let selector = CustomUnits { units in
      #expect(units.layer == nil && units.count == transformer.shape.hiddenSize && units.width == 1)
      #expect(
        units.matrices.map(\.tensor)
          == (0..<transformer.shape.layers).flatMap { layer in
            [0, 2].map { transformer.linearInputs(layer: layer)[$0].tensors[0] }
          })
      return [Double](repeating: 1, count: units.count)
    }
    let scores = try selector.scores(model, .channel)
    #expect(scores.groups.count == 1 && scores.groups[0].layer == nil && scores.provenance.dataset == nil)
    #expect(throws: CompressionError.self) { try selector.scores(Shrinkable("gpt2"), .channel) }
  }

  /// The loss without a layer is that of the model whose layer is masked; a layer that does nothing has a cosine of 1.
  @Test(arguments: ["llama3", "gemma3_text", "gpt2"])
  func layersAreMeasured(name: String) throws {
    let dense = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
    let layers = dense.state.transformer.shape.layers
    func measure(_ model: Shrinkable, losses: Bool) throws -> UnitsInput {
      let seen = Box<UnitsInput>()
      let selector = CustomUnits(needsLosses: losses) { units in
        seen.value = units
        return [Double](repeating: 0, count: units.count)
      }
      _ = try selector.scores(model, .layer, dataset: dataset)
      return try #require(seen.value)
    }
    let input = try measure(dense, losses: true)
    #expect(input.count == layers && input.tokens == dataset.tokens.count && input.matrices.isEmpty)
    func nll(_ model: Shrinkable) throws -> Double {
      try evaluatePerplexity(model.state, dataset: dataset, compute: Engine.compute, monitor: Monitor()).nll
    }
    #expect(abs(input.loss - (try nll(dense))) < 1e-9)
    for layer in 0..<layers {
      let masked = try dense.cutting([.layers([layer])])
      #expect(abs(input.lossesWithout[layer] - (try nll(masked))) < 1e-6)
      #expect(abs(input.lossesWithout[layer] - input.loss) > 1e-5, "each layer does something")
      let still = try measure(masked, losses: false)
      #expect(abs(still.cosineSums[layer] / Double(still.tokens) - 1) < 1e-12, "BI of a layer that does nothing is 0")
      #expect(still.lossesWithout.isEmpty && still.loss == 0)
      #expect(input.cosineSums[layer] / Double(input.tokens) < 1 - 1e-6)
    }
    // The first layer's cosines once more, from the states themselves.
    let batch = Batch(sequences: dataset.sequences, length: dataset.sequenceLength)
    let compute = try Engine.compute, C = dense.state.transformer.shape.hiddenSize
    let pass = dense.state.transformer.makeForwardPass(batch: batch, compute: compute)
    let hidden = FloatBuffer(count: batch.tokens * C)
    pass.embed(dataset.tokens, into: hidden.pointer, batch: batch, weights: dense.state.revision)
    let before = hidden.readOnly.map(Double.init)
    try pass.layer(
      0, hidden: hidden.pointer, batch: batch, weights: dense.state.revision, cancellation: Cancellation())
    let after = hidden.readOnly.map(Double.init)
    var sum = 0.0
    for row in 0..<batch.tokens {
      let a = before[row * C..<(row + 1) * C], b = after[row * C..<(row + 1) * C]
      let product = zip(a, b).reduce(0.0) { $0 + $1.0 * $1.1 }
      sum += product / (a.reduce(0) { $0 + $1 * $1 }.squareRoot() * b.reduce(0) { $0 + $1 * $1 }.squareRoot())
    }
    #expect(abs(sum - input.cosineSums[0]) < 1e-9 * abs(sum))
  }

  @Test func cosinesOfZeros() {
    func cosine(_ a: [Float], _ b: [Float]) -> Double { cosineSum(a, b, rows: 1, columns: a.count) }
    #expect(cosine([0, 0], [0, 0]) == 1)
    #expect(cosine([0, 0], [0, 1]) == 0 && cosine([3, 0], [0, 0]) == 0)
    #expect(cosine([1, 0], [-2, 0]) == -1 && cosine([3, 4], [4, 3]) == 0.96)
  }

  @Test func wrongRequestsAreRefused() throws {
    let model = try Shrinkable("llama3"), dataset = try TestModel.goldenDataset(tiny: "llama3")
    let heads = CustomUnits([.head], statistics: .moments) { [Double](repeating: 1, count: $0.count) }
    func kind(_ body: () throws -> UnitScores) -> String? {
      #expect(throws: CompressionError.self) { try body() }?.kind
    }
    #expect(kind { try heads.scores(model, .width, dataset: dataset) } == "unitUnknown")
    let refusal = #expect(throws: CompressionError.self) { try heads.scores(model, .width, dataset: dataset) }
    #expect(refusal?.message.contains("\"width\"; it scores head.") == true)
    #expect(kind { try heads.scores(model, .head) } == "datasetRequired")
    #expect(kind { try CustomUnits { _ in [] }.scores(model, .layer) } == "datasetRequired")
    for bad in [[Double.nan], []] {
      let broken = CustomUnits { units in bad + [Double](repeating: 1, count: units.count - 1) }
      #expect(kind { try broken.scores(model, .head) } == "nonFiniteScores")
    }
  }

  /// Sums over the weights of each unit, counted weight by weight.
  @Test(arguments: ["qwen2", "gpt2", "opt"])
  func aggregatesAreSums(name: String) throws {
    let model = try Shrinkable(name), transformer = model.state.transformer
    var tensors: OrderedDictionary<String, TensorScores> = [:], plain: [String: [Double]] = [:]
    var random = Seeded(3)
    for (name, tensor) in model.state.prunableTensors {
      let matrix = ScoreMatrix(rows: tensor.rows, columns: tensor.columns)
      for index in 0..<tensor.elementCount { matrix.values.pointer[index] = Float(random.int(in: 0...1000)) }
      plain[name] = matrix.values.readOnly.map(Double.init)
      tensors[name] = TensorScores(matrix: matrix, summary: try #require(ScoreSummary(matrix, pool: Engine.pool)))
    }
    let set = ScoreSet(
      provenance: ScoreProvenance(
        model: "m", revision: "r0", plugin: "p", pluginVersion: "1", parameters: [:], dataset: nil),
      defaultGroup: .row, tensors: tensors)
    func units(_ target: UnitTarget) throws -> UnitScores {
      try aggregateUnits(set, state: model.state, target: target, compute: Engine.compute, monitor: Monitor())
    }
    func sum(_ tensor: String, _ isMember: (_ row: Int, _ column: Int) -> Bool) -> Double {
      let columns = model.state.prunableTensors[tensor]?.columns ?? 1
      return (plain[tensor] ?? []).enumerated().reduce(0) { sum, entry in
        isMember(entry.offset / columns, entry.offset % columns) ? sum + entry.element : sum
      }
    }
    let inputs = transformer.linearInputs(layer: 1), D = transformer.headSize(layer: 1)
    let width = try units(.width)
    #expect(width.defaultGroup == .matrix)
    let heads = try #require(width.groups.first { $0.unit == .head && $0.layer == 1 }).scores
    let (headCount, neuronCount) = transformer.unitCounts(layer: 1)
    let hasOwnKeys = transformer.keyValueHeads(layer: 1) == headCount
    for head in [0, headCount - 1] {
      let range = head * D..<(head + 1) * D
      var expected = sum(inputs[1].tensors[0]) { _, column in range.contains(column) }
      if inputs[0].tensors.count == 1 {  // queries, keys and values in one
        expected += sum(inputs[0].tensors[0]) { row, _ in range.contains(row % (headCount * D)) }
      } else {
        for tensor in hasOwnKeys ? inputs[0].tensors : [inputs[0].tensors[0]] {
          expected += sum(tensor) { row, _ in range.contains(row) }
        }
      }
      #expect(heads[head] == expected)
    }
    let neurons = try #require(width.groups.first { $0.unit == .neuron && $0.layer == 1 }).scores
    for neuron in [0, neuronCount - 1] {
      let expected = inputs[2].tensors.reduce(0) { $0 + sum($1) { row, _ in row == neuron } }
        + sum(inputs[3].tensors[0]) { _, column in column == neuron }
      #expect(neurons[neuron] == expected)
    }
    let layers = try units(.layer)
    #expect(layers.groups[0].scores[1] == inputs.flatMap(\.tensors).reduce(0) { $0 + sum($1) { _, _ in true } })
    if transformer.channelObstacle == nil {
      let channels = try units(.channel).groups[0].scores
      let expected = (0..<transformer.shape.layers).flatMap { transformer.linearInputs(layer: $0) }.reduce(0.0) {
        total, input in
        total + input.tensors.reduce(0) { subtotal, tensor in
          let reads = ["attention", "mlp"].contains(input.site)
          return subtotal + sum(tensor) { row, column in (reads ? column : row) == 5 }
        }
      }
      #expect(channels[5] == expected)
    } else {
      #expect(throws: CompressionError.self) { try units(.channel) }
    }
  }

  @Test func scoringStopsWhenTold() throws {
    let model = try Shrinkable("llama3"), dataset = try TestModel.goldenDataset(tiny: "llama3")
    let cancellation = Cancellation()
    cancellation.cancel()
    let selector = CustomUnits(needsLosses: true) { [Double](repeating: 1, count: $0.count) }
    #expect(throws: Cancelled.self) {
      try scoreUnits(
        model.state, model: "m", target: .layer, criterion: UnitCriterion(selector), dataset: dataset,
        store: Engine.store(), compute: Engine.compute,
        monitor: Monitor(cancellation: cancellation), diagnostics: Diagnostics())
    }
  }
}

/// What a closure saw, on one thread.
private final class Box<Value>: @unchecked Sendable {
  var value: Value?
}
