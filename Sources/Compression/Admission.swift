// Whether there is room for a piece of work, asked before any of its memory is taken.

import Tensors

/// What is left to the rest of the machine.
private let reserve = 256 << 20

/// - Throws: `CompressionError.memoryInsufficient` if `bytes` would not fit into what is available.
package func requireMemory(_ bytes: Int, for purpose: String) throws(CompressionError) {
  guard let available = availableMemoryBytes() else { return }
  let room = max(0, available - reserve)
  if bytes > room { throw .memoryInsufficient(purpose: purpose, needed: bytes, available: room) }
}
