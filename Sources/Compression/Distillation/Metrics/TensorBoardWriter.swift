// Event files that TensorBoard shows: one for each attempt of a run, in the run's folder.

import Checkpoints

/// Writes scalars as events. `tokens` is a scalar too.
package final class TensorBoardWriter: MetricsWriter {
  package let path: String
  private let file: AppendedFile

  /// Makes a new file in `folder`, which exists.
  /// - Parameters:
  ///   - wallSeconds: now, in seconds since 1970. TensorBoard reads the files of a folder in the order of their names,
  ///     which begin with it.
  ///   - resumedStep: of a run that goes on, the first step that this attempt will write: what earlier files have from
  ///     there on is not shown any more.
  /// - Throws: `CheckpointError.file`.
  package init(folder: String, wallSeconds: Double, resumedStep: Int? = nil) throws {
    let second = String(max(0, Int(exactly: wallSeconds.rounded(.down)) ?? 0))
    let padded = String(repeating: "0", count: max(0, 10 - second.count)) + second
    file = try Self.newFile("\(folder)/events.out.tfevents.\(padded).espalier.")
    path = file.path
    try write(.fileVersion(wallSeconds: wallSeconds))
    if let resumedStep { try write(.restart(step: resumedStep, wallSeconds: wallSeconds)) }
  }

  /// A file with the first number behind `beginning` that is free: several attempts may begin in one second.
  private static func newFile(_ beginning: String) throws(CheckpointError) -> AppendedFile {
    for number in 0..<9 {
      do throws(CheckpointError) {
        return try AppendedFile(path: "\(beginning)\(number)", isNew: true)
      } catch {
        guard case .file(_, .taken(_)) = error else { throw error }
      }
    }
    return try AppendedFile(path: beginning + "9", isNew: true)
  }

  package func append(step: Int, tokens: Int, wallSeconds: Double, values: [(name: String, value: Double)]) throws {
    try write(.scalars([("tokens", Double(tokens))] + values, step: step, wallSeconds: wallSeconds))
  }

  /// Makes what was appended durable.
  package func synchronise() throws { try file.synchronise() }

  private func write(_ event: EventMessage) throws { try file.append(framedRecord(event.bytes)) }
}
