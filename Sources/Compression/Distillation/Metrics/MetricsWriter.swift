// Where the numbers of a run go, step by step.

/// Something that keeps the metrics of a run.
package protocol MetricsWriter: AnyObject {
  /// - Parameters:
  ///   - step: steps that are done.
  ///   - tokens: tokens that the run has seen.
  ///   - wallSeconds: the time, in seconds since 1970.
  ///   - values: in this order; they may be NaN or infinite.
  /// - Throws: `CheckpointError.file`.
  func append(step: Int, tokens: Int, wallSeconds: Double, values: [(name: String, value: Double)]) throws
}
