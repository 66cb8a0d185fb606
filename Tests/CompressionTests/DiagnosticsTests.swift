// The order in which diagnostics come out, whoever said them first, and what becomes of too many.

import Compression
import Tensors
import TestSupport
import Testing

@Suite struct DiagnosticsTests {
  private static let tensors = ["layers.2.up", "layers.10.up", "layers.10.down"]

  /// Twice each, in one of its two severities.
  private static func some() -> [Diagnostic] {
    ([nil] + (tensors + ["unknown.b", "unknown.a"]).map(Optional.some)).flatMap { tensor in
      ["tied", "damped"].flatMap { kind in
        ["row 1", "row 2"].flatMap { text in
          let diagnostic = Diagnostic(kind == "tied" ? .warning : .information, kind: kind, tensor: tensor, text)
          return [diagnostic, diagnostic]
        }
      }
    }
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func orderDoesNotDependOnArrival(seed: UInt64) {
    var random = Seeded(seed)
    let diagnostics = Diagnostics(tensors: Self.tensors)
    for diagnostic in Self.some().shuffled(using: &random) { diagnostics.add(diagnostic) }
    let (kept, dropped) = diagnostics.all
    #expect(dropped == 0 && kept.count == 24)
    #expect(
      kept.map(\.tensor)
        == ([nil] + (Self.tensors + ["unknown.a", "unknown.b"]).map(Optional.some))
        .flatMap { [String?](repeating: $0, count: 4) })
    #expect(kept.prefix(4).map(\.kind) == ["tied", "tied", "damped", "damped"], "the graver first")
    #expect(kept.prefix(2).map(\.message) == ["row 1", "row 2"])
  }

  /// Of two thousand the same thousand stay, and the others are counted, in whatever order threads bring them.
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func tooManyAreCounted(seed: UInt64) {
    var random = Seeded(seed)
    let names = (0..<2000).map { "t\(10_000 + $0)" }, diagnostics = Diagnostics(tensors: names)
    let said = (names + names.suffix(5)).map { Diagnostic(.warning, kind: "tied", tensor: $0, "") }
      .shuffled(using: &random)
    ComputePool(threads: 4).parallelFor(said.count) { index, _ in diagnostics.add(said[index]) }
    let (kept, dropped) = diagnostics.all
    #expect(kept.compactMap(\.tensor) == Array(names.prefix(Diagnostics.limit)) && dropped == 1005)
  }
}
