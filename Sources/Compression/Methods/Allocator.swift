// The contract of a method that says how much each tensor loses for a total.

package import Tensors

package struct AllocatorDescription: Sendable, Equatable {
  package let method: MethodDescription
  /// Whether every share must come with a measured sensitivity.
  package let needsSensitivity: Bool
  /// Whether layers are measured first, with the statistics of `method`.
  package let measures: Bool

  package init(method: MethodDescription, needsSensitivity: Bool, measures: Bool) {
    self.method = method
    self.needsSensitivity = needsSensitivity
    self.measures = measures
  }
}

/// Loss in nats at ascending sparsities, the first of them 0.
package struct SensitivityCurve: Sendable, Equatable {
  package let sparsities: [Double]
  package let losses: [Double]

  package init(sparsities: [Double], losses: [Double]) {
    self.sparsities = sparsities
    self.losses = losses
  }
}

/// A tensor that takes its part of a total.
package struct Share: Sendable, Equatable {
  package let tensor: String
  package let layer: Int
  package let elements: Int
  /// What `measure` said of its layer; 0 without.
  package var measure: Double
  package var sensitivity: SensitivityCurve?

  package init(tensor: String, layer: Int, elements: Int, measure: Double = 0, sensitivity: SensitivityCurve? = nil) {
    self.tensor = tensor
    self.layer = layer
    self.elements = elements
    self.measure = measure
    self.sensitivity = sensitivity
  }
}

package protocol Allocator: Sendable {
  var description: AllocatorDescription { get }

  /// A number for a layer, from all its matrices. Called on a compute thread.
  /// - Throws: `Cancelled`, or the implementation's own error.
  func measure(
    _ matrices: [MatrixInput], parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> Double

  /// A sparsity of 0...1 for each share, such that together they lose `total` of all elements. Called on a compute thread.
  /// - Throws: `Cancelled`, or the implementation's own error, also if the total is missed by more than 0.001.
  func allocate(
    _ shares: [Share], total: Double, parameters: [ParameterValue], monitor: Monitor, diagnostics: Diagnostics
  ) throws -> [Double]
}
