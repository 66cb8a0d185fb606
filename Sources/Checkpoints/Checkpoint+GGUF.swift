// Opening a GGUF file: its tensors under Hugging Face names, its metadata as config.json and tokenizer files.

import JSON
import OrderedCollections
import Tensors

extension Checkpoint {
  static func openGGUF(_ file: GGUFFile) throws(CheckpointError) -> Checkpoint {
    let configuration = try file.configuration()
    let (tensors, storedNames) = try translatedTensors(of: file, configuration)
    let definition = try TokenizerDefinition(gguf: file)
    let begin = file.metadata["tokenizer.ggml.bos_token_id"]?.integer
    let ends = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"].compactMap { key in
      file.metadata[key]?.integer.map { (field: key, id: $0) }
    }
    return Checkpoint(
      format: .gguf, path: file.path, configuration: configuration, tensors: TensorOrder.sorted(tensors),
      storedNames: storedNames,
      tokenizer: try Tokenizer(
        definition, begin: begin.map { (field: "tokenizer.ggml.bos_token_id", id: $0) }, ends: ends),
      companionFiles: GGUFTokenizerFiles(file: file).companions)
  }

  /// The tensors of a known architecture under Hugging Face names; those of others under their own.
  static func translatedTensors(
    of file: GGUFFile, _ configuration: JSONObject
  ) throws(CheckpointError) -> (OrderedDictionary<String, TensorView>, stored: [String: String]) {
    let architecture = try file.architecture()
    let heads = configuration["num_attention_heads"]?.integer ?? 1
    let kvHeads = configuration["num_key_value_heads"]?.integer ?? heads
    var tensors = OrderedDictionary<String, TensorView>(minimumCapacity: file.tensors.count)
    var storedNames: [String: String] = [:]
    for (stored, tensor) in file.tensors where architecture?.translated.contains(stored) != true {
      let known: GGUFArchitecture.Translation?
      if let architecture { known = architecture.translation(of: stored) } else { known = .init(name: stored) }
      guard let known else {
        throw .gguf(path: file.path, .unsupportedTensor(stored, architecture: architecture?.title ?? ""))
      }
      let groups = known.heads.map { $0 == .query ? heads : kvHeads }
      let view = TensorView(
        storage: file.storage, byteOffset: tensor.byteOffset, dtype: tensor.dtype, shape: tensor.shape,
        rowOrder: groups.map { .headInterleaved(heads: $0) } ?? .stored)
      guard let view else {
        throw .gguf(path: file.path, .heads(tensor: stored, heads: groups ?? 0, rows: tensor.shape.first ?? 0))
      }
      tensors[known.name] = view
      storedNames[known.name] = stored
    }
    return (tensors, storedNames)
  }
}
