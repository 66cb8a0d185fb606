// Edits of masks by hand: prune, restore or invert rows, columns, single weights, heads, neurons,
// channels or layers.

package import OrderedCollections
package import Tensors
import Transformers
import Workspace

/// One edit. Several in a request are made in order, all or none.
package struct MaskEdit: Sendable, Equatable {
  package enum Verb: String, Sendable, CaseIterable {
    case prune, restore, invert
  }

  package enum Place: Sendable, Equatable {
    /// A whole tensor.
    case tensor(String)
    case rows(tensor: String, [Int])
    case columns(tensor: String, [Int])
    /// Flat row-major indices.
    case indices(tensor: String, [Int])
    case heads(layer: Int, [Int])
    case neurons(layer: Int, [Int])
    /// Channels of the hidden state, in the whole model.
    case channels([Int])
    /// Whole layers: all that they add to the hidden state.
    case layers([Int])

    fileprivate var isStructural: Bool {
      switch self {
      case .tensor, .rows, .columns, .indices: false
      case .heads, .neurons, .channels, .layers: true
      }
    }
  }

  package let verb: Verb
  package let place: Place

  package init(_ verb: Verb, _ place: Place) {
    self.verb = verb
    self.place = place
  }
}

/// The masks that edits leave, of the tensors that they touch, and how many weights changed between kept and pruned.
package struct EditedMasks: Sendable {
  package let masks: OrderedDictionary<String, MaskBits>
  package let changed: Int
}

/// Makes `edits` on the masks of `state`.
/// - Throws: `CompressionError`, `Cancelled`; then no edit is made.
package func edit(
  _ state: ModelState, _ edits: [MaskEdit], monitor: Monitor = Monitor()
) throws -> EditedMasks {
  let prunable = state.prunableTensors, shapes = state.maskShapes
  var drafts: OrderedDictionary<String, MaskDraft> = [:]
  for (index, edit) in edits.enumerated() {
    for (name, region) in try regions(of: edit, index: index, state: state) {
      try monitor.checkCancelled()
      // Embeddings and biases go with channels and layers only.
      guard let shape = shapes[name], edit.place.isStructural || prunable[name] != nil else {
        _ = try state.prunableTensor(name)
        continue
      }
      if drafts[name] == nil { drafts[name] = MaskDraft(shape, of: state.revision.tensors[name]) }
      if let fault = drafts[name]?.apply(edit.verb, region) {
        throw CompressionError.editInvalid(index: index, reason: fault)
      }
    }
  }
  let changed = drafts.values.reduce(0) { $0 + $1.changed }
  return EditedMasks(masks: drafts.compactMapValues(\.mask), changed: changed)
}

/// What an edit touches, tensor by tensor.
private func regions(
  of edit: MaskEdit, index: Int, state: ModelState
) throws(CompressionError) -> [(tensor: String, region: MaskDraft.Region)] {
  func regions(_ slices: [WeightSlice]) -> [(tensor: String, region: MaskDraft.Region)] {
    state.withAddedBiases(slices).map { ($0.tensor, .slice($0)) }
  }
  func requireLayer(_ layer: Int) throws(CompressionError) {
    let layers = state.transformer.shape.layers
    guard (0..<layers).contains(layer) else {
      throw .editInvalid(index: index, reason: "layer \(layer) is outside 0...\(layers - 1)")
    }
  }
  func structural(
    layer: Int, _ units: [Int], count: (Int) -> Int, name: String, _ unit: (Int) -> StructuralUnit
  ) throws(CompressionError) -> [(tensor: String, region: MaskDraft.Region)] {
    try requireLayer(layer)
    let available = count(layer)
    if let outside = units.first(where: { !(0..<available).contains($0) }) {
      throw .editInvalid(index: index, reason: "\(name) \(outside) is outside 0...\(available - 1)")
    }
    return regions(units.flatMap { state.transformer.slices(of: unit($0), layer: layer) })
  }
  let model = state.transformer
  switch edit.place {
  case .tensor(let name): return [(name, .all)]
  case .rows(let name, let rows): return [(name, .rows(rows))]
  case .columns(let name, let columns): return [(name, .columns(columns))]
  case .indices(let name, let indices): return [(name, .indices(indices))]
  case .heads(let layer, let heads):
    return try structural(
      layer: layer, heads, count: { model.unitCounts(layer: $0).heads }, name: "head", StructuralUnit.head)
  case .neurons(let layer, let neurons):
    return try structural(
      layer: layer, neurons, count: { model.unitCounts(layer: $0).neurons }, name: "neuron", StructuralUnit.neuron)
  case .layers(let layers):
    for layer in layers { try requireLayer(layer) }
    return regions(layers.flatMap { model.slices(of: .layer, layer: $0) })
  case .channels(let channels):
    try state.requireRemovableChannels()
    let available = model.shape.hiddenSize
    if let outside = channels.first(where: { !(0..<available).contains($0) }) {
      throw .editInvalid(index: index, reason: "channel \(outside) is outside 0...\(available - 1)")
    }
    return regions(channels.flatMap { model.slices(ofChannel: $0) })
  }
}

/// A mask being changed.
private struct MaskDraft {
  enum Region {
    case all
    case rows([Int])
    case columns([Int])
    case indices([Int])
    /// Of this tensor, by its own widths.
    case slice(WeightSlice)
  }

  private let rows: Int
  private let columns: Int
  private let rowBytes: Int
  private var bytes: [UInt8]
  private let original: [UInt8]
  /// What the tensor's weights have: no edit brings more back.
  private let possible: [UInt8]?

  init(_ shape: MaskShape, of tensor: StoredTensor?) {
    rows = shape.rows
    columns = shape.columns
    rowBytes = MaskBits.rowBytes(columns: columns)
    bytes = (tensor?.mask?.bits ?? MaskBits(keepingAll: rows, columns: columns)).bytes
    original = bytes
    possible = tensor?.weights.madeUnder?.bytes
  }

  private var result: [UInt8] { possible.map { zip(bytes, $0).map { $0 & $1 } } ?? bytes }
  var mask: MaskBits? { MaskBits(rows: rows, columns: columns, bytes: result) }
  var changed: Int { zip(result, original).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount } }

  /// Changes the bits of a region; returns what is wrong with it instead, if something is.
  mutating func apply(_ verb: MaskEdit.Verb, _ region: Region) -> String? {
    func outside(_ values: [Int], _ count: Int, _ name: String) -> String? {
      values.first { !(0..<count).contains($0) }.map { "\(name) \($0) is outside 0...\(count - 1)" }
    }
    switch region {
    case .all:
      for row in 0..<rows { change(verb, row: row) }
    case .rows(let chosen):
      if let fault = outside(chosen, rows, "row") { return fault }
      for row in chosen { change(verb, row: row) }
    case .columns(let chosen):
      if let fault = outside(chosen, columns, "column") { return fault }
      for column in chosen { change(verb, column: column) }
    case .indices(let chosen):
      if let fault = outside(chosen, rows * columns, "index") { return fault }
      for index in chosen { change(verb, row: index / columns, column: index % columns) }
    case .slice(let slice):
      for line in slice.range {
        if slice.axis == .rows { change(verb, row: line) } else { change(verb, column: line) }
      }
    }
    return nil
  }

  private mutating func change(_ verb: MaskEdit.Verb, row: Int) {
    for column in 0..<columns { change(verb, row: row, column: column) }
  }

  private mutating func change(_ verb: MaskEdit.Verb, column: Int) {
    for row in 0..<rows { change(verb, row: row, column: column) }
  }

  private mutating func change(_ verb: MaskEdit.Verb, row: Int, column: Int) {
    let bit = UInt8(1) << (column % 8)
    switch verb {
    case .prune: bytes[row * rowBytes + column / 8] &= ~bit
    case .restore: bytes[row * rowBytes + column / 8] |= bit
    case .invert: bytes[row * rowBytes + column / 8] ^= bit
    }
  }
}
