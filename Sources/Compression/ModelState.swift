// A model at one revision: the arithmetic together with the weights, as every computation here takes it.

package import OrderedCollections
import Tensors
package import Transformers
package import Workspace

/// A linear map whose weights may be pruned.
package struct PrunableTensor: Sendable {
  package let name: String
  package let layer: Int
  package let rows: Int
  package let columns: Int
  package var elementCount: Int { rows * columns }
}

extension OrderedDictionary where Key == String, Value == PrunableTensor {
  /// Elements of the largest of the tensors.
  var largestElementCount: Int { values.map(\.elementCount).max() ?? 0 }
  var lastLayer: Int { values.map(\.layer).max() ?? 0 }
}

/// A model and a revision of it.
package struct ModelState: Sendable {
  package let transformer: Transformer
  package let revision: Revision

  package init(transformer: Transformer, revision: Revision) {
    self.transformer = transformer
    self.revision = revision
  }

  /// The prunable tensors, layer by layer, in the order of computation.
  package var prunableTensors: OrderedDictionary<String, PrunableTensor> {
    var prunable: OrderedDictionary<String, PrunableTensor> = [:]
    for layer in 0..<transformer.shape.layers {
      for name in transformer.linearInputs(layer: layer).flatMap(\.tensors) {
        guard let view = revision.tensors[name]?.weights.view else { continue }
        prunable[name] = PrunableTensor(name: name, layer: layer, rows: view.rows, columns: view.columns)
      }
    }
    return prunable
  }

  /// The prunable tensors whose names match one of `globs`; all for nil.
  /// - Throws: `CompressionError.modulesMatchNothing` if a glob matches none.
  package func prunableTensors(
    matching globs: [String]?
  ) throws(CompressionError) -> OrderedDictionary<String, PrunableTensor> {
    let all = prunableTensors
    guard let globs else { return all }
    let names = Set(try Glob.names(Array(all.keys), matching: globs))
    return all.filter { name, _ in names.contains(name) }
  }

  /// The tensors whose names share the longest beginning with `name`, if they also share its end words; at most two.
  private func nearestTensors(to name: String) -> [String] {
    let last = name.split(separator: ".").suffix(2).joined(separator: ".")
    guard (1...128).contains(last.utf8.count) else { return [] }
    func shared(_ other: String) -> Int { zip(other.utf8, name.utf8).prefix { $0 == $1 }.count }
    let alike = revision.tensors.keys.filter { $0.contains(last) }
    guard let longest = alike.map(shared).max() else { return [] }
    return Array(alike.filter { shared($0) == longest }.prefix(2))
  }

  /// The prunable tensor of a name.
  /// - Throws: `CompressionError` that tells an unknown name from one that is not prunable.
  package func prunableTensor(_ name: String) throws(CompressionError) -> PrunableTensor {
    if let tensor = prunableTensors[name] { return tensor }
    if revision.tensors[name] != nil { throw .tensorNotPrunable(name: name) }
    throw .tensorNotFound(name: name, nearest: nearestTensors(to: name))
  }
}
