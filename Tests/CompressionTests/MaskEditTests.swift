// Edits by hand: what each verb does to each place, and that wrong edits change nothing.

import Compression
import OrderedCollections
import Tensors
import TestSupport
import Testing
import Transformers
import Workspace

@Suite struct MaskEditTests {
  static let up = "model.layers.0.mlp.up_proj.weight"  // [56, 24]
  static let q = "model.layers.1.self_attn.q_proj.weight"  // [24, 24]

  static func model() throws -> TestModel { try TestModel(tiny: "grouped-f32") }

  static func edited(_ model: TestModel, _ edits: [MaskEdit]) throws -> EditedMasks { try edit(model.state, edits) }

  static let places: [(MaskEdit.Place, Set<Int>)] = [
    (.tensor(up), Set(0..<1344)),
    (.rows(tensor: up, [0, 55]), Set(0..<24).union(1320..<1344)),
    (.columns(tensor: up, [23]), Set(stride(from: 23, to: 1344, by: 24))),
    (.indices(tensor: up, [0, 25, 1343]), [0, 25, 1343]),
    (.rows(tensor: up, []), []),
  ]

  @Test(arguments: places)
  func prunesExactlyThePlace(place: MaskEdit.Place, expected: Set<Int>) throws {
    let model = try Self.model()
    let result = try Self.edited(model, [MaskEdit(.prune, place)])
    #expect(Array(result.masks.keys) == [Self.up])
    #expect(pruned(try #require(result.masks[Self.up])) == expected && result.changed == expected.count)

    model.commit(result.masks)
    let again = try Self.edited(model, [MaskEdit(.prune, place)])
    #expect(again.changed == 0, "pruning what is pruned changes nothing")
    let restored = try Self.edited(model, [MaskEdit(.restore, place)])
    #expect(pruned(try #require(restored.masks[Self.up])).isEmpty && restored.changed == expected.count)
  }

  /// A head is its query rows and its columns of the output map; key and value rows serve other heads too.
  @Test func headsAndNeurons() throws {
    let model = try Self.model()
    let heads = try Self.edited(model, [MaskEdit(.prune, .heads(layer: 1, [0, 2]))])
    let rows = Set(0..<8).union(16..<24)
    #expect(Set(heads.masks.keys) == [Self.q, "model.layers.1.self_attn.o_proj.weight"])
    #expect(pruned(try #require(heads.masks[Self.q])) == Set((0..<576).filter { rows.contains($0 / 24) }))
    #expect(
      pruned(try #require(heads.masks["model.layers.1.self_attn.o_proj.weight"]))
        == Set((0..<576).filter { rows.contains($0 % 24) }))

    let neurons = try Self.edited(model, [MaskEdit(.prune, .neurons(layer: 0, [7]))])
    #expect(neurons.changed == 3 * 24)
    for name in ["gate", "up"] {
      let mask = try #require(neurons.masks["model.layers.0.mlp.\(name)_proj.weight"])
      #expect(pruned(mask) == Set(7 * 24..<8 * 24))
    }
    let down = try #require(neurons.masks["model.layers.0.mlp.down_proj.weight"])
    #expect(pruned(down) == Set((0..<24).map { $0 * 56 + 7 }))
  }

  /// What a unit has alone: without it the model computes as if it were not there.
  @Test func prunedHeadHasNoEffect() throws {
    let model = try Self.model()
    let dataset = try TestModel.goldenDataset(tiny: "grouped-f32")
    let masks = try Self.edited(model, [MaskEdit(.prune, .heads(layer: 0, [1])), MaskEdit(.prune, .neurons(layer: 1, [3]))])
    let losses = try evaluatePerplexity(
      model.commit(masks.masks), dataset: dataset, compute: Engine.compute, monitor: Monitor())
    // The same with only the outgoing columns pruned: what leads into them no longer matters.
    let columns = try edit(
      try Self.model().state,
      [
        MaskEdit(.prune, .columns(tensor: "model.layers.0.self_attn.o_proj.weight", Array(8..<16))),
        MaskEdit(.prune, .columns(tensor: "model.layers.1.mlp.down_proj.weight", [3])),
      ])
    let other = try evaluatePerplexity(
      try Self.model().commit(columns.masks), dataset: dataset, compute: Engine.compute, monitor: Monitor())
    #expect(losses == other)
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func invertingTwiceIsNothing(seed: UInt64) throws {
    var random = Seeded(seed)
    let model = try Self.model()
    let start = try Self.edited(
      model, [MaskEdit(.prune, .indices(tensor: Self.up, (0..<300).map { _ in random.int(in: 0...1343) }))])
    model.commit(start.masks)
    let places: [MaskEdit.Place] = [
      .tensor(Self.up), .rows(tensor: Self.up, [3, 5]), .columns(tensor: Self.up, [0, 23]),
      .indices(tensor: Self.up, [9, 10]), .neurons(layer: 0, [1, 2]), .heads(layer: 1, [1]),
    ]
    for place in places {
      let once = try Self.edited(model, [MaskEdit(.invert, place)])
      #expect(once.changed > 0)
      let twice = try Self.edited(model, [MaskEdit(.invert, place), MaskEdit(.invert, place)])
      #expect(twice.changed == 0, "\(place), \(random)")
      for (name, mask) in twice.masks {
        let before = model.history.current.tensors[name]?.mask?.bits
        #expect(mask == before ?? MaskBits(keepingAll: mask.rows, columns: mask.columns), "\(place), \(random)")
      }
    }
  }

  /// Several edits are made in order on one draft.
  @Test func editsAreMadeInOrder() throws {
    let result = try Self.edited(
      try Self.model(),
      [
        MaskEdit(.prune, .tensor(Self.up)), MaskEdit(.restore, .rows(tensor: Self.up, [1])),
        MaskEdit(.invert, .indices(tensor: Self.up, [24, 25])), MaskEdit(.prune, .rows(tensor: Self.q, [0])),
      ])
    #expect(Array(result.masks.keys) == [Self.up, Self.q])
    let kept = Set(0..<1344).subtracting(pruned(try #require(result.masks[Self.up])))
    #expect(kept == Set(26..<48))
    #expect(result.changed == 1344 - 22 + 24)
  }

  static let wrongPlaces: [(MaskEdit.Place, String)] = [
    (.rows(tensor: up, [56]), "row 56 is outside 0...55"),
    (.rows(tensor: up, [-1]), "row -1"), (.columns(tensor: up, [0, 24]), "column 24 is outside 0...23"),
    (.indices(tensor: up, [1344]), "index 1344 is outside 0...1343"), (.indices(tensor: up, [Int.min]), "index"),
    (.heads(layer: 1, [3]), "head 3 is outside 0...2"), (.heads(layer: 2, [0]), "layer 2 is outside 0...1"),
    (.heads(layer: -1, [0]), "layer -1"), (.neurons(layer: 0, [56]), "neuron 56 is outside 0...55"),
    (.neurons(layer: 0, [-1]), "neuron -1"), (.neurons(layer: Int.max, [0]), "layer"),
  ]

  @Test(arguments: wrongPlaces)
  func wrongEdits(place: MaskEdit.Place, words: String) throws {
    let model = try Self.model()
    let good = MaskEdit(.prune, .tensor(Self.q))
    for (index, edits) in [[MaskEdit(.prune, place), good], [good, MaskEdit(.invert, place)]].enumerated() {
      let error = try #require(throws: CompressionError.self) { try Self.edited(model, edits) }
      #expect(error.kind == "editInvalid" && error.message.contains(words) && error.message.contains("Edit \(index) "))
    }
    #expect(model.history.log.revisions.count == 1 && model.history.current.prunedCount == 0)
  }

  @Test(arguments: [
    ("model.norm.weight", "tensorNotPrunable"), ("model.embed_tokens.weight", "tensorNotPrunable"),
    ("lm_head.weight", "tensorNotPrunable"), ("model.layers.0.input_layernorm.weight", "tensorNotPrunable"),
    ("mlp.up_proj.weight", "tensorNotFound"), ("", "tensorNotFound"), ("model.layers.9.mlp.up_proj.weight", "tensorNotFound"),
  ])
  func wrongTensors(name: String, kind: String) throws {
    let error = try #require(throws: CompressionError.self) {
      try Self.edited(try Self.model(), [MaskEdit(.prune, .tensor(name))])
    }
    #expect(error.kind == kind)
    if case .tensorNotFound(_, let nearest) = error { #expect(name.isEmpty == nearest.isEmpty) }
  }
}

@Suite struct PrunableTensorTests {
  @Test func linearMapsInTheOrderOfComputation() throws {
    let state = try TestModel(tiny: "wide-heads-f16").state
    let names = Array(state.prunableTensors.keys)
    #expect(names.count == 14 && names[0] == "model.layers.0.self_attn.q_proj.weight")
    #expect(names.last == "model.layers.1.mlp.down_proj.weight")
    let o = try state.prunableTensor("model.layers.1.self_attn.o_proj.weight")
    #expect(o.rows == 24 && o.columns == 42 && o.layer == 1 && o.elementCount == 24 * 42)
  }

  @Test func globsChoose() throws {
    let state = try TestModel(tiny: "grouped-f32").state
    #expect(try state.prunableTensors(matching: nil).count == 14)
    #expect(try state.prunableTensors(matching: ["*.mlp.*"]).count == 6)
    #expect(try state.prunableTensors(matching: ["model.layers.1.*", "*q_proj*"]).count == 8)
    for globs in [["nothing"], ["*", "nothing*"], [], ["model.norm.*"]] {
      let error = try #require(throws: CompressionError.self) { try state.prunableTensors(matching: globs) }
      #expect(error.kind == "modulesMatchNothing")
    }
  }
}
