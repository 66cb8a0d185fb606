// Files beside the weights that an export in Hugging Face layout carries along: tokenizer, generation defaults, chat
// template. Never config.json and never weights, which change with the model.

/// A file of a folder to come.
package struct CompanionFile: Sendable {
  /// A plain name.
  package let name: String
  private let make: @Sendable () throws(CheckpointError) -> [UInt8]

  init(name: String, make: @escaping @Sendable () throws(CheckpointError) -> [UInt8]) {
    self.name = name
    self.make = make
  }

  init(name: String, bytes: [UInt8]) {
    self.init(name: name) { () throws(CheckpointError) in bytes }
  }

  /// The content.
  /// - Throws: `CheckpointError` if it has to be made or read and cannot be.
  package func bytes() throws(CheckpointError) -> [UInt8] { try make() }
}
