// Shrinking against masking: what is cut out computes what was masked, for every family and every kind of unit.

@testable import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct ShrinkTests {
  static let all = TestModel.tiny + TestModel.families
  /// Families whose norms are root mean squares.
  static let withoutLayerNorms = all.filter { !["gpt2", "opt"].contains($0) }

  /// Some heads, whole key/value groups, neurons, channels: different in each layer.
  static func choices(_ model: Transformer) -> [UnitChoice] {
    var choices: [UnitChoice] = []
    for layer in 0..<model.shape.layers {
      let (heads, neurons) = model.unitCounts(layer: layer), group = heads / model.keyValueHeads(layer: layer)
      // Layer 1: the first key/value head with all its heads. Others: the last head of every group, if it has more.
      let cut = layer == 1 ? Array(0..<group) : group == 1 ? [heads - 1] : (0..<heads).filter { $0 % group == group - 1 }
      if cut.count < heads { choices.append(.heads(layer, cut)) }
      choices.append(.neurons(layer, (0..<neurons).filter { ($0 * 7 + layer) % 3 == 0 }))
    }
    if model.channelObstacle == nil {
      choices.append(.channels((0..<model.shape.hiddenSize).filter { $0 % 5 == 1 }))
    }
    return choices
  }

  @Test(arguments: all)
  func theShrunkModelComputesWhatTheMaskedOneDoes(name: String) throws {
    let dense = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
    let masked = try dense.cutting(Self.choices(dense.state.transformer))
    let (small, result) = try masked.shrunk()
    let before = try masked.outputs(dataset), after = try small.outputs(dataset)
    #expect(relativeDifference(after, before) < 1e-5)
    #expect(relativeDifference(before, try dense.outputs(dataset)) > 1e-3, "the cut changes something")

    #expect(small.state.revision.prunedCount == 0, "nothing that was masked is left")
    #expect(small.state.revision.parameterCount < dense.state.revision.parameterCount)
    for (name, shape) in small.state.transformer.expectedTensors {
      let view = try #require(small.state.revision.tensors[name]?.weights.view)
      #expect(view.shape == shape)
    }
    #expect(result.kept.widths.layers.map(\.neurons) == dense.state.transformer.widths.layers.enumerated().map {
      layer, old in old.neurons - (0..<old.neurons).count { ($0 * 7 + layer) % 3 == 0 }
    })
    if dense.state.transformer.channelObstacle == nil {
      #expect(small.state.transformer.shape.hiddenSize < dense.state.transformer.shape.hiddenSize)
    }
  }

  /// A test of the test: one weight of the small model off by a hundredth shows.
  @Test func smallFaultsShow() throws {
    let dense = try Shrinkable("llama3"), dataset = try TestModel.goldenDataset(tiny: "llama3")
    let masked = try dense.cutting(Self.choices(dense.state.transformer))
    let small = try masked.shrunk().model
    let name = small.state.transformer.linearInputs(layer: 1)[3].tensors[0]
    let shape = try #require(small.state.revision.tensors[name]).masked
    let fault = MaskBlob(MaskBits(keepingAll: shape.rows, columns: shape.columns).pruning(rows: [2], columns: []))
    let wrong = small.replacing([name: fault])
    #expect(relativeDifference(try wrong.outputs(dataset), try masked.outputs(dataset)) > 1e-4)
  }

  @Test(arguments: all)
  func layersGo(name: String) throws {
    let dense = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
    let layers = dense.state.transformer.shape.layers
    for cut in [0, layers - 1] {
      let masked = try dense.cutting([.layers([cut])])
      let (small, result) = try masked.shrunk()
      #expect(small.state.transformer.shape.layers == layers - 1)
      #expect(result.kept.layers.map(\.layer) == (0..<layers).filter { $0 != cut })
      #expect(relativeDifference(try small.outputs(dataset), try masked.outputs(dataset)) < 1e-5)
    }
  }

  /// Other masks go on over what is left, bit by bit.
  @Test func unstructuredMasksAreCarried() throws {
    let dense = try Shrinkable("qwen2"), dataset = try TestModel.goldenDataset(tiny: "qwen2")
    var masks: [String: MaskBlob?] = [:]
    for (name, tensor) in dense.state.prunableTensors {
      let rowBytes = MaskBits.rowBytes(columns: tensor.columns)
      var random = Seeded(UInt64(name.utf8.count))
      let bytes = (0..<tensor.rows * rowBytes).map { _ in UInt8(random.int(in: 0...255)) }
      masks[name] = try MaskBlob(#require(MaskBits(rows: tensor.rows, columns: tensor.columns, bytes: bytes)))
    }
    let masked = try dense.replacing(masks).cutting(Self.choices(dense.state.transformer))
    let small = try masked.shrunk().model
    #expect(small.state.revision.prunedCount > 0)
    #expect(relativeDifference(try small.outputs(dataset), try masked.outputs(dataset)) < 1e-5)
    let cuts = masked.state.transformer.cuts(try masked.shrunk().result.kept)
    for (name, cut) in cuts {
      guard let mask = masked.state.revision.tensors[cut.source]?.mask?.bits else { continue }
      let rows = cut.rows ?? Array(0..<mask.rows), columns = cut.columns ?? Array(0..<mask.columns)
      let tensor = try #require(small.state.revision.tensors[name])
      let bits = tensor.mask?.bits ?? MaskBits(keepingAll: rows.count, columns: columns.count)
      for (place, row) in rows.enumerated() {
        for (other, column) in columns.enumerated() {
          #expect(bits.isKept(row: place, column: other) == mask.isKept(row: row, column: column))
        }
      }
    }
  }

  /// Biases that edits added go with the rows of their maps; a layer that still adds one is not gone, one that was cut
  /// with its bias is.
  @Test(arguments: ["llama3", "gemma3_text"])
  func addedBiasesAreCarried(name: String) throws {
    let dense = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
    let model = dense.state.transformer
    var tensors = dense.state.revision.tensors, random = Seeded(11)
    for layer in 0..<2 {
      for weight in model.linearInputs(layer: layer).flatMap(\.tensors) {
        let rows = try #require(tensors[weight]).weights.view.rows
        let values = OwnedBytes(count: 4 * rows) { bytes in
          for index in 0..<rows {
            bytes.storeBytes(of: Float(random.int(in: -100...100)) / 500, toByteOffset: 4 * index, as: Float.self)
          }
        }
        let view = try #require(TensorView(storage: values, byteOffset: 0, dtype: .f32, shape: [rows]))
        tensors[weight.dropLast("weight".count) + "bias"] = StoredTensor(weights: WeightsBlob(view), biasOf: weight)
      }
    }
    let biased = dense.replacing(tensors)
    #expect(relativeDifference(try biased.outputs(dataset), try dense.outputs(dataset)) > 1e-3)
    let masked = try biased.cutting(ShrinkTests.choices(model))
    let small = try masked.shrunk().model
    #expect(small.state.revision.tensors.values.count { $0.biasOf != nil } == tensors.values.count { $0.biasOf != nil })
    #expect(small.state.transformer.shape.hiddenSize < model.shape.hiddenSize)
    #expect(relativeDifference(try small.outputs(dataset), try masked.outputs(dataset)) < 1e-5)

    let shallow = try biased.cutting([.layers([0])])
    #expect(try shallow.shrunk().model.state.transformer.shape.layers == model.shape.layers - 1)
    #expect(relativeDifference(try shallow.shrunk().model.outputs(dataset), try shallow.outputs(dataset)) < 1e-5)
    let unmasked = shallow.replacing(
      shallow.state.revision.tensors.mapValues { $0.biasOf == nil ? $0 : $0.with(mask: nil) })
    #expect(try unmasked.shrunk().model.state.transformer.shape.layers == model.shape.layers, "its biases still add")
  }

  /// Tensors of which nothing is cut are the same objects; cut ones keep their plain type.
  @Test func nothingIsCopiedInVain() throws {
    let dense = try Shrinkable("tied-bf16")
    let small = try dense.cutting([.neurons(0, [3])]).shrunk().model
    for (name, tensor) in small.state.revision.tensors {
      let old = try #require(dense.state.revision.tensors[name])
      #expect((old.weights === tensor.weights) == !name.hasPrefix("model.layers.0.mlp"))
      #expect(old.weights.view.dtype == tensor.weights.view.dtype)
    }
  }

  /// With the same widths everywhere pruned units may have to stay, as zeros.
  @Test(arguments: ["grouped-f32", "qwen3", "gemma3_text", "opt"])
  func uniformLayersAreAlike(name: String) throws {
    let dense = try Shrinkable(name), dataset = try TestModel.goldenDataset(tiny: name)
    let (heads, neurons) = dense.state.transformer.unitCounts(layer: 0)
    let group = heads / dense.state.transformer.keyValueHeads(layer: 0)
    let cutting = (0..<heads).filter { group > 1 ? $0 % group == 0 : $0 < heads / 2 }
    let others = (1..<dense.state.transformer.shape.layers).map { UnitChoice.neurons($0, [1]) }
    let masked = try dense.cutting([.heads(0, cutting), .neurons(0, Array(0..<neurons / 2))] + others)
    let diagnostics = Diagnostics()
    let (small, result) = try masked.shrunk(ShrinkOptions(uniform: true), diagnostics: diagnostics)
    #expect(result.kept.widths.isUniform)
    #expect(result.kept.widths.layers[0].neurons == neurons - 1)
    #expect(result.kept.widths.layers[0].heads == heads, "layer 1 needs all heads")
    #expect(diagnostics.all.kept.contains { $0.kind == "headGroupingRounded" && $0.severity == .information })
    #expect(relativeDifference(try small.outputs(dataset), try masked.outputs(dataset)) < 1e-5)
    #expect(result.isStandard)
  }

  /// Of heads that share keys and values each group keeps the same number; nothing changes but the size.
  @Test func raggedGroupsKeepDeadHeads() throws {
    let dense = try Shrinkable("grouped-f32"), dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let heads = dense.state.transformer.unitCounts(layer: 0).heads
    let kvHeads = dense.state.transformer.keyValueHeads(layer: 0)
    try #require(kvHeads < heads && heads / kvHeads >= 2)
    let masked = try dense.cutting([.heads(0, [0])]), diagnostics = Diagnostics()
    let (small, result) = try masked.shrunk(diagnostics: diagnostics)
    #expect(result.kept.layers[0].heads.count == (kvHeads == 1 ? heads - 1 : heads))
    #expect(diagnostics.all.kept.contains { $0.kind == "headGroupingRounded" } == (kvHeads > 1))
    #expect(relativeDifference(try small.outputs(dataset), try masked.outputs(dataset)) < 1e-5)
  }

  @Test func somethingIsLeftOfEveryLayer() throws {
    let dense = try Shrinkable("llama3"), dataset = try TestModel.goldenDataset(tiny: "llama3")
    let layers = dense.state.transformer.shape.layers, counts = dense.state.transformer.unitCounts(layer: 0)
    let masked = try dense.cutting([.heads(0, Array(0..<counts.heads)), .neurons(1, Array(0..<counts.neurons))])
    let small = try masked.shrunk().model
    #expect(small.state.transformer.widths.layers[0].heads == 1)
    #expect(small.state.transformer.widths.layers[1].neurons == 1)
    #expect(relativeDifference(try small.outputs(dataset), try masked.outputs(dataset)) < 1e-5)

    let empty = try dense.cutting([.layers(Array(0..<layers))]), diagnostics = Diagnostics()
    let (one, _) = try empty.shrunk(diagnostics: diagnostics)
    #expect(one.state.transformer.shape.layers == 1)
    #expect(diagnostics.all.kept.contains { $0.kind == "layerCollapse" })
    #expect(relativeDifference(try one.outputs(dataset), try empty.outputs(dataset)) < 1e-5)
  }

  @Test func nothingToShrinkIsSaid() throws {
    let dense = try Shrinkable("grouped-f32"), diagnostics = Diagnostics()
    let (same, _) = try dense.shrunk(diagnostics: diagnostics)
    #expect(diagnostics.all.kept.map(\.kind) == ["nothingToShrink"])
    #expect(same.state.transformer.widths == dense.state.transformer.widths)
  }

  @Test(arguments: ["gpt2", "opt"])
  func layerNormsHoldChannelsTogether(name: String) throws {
    let dense = try Shrinkable(name)
    let dataset = try TestModel.goldenDataset(tiny: name), state = dense.state
    let channels = CustomUnits([.channel]) { [Double](repeating: 1, count: $0.count) }
    func refused(_ body: () throws -> Void) {
      let error = #expect(throws: CompressionError.self) { try body() }
      #expect(error?.kind == "channelsNotRemovable")
      #expect(error?.message.contains("layer norm") == true)
    }
    refused { _ = try dense.cutting([.channels([1])]) }
    refused { _ = try edit(state, [MaskEdit(.prune, .channels([1]))]) }
    refused { _ = try channels.scores(dense, .channel, dataset: dataset) }
    refused {
      let weights = try score(
        state, model: "m", tensors: state.prunableTensors, request: ScoringRequest(Criterion(Magnitude())),
        store: Engine.store(), compute: Engine.compute, monitor: Monitor(), diagnostics: Diagnostics())
      _ = try aggregateUnits(
        weights.scores, state: state, target: .channel, compute: Engine.compute, monitor: Monitor())
    }
  }

  /// Minitron's formula, counted by hand: of four heads in the order 2, 0, 3, 1 the first three stay, so that only the
  /// third gets something, and of six with four that stay the fourth gets the fifth and the third the sixth.
  @Test func residualsPairTheWeakestWithTheStrongest() {
    func pairs(_ scores: [Double], _ kept: [Int]) -> [[Int]] {
      residualPairs(scores: scores, kept: kept).map { [$0.head, $0.partner] }
    }
    #expect(pairs([3, 1, 4, 2], [0, 2, 3]) == [[3, 1]])
    #expect(pairs([6, 5, 4, 3, 2, 1], [0, 1, 2, 3]) == [[3, 4], [2, 5]])
    #expect(pairs([4, 3, 2, 1], [0]) == [[0, 1]], "more go than stay: the weakest go without")
  }

  /// Scores of every head, by its number; those of the last head below all.
  static func headScores(_ model: Transformer) -> UnitScores {
    UnitScores(
      .head,
      (0..<model.shape.layers).map { layer in
        let heads = model.unitCounts(layer: layer).heads
        return UnitGroup(unit: .head, layer: layer, scores: (0..<heads).map { $0 == heads - 1 ? -1 : Double($0) })
      })
  }

  /// Head 0 is the worst that stays, so it gets 2 head_0 - head_last in queries, keys, values, biases and output columns.
  @Test(arguments: ["gpt2", "opt"])
  func residualsAreAddedToAllParts(name: String) throws {
    let dense = try Shrinkable(name), model = dense.state.transformer
    let heads = model.unitCounts(layer: 0).heads
    let masked = try dense.cutting([.heads(0, [heads - 1])])
    let small = try masked.shrunk(ShrinkOptions(headScores: Self.headScores(model))).model
    let plain = try masked.shrunk().model
    func values(_ model: Shrinkable, _ slice: WeightSlice, up shift: Int = 0) throws -> [Double] {
      let tensor = try #require(model.state.revision.tensors[slice.tensor]).weights.view
      let all = Matrix(MaskedTensor(weights: tensor)).values, columns = tensor.columns
      let range = slice.range.lowerBound - shift..<slice.range.upperBound - shift
      let rows = slice.axis == .rows ? range : 0..<tensor.rows, part = slice.axis == .rows ? 0..<columns : range
      var found: [Double] = []
      for row in rows { for column in part { found.append(all[row * columns + column]) } }
      return found
    }
    let inputs = model.linearInputs(layer: 0)
    for (own, partner) in zip(model.parts(ofHead: 0, layer: 0), model.parts(ofHead: heads - 1, layer: 0)) {
      // Keys and values of a map for all three move up by the heads that went before them.
      let isFused = inputs[0].tensors.count == 1 && own.tensor != inputs[1].tensors[0]
      let shift = isFused ? own.range.lowerBound / heads : 0
      let a = try values(dense, own), b = try values(dense, partner)
      let expected = zip(a, b).map { a, b in Double(Float(a) + (Float(a) - Float(b))) }
      #expect(try values(small, own, up: shift) == expected)
      #expect(try values(plain, own, up: shift) == a)
    }
    #expect(model.parts(ofHead: 0, layer: 0).count == 7)
  }

  @Test func residualsNeedHeadsWithTheirOwnKeysAndTheirScores() throws {
    let grouped = try Shrinkable("qwen3"), opt = try Shrinkable("opt")
    let model = grouped.state.transformer, heads = model.unitCounts(layer: 0).heads
    let group = heads / model.keyValueHeads(layer: 0)
    let masked = try grouped.cutting([.heads(0, (0..<heads).filter { $0 % group == 0 })])
    let scores = Self.headScores(model)
    let shared = #expect(throws: CompressionError.self) { try masked.shrunk(ShrinkOptions(headScores: scores)) }
    #expect(shared?.kind == "residualHeadsInvalid")
    let unscored = #expect(throws: CompressionError.self) {
      try opt.cutting([.heads(0, [0])]).shrunk(ShrinkOptions(headScores: UnitScores(.head, [])))
    }
    #expect(unscored?.kind == "residualHeadsInvalid")
  }
}
