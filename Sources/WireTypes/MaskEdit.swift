// mask/edit: prunes, restores or inverts chosen weights, as a new revision.

package import JSON

package enum MaskEdit: Method {
  package static let name = "mask/edit"

  package enum Place: Sendable, Equatable {
    case tensor(String)
    case rows(String, [Int])
    case columns(String, [Int])
    case indices(String, [Int])
    case heads(layer: Int, [Int])
    case neurons(layer: Int, [Int])
    case channels([Int])
    case layers([Int])
  }

  package struct Edit: Sendable, Equatable {
    /// `prune`, `restore` or `invert`.
    package let op: String
    package let place: Place

    init(_ fields: inout JSONFields) throws(JSONFieldError) {
      op = try fields.string("op", oneOf: ["prune", "restore", "invert"])
      let tensor = try fields.optionalString("tensor"), layer = try fields.optionalInt("layer")
      var parts: [(name: String, values: [Int])] = []
      for name in ["rows", "columns", "indices", "heads", "neurons", "channels", "layers"] {
        if let values = try fields.optionalInts(name) { parts.append((name, values)) }
      }
      try fields.finish()  // a misspelt member first: it explains why another is missing
      guard parts.count <= 1 else {
        throw fields.error(
          .outOfRange, parts[1].name, expected: "only one of rows, columns, indices, heads, neurons, channels and layers in an edit")
      }
      switch (tensor, layer, parts.first?.name, parts.first?.values ?? []) {
      case (let tensor?, nil, nil, _): place = .tensor(tensor)
      case (let tensor?, nil, "rows", let rows): place = .rows(tensor, rows)
      case (let tensor?, nil, "columns", let columns): place = .columns(tensor, columns)
      case (let tensor?, nil, "indices", let indices): place = .indices(tensor, indices)
      case (nil, let layer?, "heads", let heads): place = .heads(layer: layer, heads)
      case (nil, let layer?, "neurons", let neurons): place = .neurons(layer: layer, neurons)
      case (nil, nil, "channels", let channels): place = .channels(channels)
      case (nil, nil, "layers", let layers): place = .layers(layers)
      default:
        throw fields.error(
          tensor == nil && layer == nil ? .missingField : .outOfRange, tensor == nil ? "layer" : "tensor",
          expected: "`tensor` with rows, columns, indices or none of them, `layer` with heads or neurons, "
            + "`channels`, or `layers`")
      }
    }
  }

  /// The edits that member `edits` lists.
  static func edits(_ list: [JSONFields], _ fields: inout JSONFields) throws(JSONFieldError) -> [Edit] {
    var edits: [Edit] = []
    for var edit in list { edits.append(try Edit(&edit)) }
    if edits.isEmpty { throw fields.error(.outOfRange, "edits", expected: "at least one edit") }
    return edits
  }

  package struct Params: MethodParams {
    package let model: String
    package let edits: [Edit]

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      model = try fields.string("model")
      edits = try MaskEdit.edits(fields.fieldsArray("edits"), &fields)
    }
  }

  /// - Parameter changed: weights that went from kept to pruned or back.
  package static func result(
    model: String, revision: String, parent: String?, changed: Int, modelSparsity: Double,
    perTensor: [TensorSparsity]
  ) -> JSON {
    [
      "model": JSON(model), "revision": JSON(revision), "parent": JSON(parent), "changed": JSON(changed),
      "modelSparsity": JSON(modelSparsity), "perTensor": .array(perTensor.map(\.json)),
    ]
  }
}
