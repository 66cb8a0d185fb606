// What a model at a revision is, whatever it is called and wherever it lies: a digest of its tensors.

package import Tensors
import Workspace

extension ModelState {
  /// SHA-256 over the tensors in the order of their names: of each the name, the type, shape and row order of its
  /// stored weights, and the SHA-256 of each 4 MiB of them and of its mask. It depends on how weights are stored, not
  /// only on their values. Some hundred megabytes a second.
  /// - Throws: `Cancelled`.
  package func digest(monitor: Monitor = Monitor()) throws(Cancelled) -> String {
    let piece = 4 << 20
    var text = ""
    for (name, tensor) in revision.tensors.sorted(by: { $0.key < $1.key }) {
      let view = tensor.weights.view
      text += "\(name) \(view.dtype) \(view.shape) \(view.rowOrder)"
      for start in stride(from: 0, to: view.byteCount, by: piece) {
        try monitor.checkCancelled()
        let bytes = view.bytes[start..<min(view.byteCount, start + piece)]
        text += " " + sha256(UnsafeRawBufferPointer(rebasing: bytes))
      }
      text += tensor.mask.map { " mask " + $0.bits.bytes.withUnsafeBytes(sha256) } ?? ""
      text += "\n"
    }
    return Array(text.utf8).withUnsafeBytes(sha256)
  }
}
