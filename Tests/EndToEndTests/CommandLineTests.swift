// The other subcommands, and what scripts rely on: standard output and exit codes.

import Foundation
import JSON
import Testing

@Suite(.enabled(if: Program.isBuilt, "espalier is not built"))
struct CommandLineTests {
  @Test(
    arguments: [
      (["--version"], 0), (["--help"], 0), (["help", "quickstart"], 0), (["bogus"], 2), (["--bogus"], 2),
      (["serve", "--threads", "0"], 2), (["serve", "--max-body-bytes", "10"], 2),
      (["serve", "--clientProcessId", "-1"], 2), (["quickstart", "--ratios", "1.5"], 2),
      (["quickstart", "--ratios", "half"], 2), (["quickstart", "--model", "/no/such/folder"], 2),
      (["generate", "To be", "--max-tokens", "3"], 0), (["generate"], 2), (["generate", "a", "--top-p", "2"], 1),
      (["generate", "a", "--model", "/no/such/folder"], 1), (["generate", "a", "--temperature", "hot"], 2),
      (["call"], 2), (["call", "{}"], 2), (["call", "server/status", "{"], 2),
      (["call", "server/status", "[1]", "[2]"], 2),
      (["call", "server/status"], 0), (["call", "no/such"], 1),
      (["call", "--load", "/no/such/folder", "server/status"], 1), (["plugin", "list"], 0), (["plugin"], 0),
    ] as [([String], Int32)])
  func exitCodes(_ arguments: [String], expected: Int32) throws {
    let (code, output, errors) = try Program.run(arguments)
    #expect(code == expected)
    #expect(output.isEmpty == (expected != 0), "results go to standard output, complaints do not")
    #expect(errors.isEmpty == (expected == 0), "\(errors)")
  }

  @Test func callPrintsResultsAndErrors() throws {
    let good = try Program.run(["call", "server/status", "-", "model/list"], input: "{}")
    let results = good.output.components(separatedBy: "\n}\n").filter { !$0.isEmpty }
    #expect(results.count == 2)
    #expect(try JSON.parse(results[0] + "\n}")["processId"]?.integer != nil)
    #expect(try JSON.parse(results[1] + "\n}") == ["models": []])

    let bad = try Program.run(["call", "model/describe", #"{"model": "none"}"#])
    #expect(try JSON.parse(bad.errors)["data"]?["kind"] == "modelNotFound")
  }

  @Test func pluginsAreListed() throws {
    let list = try JSON.parse(try Program.run(["plugin", "list", "--json"]).output)
    let names = list["plugins"]?.array?.compactMap { $0["plugin"]?.string } ?? []
    #expect(Set(names).isSuperset(of: ["magnitude", "wanda"]))
    #expect(try Program.run(["plugin", "list"]).output.contains("wanda"))
  }

  @Test func generatedTextFollowsThePrompt() throws {
    let arguments = ["generate", "To be, or not", "--max-tokens", "12"]
    let plain = try Program.run(arguments).output
    let result = try JSON.parse(try Program.run(arguments + ["--json"]).output)
    #expect(plain == "To be, or not" + (result["text"]?.string ?? "?") + "\n")
    #expect(result["tokens"]?.array?.count == 12)
  }

  @Test func quickstart() throws {
    let (code, output, errors) = try Program.run(
      ["quickstart", "--ratios", "0.5", "--sequences", "4", "--sequence-length", "64", "--teach", "3", "--json"])
    #expect(code == 0, "\(errors)")
    let report = try JSON.parse(output)
    #expect(report["restored"] == true)
    let rows = report["rows"]?.array ?? []
    #expect(
      rows.compactMap { $0["method"]?.string } == [
        "dense", "magnitude", "wanda", "wanda, layer by layer", "wanda, taught 3 steps", "after every undo",
      ])
    #expect(rows[2]["sparsity"] == rows[4]["sparsity"] && rows[2]["perplexity"] != rows[4]["perplexity"])
    #expect(rows.first?["perplexity"] == rows.last?["perplexity"])
    for row in rows.dropFirst().dropLast() {
      #expect(abs((row["sparsity"]?.number ?? 0) - 0.5) < 0.01)
      #expect((row["perplexity"]?.number ?? 0) > (rows[0]["perplexity"]?.number ?? .infinity))
    }
    #expect(errors.split(separator: "\n").count == 11, "a line for each step")
  }
}
