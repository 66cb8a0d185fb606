// model/load: maps a checkpoint and makes it resident under a name.

package import JSON

package enum ModelLoad: Method {
  package static let name = "model/load"

  package struct Params: MethodParams {
    /// A Hugging Face folder, a .gguf file, or `builtin:` and a name.
    package let source: String
    /// Nil: the last part of the source, without `.gguf`.
    package let name: String?

    package init(_ fields: inout JSONFields) throws(JSONFieldError) {
      source = try fields.string("source")
      name = try fields.optionalName("name")
      if source.isEmpty {
        throw fields.error(.outOfRange, "source", expected: "a folder, a .gguf file or builtin:sapling")
      }
    }
  }

  package static func result(_ model: ModelFacts, revision: String, seconds: Double) -> JSON {
    var result = model.json
    result["revision"] = JSON(revision)
    result["seconds"] = JSON(seconds)
    return result
  }
}

/// What never changes of a resident model.
package struct ModelFacts: Sendable {
  package let model, source, format, architecture: String
  package let parameters, bytes, layers, hiddenSize, vocabularySize, maximumLength: Int

  package init(
    model: String, source: String, format: String, architecture: String, parameters: Int, bytes: Int, layers: Int,
    hiddenSize: Int, vocabularySize: Int, maximumLength: Int
  ) {
    self.model = model
    self.source = source
    self.format = format
    self.architecture = architecture
    self.parameters = parameters
    self.bytes = bytes
    self.layers = layers
    self.hiddenSize = hiddenSize
    self.vocabularySize = vocabularySize
    self.maximumLength = maximumLength
  }

  var json: JSON {
    [
      "model": JSON(model), "source": JSON(source), "format": JSON(format), "architecture": JSON(architecture),
      "parameters": JSON(parameters), "bytes": JSON(bytes), "layers": JSON(layers), "hiddenSize": JSON(hiddenSize),
      "vocabularySize": JSON(vocabularySize), "maximumLength": JSON(maximumLength),
    ]
  }
}
