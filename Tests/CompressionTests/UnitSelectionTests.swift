// From scores of units to what is cut: in each layer, under one threshold, in groups of heads; and the masks of it.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct UnitSelectionTests {
  static func group(_ unit: UnitKind, _ layer: Int?, _ scores: [Double]) -> UnitGroup {
    UnitGroup(unit: unit, layer: layer, scores: scores)
  }

  static func select(
    _ model: Transformer, _ groups: [UnitGroup], ratio: Double, _ group: MaskGroup = .matrix, uniform: Bool = false,
    target: UnitTarget = .width, diagnostics: Diagnostics = Diagnostics()
  ) throws -> [[Int]] {
    try selectUnits(
      UnitScores(target, groups), model: model, ratio: ratio, group: group, uniform: uniform, diagnostics: diagnostics
    ).map(\.cut)
  }

  @Test func eachLayerLosesItsLowest() throws {
    let model = try Shrinkable("opt").state.transformer
    let groups = [Self.group(.neuron, 0, [4, 1, 3, 1, 2]), Self.group(.neuron, 1, [-1, -5, 0, 7, 7])]
    #expect(try Self.select(model, groups, ratio: 0) == [[], []])
    #expect(try Self.select(model, groups, ratio: 0.39) == [[1], [1]], "rounded down; of equal scores the first")
    #expect(try Self.select(model, groups, ratio: 0.4) == [[1, 3], [0, 1]])
    #expect(try Self.select(model, groups, ratio: 0.8) == [[1, 2, 3, 4], [0, 1, 2, 3]])
    let diagnostics = Diagnostics()
    #expect(try Self.select(model, groups, ratio: 1, diagnostics: diagnostics) == [[1, 2, 3, 4], [0, 1, 2, 3]])
    #expect(diagnostics.all.kept.map(\.kind) == ["layerCollapse", "layerCollapse"])
  }

  /// Three query heads for each of two key/value heads or the like: as many from each.
  @Test func groupedHeadsLoseTheSameNumber() throws {
    let model = try Shrinkable("qwen3").state.transformer
    let heads = model.unitCounts(layer: 0).heads, kvHeads = model.keyValueHeads(layer: 0), size = heads / kvHeads
    try #require(kvHeads > 1 && size > 1)
    // The lowest scores are all in the first group.
    let groups = [Self.group(.head, 0, (0..<heads).map(Double.init))], diagnostics = Diagnostics()
    let ratio = 1 / Double(size)
    let cut = try Self.select(model, groups, ratio: ratio, diagnostics: diagnostics)
    #expect(cut == [(0..<kvHeads).map { $0 * size }])
    #expect(diagnostics.all.kept.isEmpty)
    let none = try Self.select(model, groups, ratio: 0.99 / Double(size), diagnostics: diagnostics)
    #expect(none == [[]])
    #expect(diagnostics.all.kept.map(\.kind).sorted() == ["headGroupingRounded", "nothingCut"])
    #expect(diagnostics.all.kept.contains { $0.kind == "headGroupingRounded" && $0.message.contains("layer 0") })

    let whole = try Shrinkable("opt").state.transformer, count = whole.unitCounts(layer: 0).heads
    let own = try Self.select(whole, [Self.group(.head, 0, (0..<count).map { -Double($0) })], ratio: 0.5)
    #expect(own == [Array(count - count / 2..<count)], "heads with keys of their own are ranked in the layer")
  }

  /// A share below one structure is said to cut nothing; a share of nothing is no news.
  @Test func nothingIsCutSilently() throws {
    let model = try Shrinkable("llama3").state.transformer, count = model.unitCounts(layer: 0).neurons
    let groups = [Self.group(.neuron, 0, (0..<count).map(Double.init))]
    for group in [MaskGroup.matrix, .global] {
      for (ratio, kinds) in [(0.5 / Double(count), ["nothingCut"]), (1.5 / Double(count), []), (0, [])] {
        let diagnostics = Diagnostics()
        let cut = try Self.select(model, groups, ratio: ratio, group, diagnostics: diagnostics)
        #expect(cut == [ratio * Double(count) < 1 ? [] : [0]])
        #expect(diagnostics.all.kept.map(\.kind) == kinds)
      }
    }
  }

  /// One threshold: what falls weighs at most the ratio of the whole, and more would be too much.
  @Test func oneThresholdForAll() throws {
    let model = try Shrinkable("llama3").state.transformer
    let (heads, neurons) = model.unitCounts(layer: 0)
    var random = Seeded(7)
    var groups: [UnitGroup] = []
    for layer in 0..<2 {
      for (unit, count) in [(UnitKind.head, heads), (.neuron, neurons)] {
        groups.append(Self.group(unit, layer, (0..<count).map { _ in Double(random.int(in: 0...1_000_000)) }))
      }
    }
    let weights = groups.map { group in
      model.parameterCount(of: group.unit == .head ? .head(0) : .neuron(0), layer: 0)
    }
    let total = zip(groups, weights).reduce(0) { $0 + $1.0.scores.count * $1.1 }
    for ratio in [0.1, 0.25, 0.5] {
      let cut = try Self.select(model, groups, ratio: ratio, .global)
      let gone = zip(cut, weights).reduce(0) { $0 + $1.0.count * $1.1 }
      #expect(Double(gone) <= ratio * Double(total))
      let highest = zip(groups, cut).flatMap { group, cut in cut.map { group.scores[$0] } }.max() ?? -1
      let left = zip(groups, cut).enumerated().flatMap { number, pair in
        pair.0.scores.indices.filter { !pair.1.contains($0) }.map { (pair.0.scores[$0], weights[number]) }
      }
      let next = try #require(left.min { $0.0 < $1.0 })
      #expect(next.0 >= highest, "all below the threshold fall")
      #expect(Double(gone + next.1) > ratio * Double(total), "the next would be too much")
    }
    let diagnostics = Diagnostics()
    let nearlyAll = try Self.select(model, groups, ratio: 1, .global, diagnostics: diagnostics)
    #expect(zip(groups, nearlyAll).allSatisfy { $0.scores.count == $1.count + 1 })
    #expect(diagnostics.all.kept.count { $0.kind == "layerCollapse" } == groups.count)
    for group in [MaskGroup.row, .column] {
      #expect(throws: CompressionError.self) { try Self.select(model, groups, ratio: 0.5, group) }
    }
  }

  @Test func uniformEvensOutGroupsOfHeads() throws {
    let model = try Shrinkable("qwen3").state.transformer
    let heads = model.unitCounts(layer: 0).heads, kvHeads = model.keyValueHeads(layer: 0), size = heads / kvHeads
    let groups = [Self.group(.head, 0, (0..<heads).map(Double.init))]
    let ratio = (Double(size) + 1) / Double(heads)  // all of the first group and one of the second
    let ragged = try Self.select(model, groups, ratio: ratio, .global)
    #expect(ragged == [Array(0...size)])
    let diagnostics = Diagnostics()
    let even = try Self.select(model, groups, ratio: ratio, .global, uniform: true, diagnostics: diagnostics)
    #expect(even == [kvHeads == 2 ? [0, size] : []])
    #expect(diagnostics.all.kept.contains { $0.kind == "headGroupingRounded" })
  }

  /// Masks: exactly the slices; key/value rows only once nobody reads them.
  @Test func masksAreTheSlices() throws {
    let dense = try Shrinkable("qwen3"), model = dense.state.transformer
    let heads = model.unitCounts(layer: 0).heads, size = heads / model.keyValueHeads(layer: 0)
    let D = model.headSize(layer: 0), names = model.linearInputs(layer: 0)
    func keys(_ cut: [Int]) throws -> [Bool]? {
      let masks = try unitMasks([.heads(0, cut)], of: dense.state)
      return (masks[names[0].tensors[1]] ?? nil)?.keptRows
    }
    #expect(try keys([0]) == nil, "others still read the key/value head")
    let whole = try #require(try keys(Array(0..<size)))
    #expect(whole.enumerated().allSatisfy { ($0.offset >= D) == $0.element })

    let masks = try unitMasks([.channels([3])], of: dense.state)
    #expect(Set(masks.keys) == Set(model.slices(ofChannel: 3).map(\.tensor)))
    for slice in model.slices(ofChannel: 3) {
      let mask = try #require(masks[slice.tensor] ?? nil)
      let kept = slice.axis == .rows ? mask.keptRows : mask.keptColumns
      #expect(kept.enumerated().allSatisfy { ($0.offset != 3) == $0.element })
    }
  }

  /// Masks come beside those that were there, and cutting less takes back what was cut more.
  @Test func masksComeBesideOthers() throws {
    let dense = try Shrinkable("llama3")
    let down = dense.state.transformer.linearInputs(layer: 0)[3].tensors[0]
    let shape = try #require(dense.state.maskShapes[down])
    let own = MaskBits(keepingAll: shape.rows, columns: shape.columns).pruning(rows: [1], columns: [])
    let masked = dense.replacing([down: MaskBlob(own)])
    let more = try unitMasks([.neurons(0, [2, 5])], of: masked.state)
    let mask = try #require(more[down] ?? nil)
    #expect(mask == own.pruning(rows: [], columns: [2, 5]))
    let none = try unitMasks([.neurons(0, [])], of: masked.state)
    #expect((none[down] ?? nil) == own)
    let up = dense.state.transformer.linearInputs(layer: 0)[2].tensors[0]
    #expect(none.keys.contains(up) && none[up] == .some(nil))
  }

  /// Edits by hand reach channels and layers, and refuse embeddings by name as ever.
  @Test func editsOfChannelsAndLayers() throws {
    let dense = try Shrinkable("llama3"), model = dense.state.transformer
    let edited = try edit(dense.state, [MaskEdit(.prune, .channels([4])), MaskEdit(.prune, .layers([1]))])
    let expected = try unitMasks([.channels([4]), .layers([1])], of: dense.state)
    for (name, mask) in edited.masks { #expect((expected[name] ?? nil) == mask, "\(name)") }
    #expect(edited.masks[model.embeddingTensors[0]] != nil)
    let back = try edit(
      dense.replacing(edited.masks.mapValues { MaskBlob($0) }.reduce(into: [:]) { $0[$1.key] = $1.value }).state,
      [MaskEdit(.restore, .layers([1])), MaskEdit(.restore, .channels([4]))])
    #expect(back.masks.values.allSatisfy { $0.keptCount == $0.rows * $0.columns })
    for bad in [
      MaskEdit.Place.channels([model.shape.hiddenSize]), .layers([0, model.shape.layers]), .layers([-1]), .channels([-1]),
    ] {
      let error = #expect(throws: CompressionError.self) { try edit(dense.state, [MaskEdit(.prune, bad)]) }
      #expect(error?.kind == "editInvalid")
    }
    let named = #expect(throws: CompressionError.self) {
      try edit(dense.state, [MaskEdit(.prune, .tensor(model.embeddingTensors[0]))])
    }
    #expect(named?.kind == "tensorNotPrunable")
  }
}
