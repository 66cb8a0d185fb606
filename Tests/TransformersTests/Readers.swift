// config.json to arithmetic, as the fuzzers (Tests/Fuzz, which links here) and the replay of their corpus call it.

import JSON
import OrderedCollections
import Tensors
import Transformers

/// Reads a config.json and lists the tensors that its model would need. Only a trap is a failure.
@Sendable func readConfiguration(_ storage: any ByteStorage) {
  do {
    guard let configuration = try JSON.parse(Array(storage.bytes), limits: .file).object else { return }
    let model = try makeTransformer(configuration: configuration)
    _ = model.shape
    for (name, shape) in model.expectedTensors {
      precondition(!name.isEmpty && shape.allSatisfy { $0 >= 1 }, "\(name) \(shape)")
    }
  } catch let error as TransformerError {
    precondition(!error.kind.isEmpty && error.message.hasSuffix("."), "no sentence: \(error.message)")
  } catch let error as JSONError {
    precondition(!error.message.isEmpty)
  } catch {
    preconditionFailure("an error of no module: \(error)")
  }
}
