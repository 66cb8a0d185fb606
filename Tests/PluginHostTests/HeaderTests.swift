// The public header: tidy, self-contained, and true to its own examples.

import Compression
import Foundation
import PluginHost
import Testing

@Suite struct HeaderTests {
  static let tags = ["[main-thread]", "[compute-thread]", "[any-thread]"]

  /// Function pointers of the header, with the comment lines above each, or those above a struct that speak of all.
  static func functionPointers(in header: String) -> [(name: String, comment: String)] {
    var found: [(String, String)] = []
    var comment = "", ofAll = ""
    for line in header.split(separator: "\n", omittingEmptySubsequences: false).map({ $0.drop(while: { $0 == " " }) }) {
      if line.hasPrefix("//") {
        comment += line + "\n"
        continue
      }
      if let open = line.firstRange(of: "(*"), line[open.upperBound...].first != ")",
        let close = line[open.upperBound...].firstRange(of: ")(")
      {
        found.append((String(line[open.upperBound..<close.lowerBound]), comment + ofAll))
      }
      if line.hasPrefix("typedef struct") { ofAll = comment.contains("All are [") ? comment : "" }
      if line.hasPrefix("}") { ofAll = "" }
      if line.hasSuffix(";") || line.hasSuffix("{") || line.isEmpty { comment = "" }
    }
    return found
  }

  /// Names of pointers that lack a thread tag. `body` is an argument, whose tag stands in its function's comment.
  static func untagged(in header: String) -> [String] {
    functionPointers(in: header).filter { _, comment in !tags.contains { comment.contains($0) } }.map(\.name)
      .filter { $0 != "body" }
  }

  /// Names of structs whose first field is not `uint32_t struct_size`.
  static func structsWithoutSize(in header: String) -> [String] {
    let lines = header.split(separator: "\n").map { $0.drop { $0 == " " } }.filter { !$0.hasPrefix("//") }
    return lines.indices.dropLast().filter {
      lines[$0].hasPrefix("typedef struct") && !lines[$0 + 1].hasPrefix("uint32_t struct_size;")
    }.map { String(lines[$0]) }
  }

  @Test func everyFunctionPointerSaysWhereItMayBeCalled() throws {
    let header = try Project.header()
    let names = Self.functionPointers(in: header).map(\.name)
    #expect(
      Set(names) == [
        "get_extension", "log", "progress", "cancelled", "parallel_for", "body", "diagnose", "score", "statistics_for",
        "solve", "compensate", "refine", "fit", "gradient", "measure", "allocate", "evaluate", "memory", "compare",
        "judge", "product_f32", "product_f64",
        "cholesky_f32", "cholesky_f64", "cholesky_solve_f32", "cholesky_solve_f64", "cholesky_inverse_f64", "eigen_f32",
        "eigen_f64",
      ])
    #expect(Self.untagged(in: header) == [])
  }

  @Test func everyStructBeginsWithItsSize() throws {
    let header = try Project.header()
    #expect(header.components(separatedBy: "typedef struct").count == 29)
    #expect(Self.structsWithoutSize(in: header) == [])
  }

  @Test func theTidyChecksCanFail() {
    let bad = """
      typedef struct a {
        int x;
        // Without a tag.
        void (*f)(void);
        // [any-thread] With one.
        void (*g)(void);

        void (*h)(void);
      } a;

      // All are [any-thread].
      typedef struct b {
        void (*i)(void);
      } b;
      typedef struct c {
        void (*j)(void);
      } c;
      """
    #expect(Self.untagged(in: bad) == ["f", "h", "j"])
    #expect(
      Self.structsWithoutSize(in: bad) == ["typedef struct a {", "typedef struct b {", "typedef struct c {"])
  }

  @Test func includesNothingButIntegersAndSizes() throws {
    let includes = try Project.header().split(separator: "\n").filter { $0.hasPrefix("#include") }
    #expect(includes == ["#include <stddef.h>", "#include <stdint.h>"])
  }

  @Test(arguments: [
    ["-std=c11", "-x", "c"], ["-std=c17", "-x", "c"], ["-std=c++11", "-x", "c++"], ["-std=c++20", "-x", "c++"],
  ])
  func compilesAlone(flags: [String]) throws {
    let workshop = try Workshop()
    let source = try workshop.write("#include \"espalier_plugin.h\"\n", to: "alone.c")
    try Workshop.run(
      "cc",
      flags + ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-fsyntax-only"]
        + ["-I", Project.protocolFolder.path, source])
  }

  /// The first complete program in a text: the lines from the include on that carry `prefix`.
  static func example(in text: String, prefix: String) throws -> String {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let start = try #require(lines.firstIndex(of: prefix + "#include \"espalier_plugin.h\""))
    let definition = "const espalier_plugin_descriptor espalier_plugin = {"
    let descriptor = try #require(lines[start...].firstIndex(of: prefix + definition))
    let end = try #require(lines[descriptor...].firstIndex(of: prefix + "};"))
    return lines[start...end].map { String($0.dropFirst(prefix.count)) }.joined(separator: "\n")
  }

  @Test func theExampleInTheHeaderWorks() throws {
    let workshop = try Workshop()
    let code = try Self.example(in: Project.header(), prefix: "//     ")
    let registry = PluginRegistry(services: Ear().services)
    let details = try registry.load(path: workshop.compile(code, to: "squares.so"))
    #expect(details.identity.id == "squares")
    #expect(details.selector?.method.statistics == StatisticsNeed.none)
    let sample = Sample(rows: 3, columns: 5)
    let scores = try sample.score(with: registry.selector(id: "squares"), [])
    #expect(scores == sample.weights.map { $0 * $0 })
  }

  @Test func theExampleInTheTutorialWorks() throws {
    let workshop = try Workshop()
    let text = try String(contentsOf: Project.protocolFolder.appending(path: "plugin-abi.md"), encoding: .utf8)
    let code = try Self.example(in: text, prefix: "")
    let path = try workshop.compile(code, to: "mean-activation.so", flags: ["-shared", "-fPIC", "-lm"])
    let registry = PluginRegistry(services: Ear().services)
    let details = try registry.load(path: path)
    #expect(details.selector?.method.statistics == .moments)
    let sample = Sample(rows: 4, columns: 6)
    let moments = try #require(sample.moments)
    let scores = try sample.score(with: registry.selector(id: details.identity.id), [.boolean(false)])
    for (i, score) in scores.enumerated() {
      let expected = abs(Double(sample.weights[i])) * moments.sumOfMagnitudes[i % 6] / Double(moments.tokens)
      #expect(abs(Double(score) - expected) <= 1e-6 * expected)
    }
    let unweighted = try sample.score(with: registry.selector(id: details.identity.id), [.boolean(true)])
    #expect(unweighted[7] == Float(moments.sumOfMagnitudes[1] / Double(moments.tokens)))
  }
}
