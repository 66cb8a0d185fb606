// Where the files of the repository are while its tests run: beside the sources that were compiled.

/// Folders of the repository that this file was compiled in.
package enum Repository {
  package static let root: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    return parts.dropLast(3).joined(separator: "/")  // Sources/TestSupport/Repository.swift
  }()

  /// The goldens of a test target.
  package static func goldens(of target: String) -> String { "\(root)/Tests/\(target)/Goldens" }
}
