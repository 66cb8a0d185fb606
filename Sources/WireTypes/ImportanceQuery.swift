// importance/query: looks at the scores of one tensor: a region, the extremes, or a heatmap; or at those of units.

package import JSON

package enum ImportanceQuery: Method {
  package static let name = "importance/query"

  package enum Question: Sendable, Equatable {
    case region(RegionParam, ValueEncoding)
    case top(count: Int, largest: Bool)
    case heatmap(GridParam, ValueEncoding)
    /// Of a layer, or all.
    case units(layer: Int?, ValueEncoding)
  }

  package struct Params: MethodParams {
    package let scores: String
    /// Empty for units.
    package let tensor: String
    package let question: Question

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      scores = try fields.string("scores")
      let tensor = try fields.optionalString("tensor"), layer = try fields.optionalInt("layer", in: 0...4095)
      let region = try RegionParam.optional("region", &fields)
      let top = try fields.optionalInt("topK", in: 1...4096)
      let largest = try fields.string("order", oneOf: ["largest", "smallest"], default: "largest") == "largest"
      let heatmap = try GridParam.optional("heatmap", &fields)
      let words = ValueEncoding.allCases.map(\.rawValue)
      let encoding =
        ValueEncoding(rawValue: try fields.string("encoding", oneOf: words, default: "numbers")) ?? .numbers
      var asked: [(key: String, question: Question)] = []
      if let region { asked.append(("region", .region(region, encoding))) }
      if let top { asked.append(("topK", .top(count: top, largest: largest))) }
      if let heatmap { asked.append(("heatmap", .heatmap(heatmap, encoding))) }
      guard tensor != nil || !asked.isEmpty else {
        self.tensor = ""
        question = .units(layer: layer, encoding)
        return
      }
      guard let tensor else { throw fields.error(.missingField, "tensor", expected: "a string") }
      if layer != nil { throw fields.error(.outOfRange, "layer", expected: "nothing beside `tensor`") }
      self.tensor = tensor
      guard asked.count == 1, let question = asked.first?.question else {
        throw fields.error(
          asked.isEmpty ? .missingField : .outOfRange, asked.last?.key ?? "region",
          expected: "exactly one of `region`, `topK` and `heatmap`")
      }
      self.question = question
    }
  }

  package static func result(
    scores: String, tensor: String, rows: Int, columns: Int, values: [Float], encoding: ValueEncoding
  ) -> JSON {
    [
      "scores": JSON(scores), "tensor": JSON(tensor), "rows": JSON(rows), "columns": JSON(columns),
      "encoding": JSON(encoding.rawValue), "values": encoding.json(values),
    ]
  }

  package static func result(
    scores: String, tensor: String, top: [(row: Int, column: Int, score: Float)]
  ) -> JSON {
    [
      "scores": JSON(scores), "tensor": JSON(tensor),
      "top": .array(
        top.map { ["row": JSON($0.row), "column": JSON($0.column), "score": wireNumber($0.score)] }),
    ]
  }

  package static func result(
    scores: String, tensor: String, heatmap: (rows: Int, columns: Int, values: [Float]), encoding: ValueEncoding
  ) -> JSON {
    [
      "scores": JSON(scores), "tensor": JSON(tensor),
      "heatmap": [
        "rows": JSON(heatmap.rows), "columns": JSON(heatmap.columns), "encoding": JSON(encoding.rawValue),
        "values": encoding.json(heatmap.values),
      ],
    ]
  }
}
