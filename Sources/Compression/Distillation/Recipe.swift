// Which objectives a run takes when nobody says: what the field found to work for what was cut.
//
// Depth kept: the forward divergence of the logits and nothing else. Depth cut: the logits, the embedding, and one
// hidden state three layers from the end, balanced dynamically. At most a third of a model at a time. (Minitron,
// Muralidharan et al. 2024, arXiv 2407.14679, best practices 5 to 7 and tables 15 to 18; NVIDIA's guideline of a third a round)

package import Transformers

/// Objectives by the ids of their plugins, and why these.
package struct Recipe: Sendable, Equatable {
  /// A feature objective at a place.
  package struct Feature: Sendable, Equatable {
    package let plugin: String
    package let place: FeaturePlace
    package let pairs: [LayerPair]
  }

  /// A word for programs: `logits`, `logitsAndInside`.
  package let name: String
  package let objective: String
  package let features: [Feature]
  package let balance: LossBalance
  /// For people: what was found, and what follows.
  package let reason: String

  /// - Parameters:
  ///   - originalLayers: the layer of the uncut model that each layer of the student was; nil if nobody knows.
  ///   - kept: the share of the teacher's parameters that the student has, pruned ones left out.
  package init(student: Transformer, teacher: Transformer, originalLayers: [Int]?, kept: Double) {
    let layers = (student.shape.layers, teacher.shape.layers), objective = "forward-kl"
    var reason: String
    self.objective = objective
    if layers.0 < layers.1 {
      let pair = hiddenPair(student: student, teacher: teacher, originalLayers: originalLayers)
      name = "logitsAndInside"
      balance = .dynamic
      features = [
        Feature(plugin: "hidden-cosine", place: .output, pairs: [pair]),
        Feature(plugin: "hidden-cosine", place: .embedding, pairs: [LayerPair(student: 0, teacher: 0)]),
      ]
      reason =
        "The student has \(layers.0) of the teacher's \(layers.1) layers: logits, the hidden state behind layer "
        + "\(pair.student) (the teacher's layer \(pair.teacher)) and the embedding."
    } else {
      name = "logits"
      balance = .fixed
      features = []
      reason = "The student has as many layers as the teacher: the logits alone."
    }
    if kept < 2.0 / 3 {
      let percent = Int((100 * kept).rounded())
      reason +=
        " It keeps \(percent) % of the teacher's weights; more than a third at once is better cut and taught in rounds."
    }
    self.reason = reason
  }
}

/// A layer near the end of the student and the one of the teacher that it was, or the one at the same depth.
private func hiddenPair(student: Transformer, teacher: Transformer, originalLayers: [Int]?) -> LayerPair {
  let layer = max(0, student.shape.layers - 3)
  if let originalLayers, originalLayers.count == student.shape.layers,
    (0..<teacher.shape.layers).contains(originalLayers[layer])
  {
    return LayerPair(student: layer, teacher: originalLayers[layer])
  }
  let depth = Double(layer + 1) / Double(student.shape.layers)
  return LayerPair(student: layer, teacher: max(0, Int((depth * Double(teacher.shape.layers)).rounded()) - 1))
}

extension LossPlan {
  /// Pairs for objectives inside when nobody says: layer by layer by where they come from; the last of them alone for
  /// relations of attention, as in MiniLM (Wang et al. 2020, arXiv 2002.10957, section 3.1).
  package static func pairs(
    _ place: FeaturePlace, student: Transformer, teacher: Transformer, originalLayers: [Int]?
  ) -> [LayerPair] {
    switch place {
    case .embedding: [LayerPair(student: 0, teacher: 0)]
    case .output: [hiddenPair(student: student, teacher: teacher, originalLayers: originalLayers)]
    case .queries, .keys, .values:
      [LayerPair(student: student.shape.layers - 1, teacher: teacher.shape.layers - 1)]
    }
  }
}
