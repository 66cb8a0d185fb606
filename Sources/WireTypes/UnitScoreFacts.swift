// Scores of units on the wire: what importance/score says of them in short, and importance/query in full.

package import JSON

/// What units are called in requests, besides single weights.
let unitNames = ["head", "neuron", "channel", "layer", "width"]

/// The scores of the units of one kind in one layer or in the model.
package struct UnitGroupFacts: Sendable {
  package let unit: String
  /// Nil for channels and layers.
  package let layer: Int?
  package let scores: [Double]

  package init(unit: String, layer: Int?, scores: [Double]) {
    self.unit = unit
    self.layer = layer
    self.scores = scores
  }

  /// - Parameter encoding: of the values; nil for a summary instead.
  func json(_ encoding: ValueEncoding?) -> JSON {
    var json: JSON = ["unit": JSON(unit), "layer": JSON(layer)]
    if let encoding {
      json["values"] = encoding.json(scores.map { Float($0) })
    } else {
      json["count"] = JSON(scores.count)
      json["minimum"] = wireNumber(scores.min() ?? 0)
      json["maximum"] = wireNumber(scores.max() ?? 0)
      json["mean"] = wireNumber(scores.reduce(0, +) / Double(max(1, scores.count)))
    }
    return json
  }
}

extension ImportanceQuery {
  package static func result(scores: String, units: [UnitGroupFacts], encoding: ValueEncoding) -> JSON {
    [
      "scores": JSON(scores), "encoding": JSON(encoding.rawValue),
      "units": .array(units.map { $0.json(encoding) }),
    ]
  }
}
