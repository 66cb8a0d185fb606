// A checkpoint in memory that was made out of an opened one: other weights and sizes, the same tokenizer.

package import JSON
package import OrderedCollections
package import Tensors

extension Checkpoint {
  /// What a model that was made out of this one is exported and described by.
  /// - Parameters:
  ///   - configuration: the keys of its config.json.
  ///   - tensors: by their Hugging Face names; those that were left alone are this checkpoint's own.
  package func deriving(
    configuration: JSONObject, tensors: OrderedDictionary<String, TensorView>
  ) -> Checkpoint {
    Checkpoint(
      format: format, path: path, configuration: configuration, tensors: TensorOrder.sorted(tensors), storedNames: [:],
      tokenizer: tokenizer, companionFiles: companionFiles)
  }
}
