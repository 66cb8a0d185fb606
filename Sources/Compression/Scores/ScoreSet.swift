// Importance values of a model's weights, and how they came about.

package import OrderedCollections
package import Tensors

/// Where scores came from: enough to compute them again.
package struct ScoreProvenance: Sendable, Equatable {
  package let model: String
  package let revision: String
  package let plugin: String
  package let pluginVersion: String
  package let parameters: OrderedDictionary<String, ParameterValue>
  /// Digest of the calibration data, if any was used.
  package let dataset: String?
  /// Digests of all data behind the scores: also what scores that went into them were calibrated on.
  package let calibration: Set<String>

  /// - Parameter terms: where scores that went into these came from.
  package init(
    model: String, revision: String, plugin: String, pluginVersion: String,
    parameters: OrderedDictionary<String, ParameterValue>, dataset: String?, terms: [ScoreProvenance] = []
  ) {
    self.model = model
    self.revision = revision
    self.plugin = plugin
    self.pluginVersion = pluginVersion
    self.parameters = parameters
    self.dataset = dataset
    calibration = terms.reduce(dataset.map { [$0] } ?? []) { $0.union($1.calibration) }
  }
}

/// The scores of one tensor, higher meaning more worth keeping, and what they look like.
package struct TensorScores: Sendable {
  package let matrix: ScoreMatrix
  package let summary: ScoreSummary
}

/// Immutable scores of some tensors of a model.
package final class ScoreSet: Sendable {
  package let provenance: ScoreProvenance
  package let defaultGroup: MaskGroup
  /// By tensor name, in the order of computation.
  package let tensors: OrderedDictionary<String, TensorScores>

  init(
    provenance: ScoreProvenance, defaultGroup: MaskGroup, tensors: OrderedDictionary<String, TensorScores>
  ) {
    self.provenance = provenance
    self.defaultGroup = defaultGroup
    self.tensors = tensors
  }

  package var bytes: Int { tensors.values.reduce(0) { $0 + $1.matrix.values.bytes } }
}
