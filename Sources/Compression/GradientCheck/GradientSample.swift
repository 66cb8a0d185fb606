// Which elements of a tensor a gradient check moves, and which way. Half of them are drawn from all that are kept, half
// from those with a gradient: most rows of an embedding have none, and a sample that misses the others would show
// nothing.

import OrderedCollections
import Tensors
import Transformers
import Workspace

/// Elements of a tensor and the direction in which they are moved.
struct GradientSample {
  /// Ascending. Steps have the sign of the gradient, a drawn one where there is none, and are drawn from 1/2...3/2.
  let directions: [(element: Int, step: Double)]
  /// Whether all that the mask prunes has a gradient of exactly zero.
  let prunedAreZero: Bool

  /// Up to `count` distinct elements of the tensor `name`.
  init(of gradients: ParameterBlock, _ name: String, mask: MaskBits?, count: Int, generator: SplitMix64) {
    var generator = generator
    let gradient = UnsafeBufferPointer(start: gradients[name], count: gradients.layout.entries[name]?.count ?? 0)
    var kept = 0, moving = 0, prunedAreZero = true
    Self.forEach(gradient, mask) { _, value, isKept in
      kept += isKept ? 1 : 0
      moving += isKept && value != 0 ? 1 : 0
      prunedAreZero = prunedAreZero && (isKept || value == 0)
    }
    var anywhere = Self.ranks(count - count / 2, below: kept, &generator)[...]
    var somewhere = Self.ranks(count / 2, below: moving, &generator)[...]
    var chosen: [Int] = []
    (kept, moving) = (0, 0)
    Self.forEach(gradient, mask) { element, value, isKept in
      guard isKept else { return }
      let isDrawn = anywhere.first == kept, isDrawnMoving = value != 0 && somewhere.first == moving
      if isDrawn { anywhere.removeFirst() }
      if isDrawnMoving { somewhere.removeFirst() }
      if isDrawn || isDrawnMoving { chosen.append(element) }
      kept += 1
      moving += value != 0 ? 1 : 0
    }
    directions = chosen.map { element in
      let value = gradient[element], size = Double.random(in: 0.5...1.5, using: &generator)
      let isUp = value > 0 || (value == 0 && Bool.random(using: &generator))
      return (element, isUp ? size : -size)
    }
    self.prunedAreZero = prunedAreZero
  }

  private static func forEach(
    _ values: UnsafeBufferPointer<Float>, _ mask: MaskBits?, _ body: (_ element: Int, Float, _ isKept: Bool) -> Void
  ) {
    guard let mask else {
      for element in values.indices { body(element, values[element], true) }
      return
    }
    for row in 0..<mask.rows {
      for column in 0..<mask.columns {
        let element = row * mask.columns + column
        body(element, values[element], mask.isKept(row: row, column: column))
      }
    }
  }

  /// Up to `count` distinct numbers below `limit`, ascending.
  private static func ranks(_ count: Int, below limit: Int, _ generator: inout SplitMix64) -> [Int] {
    guard limit > 4 * count else { return (0..<limit).shuffled(using: &generator).prefix(count).sorted() }
    var ranks: Set<Int> = []
    while ranks.count < count { ranks.insert(Int.random(in: 0..<limit, using: &generator)) }
    return ranks.sorted()
  }
}

extension SplitMix64 {
  /// A stream for each tensor, so that it is sampled alike whichever others are. (The name by FNV-1a.)
  init(seed: UInt64, name: String) {
    let hash = name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    self.init(seed: seed ^ hash)
  }
}
