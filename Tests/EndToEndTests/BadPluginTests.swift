// Plugins that misbehave in the ways that a host can survive: the request fails in words, the daemon does not.

import Foundation
import JSON
import JSONRPC
import PipeClient
import TestSupport
import Testing

@Suite(.enabled(if: Program.isBuilt, "espalier is not built"))
struct BadPluginTests {
  /// The body of `score`, which is to write `scores[0 ..< count]`.
  private static func source(_ body: String) -> String {
    """
    #define _GNU_SOURCE
    #include "espalier_plugin.h"
    #include <math.h>
    #include <stdio.h>
    #include <string.h>
    #include <unistd.h>
    static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                         float *scores, espalier_message *message) {
      (void)host, (void)parameters, (void)message;
      int64_t count = matrix->rows * matrix->columns;
      for (int64_t i = 0; i < count; i++) scores[i] = fabsf(matrix->weights[i]);
      \(body)
      return ESPALIER_OK;
    }
    static const espalier_selector selector = {.struct_size = sizeof selector, .score = score};
    static const void *get_extension(const char *id) { return strcmp(id, ESPALIER_SELECTOR) ? NULL : &selector; }
    const espalier_plugin_descriptor espalier_plugin = {
      .struct_size = sizeof espalier_plugin, .abi_major = 1, .id = "bad", .version = "1", .summary = "bad",
      .get_extension = get_extension};
    """
  }

  /// A daemon with a tiny model and the plugin `bad`.
  private static func daemon(_ body: String, in folder: TemporaryFolder) throws -> Client {
    let code = folder.write("bad.c", Array(source(body).utf8))
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    compiler.arguments = [
      "cc", "-shared", "-fPIC", "-O1", "-I", "\(Repository.root)/protocol", "-o", folder.file("bad.so"), code, "-lm",
    ]
    try compiler.run()
    compiler.waitUntilExit()
    try #require(compiler.terminationStatus == 0)
    let client = try Client(starting: Program.command([]))
    try client.initialize()
    _ = try client.call("model/load", ["source": JSON(Patient.model), "name": "tiny"], within: 60)
    _ = try client.call("plugin/load", ["path": JSON(folder.file("bad.so"))], within: 60)
    return client
  }

  @Test(arguments: [
    ("scores[count - 1] = NAN;", "nonFiniteScores"),
    (#"return espalier_report(message, ESPALIER_FAILED, "I will not");"#, "pluginFailed"),
    ("return 99;", "pluginFailed"), ("return ESPALIER_CANCELLED;", "pluginFailed"),
    ("memset(message->text, 'A', message->capacity); return ESPALIER_FAILED;", "pluginFailed"),
    (#"printf("Content-Length: 2\r\n\r\n{}"); fflush(stdout); write(1, "x", 1); scores[0] = NAN;"#, "nonFiniteScores"),
    (#"for (int i = 0; i < 5000; i++) host->log(host, 1, "\xff"); return 7;"#, "pluginFailed"),
    ("host->progress(host, NAN, NULL); host->progress(host, -9, \"\\xff\"); return 7;", "pluginFailed"),
  ])
  func misbehaviour(body: String, kind: String) throws {
    let folder = TemporaryFolder()
    let client = try Self.daemon(body, in: folder)
    #expect(try client.refusal("importance/score", ["model": "tiny", "plugin": "bad"]) == .failed(kind))
    #expect(
      try client.refusal("prune/run", ["model": "tiny", "plugin": "bad", "sparsity": 0.5]) == .failed(kind))
    let log = try client.call("revision/log", ["model": "tiny"], within: 60)
    #expect(log["current"] == "r0" && log["revisions"]?.array?.count == 1)
    #expect(try client.call("importance/list", within: 60)["scores"] == [])
    #expect(try client.end(within: 30) == .exited(0))
  }

  /// It sleeps and never asks whether to stop: others are served meanwhile, and the end does not wait for it.
  @Test func sleepsThroughItsCancellation() throws {
    let folder = TemporaryFolder()
    let client = try Self.daemon("sleep(600);", in: folder)
    let call = try client.start("importance/score", ["model": "tiny", "plugin": "bad"])
    while try client.call("job/list", within: 60)["jobs"]?.array?.first?["message"]?.string?.hasPrefix("scoring") != true {}
    call.cancel()
    #expect(try client.call("server/status", within: 60)["jobs"]?.integer == 1)
    let start = Date()
    _ = try client.call("shutdown", within: 60)
    try client.notify("exit")
    let error = #expect(throws: PipeClientError.self) { _ = try call.result(within: 60) }
    #expect(error?.kind == "shuttingDown" || error?.kind == "cancelled")
    #expect(client.process?.wait(within: 60) == .exited(0))
    #expect(Date().timeIntervalSince(start) < 120)
  }
}
