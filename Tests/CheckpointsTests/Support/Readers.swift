// What reads foreign bytes, as the fuzzers (Tests/Fuzz, which links here) and the replay of their corpus call it: every
// reader goes as far as loading a model does, and puts its errors into words. Only a trap is a failure.

import JSON
import OrderedCollections
import Tensors

@testable import Checkpoints

/// The readers of this layer, by the names of their folders in Tests/Fuzz/Corpus.
let checkpointReaders: [(name: String, read: @Sendable (any ByteStorage) -> Void)] = [
  ("safetensors", { storage in attempt { try readSafetensors(storage) } }),
  ("gguf", { storage in attempt { try readGGUF(storage) } }),
  ("tokenizer", { storage in attempt { try readTokenizer(storage) } }),
]

/// Runs `body`; an error must have a word and a sentence.
private func attempt(_ body: () throws -> Void) {
  do {
    try body()
  } catch let error as CheckpointError {
    precondition(!error.kind.isEmpty && error.message.hasSuffix("."), "no sentence: \(error.message)")
  } catch let error as JSONError {
    precondition(!error.message.isEmpty)
  } catch {
    preconditionFailure("an error of no module: \(error)")
  }
}

private func readSafetensors(_ storage: any ByteStorage) throws {
  let file = try SafetensorsFile(storage: storage, path: "fuzzed")
  for view in TensorOrder.sorted(file.tensors).values { readRows(view) }
}

private func readGGUF(_ storage: any ByteStorage) throws {
  let file = try GGUFFile(storage: storage, path: "fuzzed")
  for value in file.metadata.values { precondition(!value.text.utf8.isEmpty && !value.typeName.isEmpty) }
  let configuration = try file.configuration()
  _ = try JSON.object(configuration).serialized()
  for view in try Checkpoint.translatedTensors(of: file, configuration).0.values { readRows(view) }
  let checkpoint = try Checkpoint.openGGUF(file)
  try use(checkpoint.tokenizer)
  for companion in checkpoint.companionFiles { _ = try companion.bytes() }
}

private func readTokenizer(_ storage: any ByteStorage) throws {
  let json = try JSON.parse(Array(storage.bytes), limits: .file)
  try use(Tokenizer(TokenizerDefinition(json: json, path: "fuzzed"), begin: nil, ends: []))
}

private func use(_ tokenizer: Tokenizer) throws {
  for text in ["the  word's 12\n", "<s>é 1</s>\u{0}", ""] {
    let ids = try tokenizer.encode(text)
    _ = try tokenizer.decode(ids)
  }
}

/// The first and the last row, if they hold weights and are not huge.
private func readRows(_ view: TensorView) {
  guard view.dtype.holdsWeights, view.columns <= 1 << 16 else { return }
  let out = FloatBuffer(count: view.columns)
  for row in [0, view.rows - 1] { MaskedTensor(weights: view).readRow(row, into: out.pointer) }
}
