// How much a document may ask of the one who reads it.

/// Bounds that a document must keep; what exceeds them is refused before any memory is taken for it.
package struct JSONLimits: Sendable, Equatable {
  /// Containers open at the same time; a scalar has depth 0, `[]` has depth 1.
  package var depth: Int
  /// Bytes of the whole document.
  package var bytes: Int
  /// Values in the document, containers included, member names not; an object counts as `objectWeight`.
  package var nodes: Int

  package init(depth: Int, bytes: Int, nodes: Int) {
    self.depth = depth
    self.bytes = bytes
    self.nodes = nodes
  }

  /// json-c takes 760 bytes for an empty object, and 50 to 100 for any other value.
  package static let objectWeight = 8

  /// For what a client sends.
  package static let message = JSONLimits(depth: 128, bytes: 64 << 20, nodes: 1 << 20)
  /// For files: tokenizers, configurations, headers of checkpoints.
  package static let file = JSONLimits(depth: 128, bytes: 1 << 30, nodes: 16 << 20)
}
