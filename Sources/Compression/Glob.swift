// Globs over tensor names: * for any characters, ? for one, everything else for itself.

/// A pattern such as `model.layers.*.mlp.*`. A star also crosses dots.
package struct Glob: Sendable, Equatable {
  private let pattern: [UInt8]

  package init(_ pattern: String) { self.pattern = Array(pattern.utf8) }

  /// Those of `names` that one of `globs` matches, in their order.
  /// - Throws: `CompressionError.modulesMatchNothing` if there are no globs, or one matches none.
  static func names(_ names: [String], matching globs: [String]) throws(CompressionError) -> [String] {
    let patterns = globs.map { Glob($0) }
    for (glob, pattern) in zip(globs, patterns) where !names.contains(where: pattern.matches) {
      throw .modulesMatchNothing(globs: [glob], examples: Array(names.prefix(2)))
    }
    guard !globs.isEmpty else { throw .modulesMatchNothing(globs: globs, examples: Array(names.prefix(2))) }
    return names.filter { name in patterns.contains { $0.matches(name) } }
  }

  /// Whether the whole of `name` matches. Linear in the length of the name times that of the pattern.
  package func matches(_ name: String) -> Bool {
    let name = Array(name.utf8)
    var p = 0, n = 0
    var retry: (p: Int, n: Int)?  // after the latest star, and where its match ends so far
    while n < name.count {
      if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
        p += 1
        retry = (p, n)
      } else if p < pattern.count, pattern[p] == name[n] || pattern[p] == UInt8(ascii: "?") {
        p += 1
        n += 1
      } else if let star = retry {
        p = star.p
        n = star.n + 1
        retry = (p, n)
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
