// A text that a revision was calibrated on does not judge it fairly: that is said with every evaluation on it.

package import Workspace

extension Diagnostics {
  /// Says that `dataset`, on which `revision` is evaluated, has decided how the revision came about.
  /// - Parameter name: what the revision is called: `The revision`.
  package func reportCalibration(of revision: Revision, evaluatedOn dataset: Dataset, as name: String) {
    guard revision.calibration.contains(dataset.digest) else { return }
    add(
      Diagnostic(
        .information, kind: "calibrationIsEvaluation",
        "\(name) \(revision.id), or one that it came out of, was calibrated on this very text, which flatters it. "
          + "Evaluate on another text."))
  }
}
