// Configurations of models from which units were cut out: as an ordinary config.json where one can say it, else as that
// of the original with the widths beside it, under a model type that no other program takes for its own.
//
//   {"model_type": "espalier_llama", ..., "espalier": {"hiddenSize": 512, "layers": [
//     {"originalLayer": 0, "heads": 6, "keyValueHeads": 3, "neurons": 1152}, ...], "originalLayers": [0, ...]}}
//
// There all other fields are those of the model that was cut, and `layers` counts its layers. `originalLayers`, which an
// ordinary configuration may have too, tells where each layer was in the very first model; arithmetic does not use it.

package import JSON
import Tensors

/// The member of config.json that is ours.
let shrunkField = "espalier"
private let shrunkPrefix = "espalier_"

/// The architecture's name that a configuration gives, and whether widths beside it say what is left.
func architectureName(_ modelType: String) -> (name: String, isShrunk: Bool) {
  modelType.hasPrefix(shrunkPrefix) ? (String(modelType.dropFirst(shrunkPrefix.count)), true) : (modelType, false)
}

/// The architecture that `configuration` names; empty if it names none.
package func architectureName(of configuration: JSONObject) -> String {
  configuration["model_type"]?.string.map { architectureName($0).name } ?? ""
}

/// For each layer where it was in the model that units were first cut out of; nil if none ever were.
package func originalLayers(of configuration: JSONObject) -> [Int]? {
  configuration[shrunkField]?["originalLayers"]?.array?.compactMap(\.integer)
}

/// A configuration for what is left of a model, and what it describes.
package struct ShrunkConfiguration: Sendable {
  package let configuration: JSONObject
  package let transformer: Transformer
  /// Whether other programs can read it: every width is one that an ordinary configuration says.
  package let isStandard: Bool

  /// - Parameters:
  ///   - configuration: of the model that is cut.
  ///   - widths: what is left of it.
  /// - Throws: `TransformerError` if this is not what can be left of it.
  package init(
    of configuration: JSONObject, tensorNames: some Collection<String>, widths: TransformerWidths
  ) throws(TransformerError) {
    let before = originalLayers(of: configuration)
    let layers = widths.layers.map(\.originalLayer).map { layer in
      before.flatMap { $0.indices.contains(layer) ? $0[layer] : nil } ?? layer
    }
    var own = configuration, base = configuration
    let (name, isShrunk) = architectureName(configuration["model_type"]?.string ?? "")
    base["model_type"] = .string(name)
    // Widths are told against the configuration's own sizes, also when it is cut a second time.
    let known = isShrunk ? try widthsBefore(configuration) : nil
    let composed = TransformerWidths(
      hiddenSize: widths.hiddenSize,
      layers: widths.layers.map { layer in
        let original = known.flatMap { $0.indices.contains(layer.originalLayer) ? $0[layer.originalLayer] : nil }
        return TransformerWidths.Layer(
          originalLayer: original ?? layer.originalLayer, heads: layer.heads, keyValueHeads: layer.keyValueHeads,
          neurons: layer.neurons)
      })
    own["model_type"] = .string(shrunkPrefix + name)
    own[shrunkField] = composed.json(originalLayers: layers)
    let target = try makeTransformer(configuration: own, tensorNames: tensorNames)
    if let standard = target.standardConfiguration(base, name: name, originalLayers: layers),
      let described = try? makeTransformer(configuration: standard, tensorNames: tensorNames), described == target
    {
      self.init(configuration: standard, transformer: target, isStandard: true)
    } else {
      self.init(configuration: own, transformer: target, isStandard: false)
    }
  }

  private init(configuration: JSONObject, transformer: Transformer, isStandard: Bool) {
    self.configuration = configuration
    self.transformer = transformer
    self.isStandard = isStandard
  }
}

/// Which layers of its own sizes a configuration with widths has kept.
private func widthsBefore(_ configuration: JSONObject) throws(TransformerError) -> [Int] {
  do throws(JSONFieldError) {
    var fields = JSONFields(members: configuration, at: "config")
    return try TransformerWidths(fields.fields(shrunkField)).layers.map(\.originalLayer)
  } catch {
    throw .configurationInvalid(error)
  }
}

extension Transformer {
  /// An ordinary configuration with this transformer's sizes; nil if its layers differ. Whether it describes the
  /// transformer in all else is for the caller to see.
  fileprivate func standardConfiguration(
    _ base: JSONObject, name: String, originalLayers: [Int]
  ) -> JSONObject? {
    guard widths.isUniform, let sizes = sizeFields(ofArchitecture: name) else { return nil }
    var configuration = base
    let attention = blocks[0].attention.form.shape
    guard !sizes.headsDivideHiddenSize || shape.hiddenSize % attention.heads == 0 else { return nil }
    configuration[sizes.layers] = JSON(shape.layers)
    configuration[sizes.hiddenSize] = JSON(shape.hiddenSize)
    configuration[sizes.heads] = JSON(attention.heads)
    configuration[sizes.neurons] = JSON(blocks[0].feedForward.neurons)
    if let name = sizes.keyValueHeads { configuration[name] = JSON(attention.kvHeads) }
    if let name = sizes.headSize { configuration[name] = JSON(attention.headSize) }
    if let name = sizes.epsilon, base[sizes.hiddenSize]?.integer != shape.hiddenSize {
      configuration[name] = JSON(Double(norm.epsilon))
    }
    if let name = sizes.layerTypes {
      configuration[name] = JSON(
        blocks.map { $0.attention.form.window > 0 ? "sliding_attention" : "full_attention" })
    }
    configuration[shrunkField] = ["originalLayers": JSON(originalLayers)]
    return configuration
  }
}

extension TransformerWidths {
  /// Reads the object; whether it fits a transformer is another question.
  init(_ fields: JSONFields) throws(JSONFieldError) {
    var fields = fields
    hiddenSize = try fields.int("hiddenSize", in: Bounds.sizes)
    var layers: [Layer] = []
    for var layer in try fields.fieldsArray("layers") {
      layers.append(
        Layer(
          originalLayer: try layer.int("originalLayer", in: 0...Bounds.layers.upperBound),
          heads: try layer.int("heads", in: Bounds.sizes),
          keyValueHeads: try layer.int("keyValueHeads", in: Bounds.sizes),
          neurons: try layer.int("neurons", in: Bounds.sizes)))
      try layer.finish()
    }
    self.layers = layers
    _ = try fields.optionalInts("originalLayers")
    try fields.finish()
  }

  fileprivate func json(originalLayers: [Int]) -> JSON {
    [
      "hiddenSize": JSON(hiddenSize),
      "layers": .array(
        layers.map { layer in
          [
            "originalLayer": JSON(layer.originalLayer), "heads": JSON(layer.heads),
            "keyValueHeads": JSON(layer.keyValueHeads), "neurons": JSON(layer.neurons),
          ]
        }), "originalLayers": JSON(originalLayers),
    ]
  }
}

extension Transformer {
  /// What the widths in a configuration leave of the transformer that its other fields describe.
  func keeping(_ fields: JSONFields) throws(JSONFieldError) -> Transformer {
    let widths = try TransformerWidths(fields)
    if let fault = fault(in: widths) { throw fields.error(.outOfRange, fault.field, expected: fault.expected) }
    return keeping(widths)
  }
}
