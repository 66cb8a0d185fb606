// What a model at a revision is, whatever it is called and wherever it lies: a digest of its tensors.

package import Tensors
import Workspace

extension ModelState {
  /// SHA-256 over the tensors in the order of their names: of each the name, the type, shape and row order of its
  /// stored weights, and the SHA-256 of each 4 MiB of them and of its mask. It depends on how weights are stored, not
  /// only on their values. Some hundred megabytes a second.
  /// - Throws: `Cancelled`.
  package func digest(monitor: Monitor = Monitor()) throws(Cancelled) -> String {
    var text = ""
    for (name, tensor) in revision.tensors.sorted(by: { $0.key < $1.key }) {
      let view = tensor.weights.view
      text += "\(name) \(view.dtype) \(view.shape) \(view.rowOrder)"
      for digest in try pieceDigests(view.bytes, monitor: monitor) { text += " " + digest }
      text += tensor.mask.map { " mask " + $0.bits.bytes.withUnsafeBytes(sha256) } ?? ""
      text += "\n"
    }
    return Array(text.utf8).withUnsafeBytes(sha256)
  }
}

/// The SHA-256 of the digests of each 4 MiB of `bytes`, so that large ones can be given up in between.
/// - Throws: `Cancelled`.
func digestOfPieces(_ bytes: UnsafeRawBufferPointer, monitor: Monitor) throws(Cancelled) -> String {
  let text = try pieceDigests(bytes, monitor: monitor).joined(separator: " ")
  return Array(text.utf8).withUnsafeBytes(sha256)
}

private func pieceDigests(_ bytes: UnsafeRawBufferPointer, monitor: Monitor) throws(Cancelled) -> [String] {
  var digests: [String] = []
  for start in stride(from: 0, to: bytes.count, by: 4 << 20) {
    try monitor.checkCancelled()
    digests.append(sha256(UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + 4 << 20)])))
  }
  return digests
}
