// What new weights of a linear map do to its output, exactly, from the Gram matrix of its inputs.

package import Tensors

/// The squared change of a linear map's output over calibration data, and what it is relative to.
package struct OutputError: Sendable, Equatable {
  /// ‖(W' - W)X + b‖², summed over outputs and tokens.
  package var change: Double
  /// ‖WX‖².
  package var energy: Double

  package init(change: Double, energy: Double) {
    self.change = change
    self.energy = energy
  }

  /// change / energy; 0 if nothing changed, infinity if there was nothing and now there is.
  package var relative: Double { change == 0 ? 0 : energy == 0 ? .infinity : change / energy }

  package static func + (a: OutputError, b: OutputError) -> OutputError {
    OutputError(change: a.change + b.change, energy: a.energy + b.energy)
  }
}

/// ‖WX‖² = tr(W G Wᵀ).
/// - Parameter weights: `[rows, gram.inputs]`.
/// - Throws: `Cancelled`.
package func outputEnergy(
  _ weights: UnsafePointer<Float>, rows: Int, gram: Gram, compute: Compute, cancellation: Cancellation
) throws(Cancelled) -> Double {
  max(
    0,
    try compute.quadraticForms(
      weights, gram.products.pointer, rows: rows, n: gram.inputs, cancellation: cancellation
    ).reduce(0, +))
}

/// ‖(W' - W)X + b‖² for D = W - W': the sum over outputs of d G dᵀ - 2 b d·Σx + T b², over T tokens. Without a bias
/// this is tr(D G Dᵀ). Rounding may take a sum that is next to nothing below 0, which counts as 0.
/// - Parameters:
///   - difference: D, `[rows, gram.inputs]`.
///   - bias: what is added to the outputs, `[rows]`; nil for nothing.
///   - moments: of the same inputs; needed for a bias.
/// - Throws: `Cancelled`.
package func outputChange(
  _ difference: UnsafePointer<Float>, bias: [Float]?, rows: Int, gram: Gram, moments: Moments?, compute: Compute,
  cancellation: Cancellation
) throws(Cancelled) -> Double {
  var forms = try compute.quadraticForms(
    difference, gram.products.pointer, rows: rows, n: gram.inputs, cancellation: cancellation)
  if let bias, let moments {
    let means = compute.rowProducts(difference, moments.sum, rows: rows)
    for row in 0..<rows {
      let b = Double(bias[row])
      forms[row] += b * (b * Double(moments.tokens) - 2 * means[row])
    }
  }
  return max(0, forms.reduce(0, +))
}

/// ‖(W - W')X‖² / ‖WX‖² from the Gram matrix of X.
/// - Parameters:
///   - weights, newWeights: `[rows, gram.inputs]`.
/// - Throws: `Cancelled`.
package func relativeOutputError(
  _ weights: UnsafeBufferPointer<Float>, _ newWeights: UnsafeBufferPointer<Float>, gram: Gram, compute: Compute,
  cancellation: Cancellation = Cancellation()
) throws(Cancelled) -> Double {
  precondition(weights.count == newWeights.count && weights.count % gram.inputs == 0, "matrices of two shapes")
  let rows = weights.count / gram.inputs
  guard let old = weights.baseAddress, let new = newWeights.baseAddress else { return 0 }
  let difference = FloatBuffer(count: weights.count)
  difference.pointer.update(from: old, count: weights.count)
  compute.subtract(difference.pointer, new, count: weights.count)
  return OutputError(
    change: try outputChange(
      difference.pointer, bias: nil, rows: rows, gram: gram, moments: nil, compute: compute,
      cancellation: cancellation),
    energy: try outputEnergy(old, rows: rows, gram: gram, compute: compute, cancellation: cancellation)
  ).relative
}
