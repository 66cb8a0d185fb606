// A diagnostic on the wire: what a person should know about an answer although it succeeded.

package import JSON

/// Something worth knowing about a computation that went on.
package struct DiagnosticFacts: Sendable {
  package let json: JSON

  /// - Parameters:
  ///   - severity: `error`, `warning` or `information`.
  ///   - kind: a stable camelCase word: `deadInputs`, `dampingRaised`.
  ///   - tensor: what it is about; nil for the whole request.
  package init(severity: String, kind: String, tensor: String?, message: String) {
    json = ["severity": JSON(severity), "kind": JSON(kind), "tensor": JSON(tensor), "message": JSON(message)]
  }

  /// The member `diagnostics` of a result: those that were kept, and a last one that counts the others.
  package static func list(_ diagnostics: [DiagnosticFacts], dropped: Int = 0) -> JSON {
    var all = diagnostics
    if dropped > 0 {
      all.append(
        DiagnosticFacts(
          severity: "information", kind: "diagnosticsDropped", tensor: nil,
          message: "\(dropped) more diagnostics are left out."))
    }
    return .array(all.map(\.json))
  }
}
