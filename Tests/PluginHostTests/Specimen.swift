// A third party's plugin in plain C, with a parameter that chooses how it behaves and macros that spoil its descriptor.

import Compression
import Foundation
import PluginHost
import Synchronization
import Tensors

enum Specimen {
  /// What `behaviour` makes the specimen do; raw values as in its source.
  enum Behaviour: Int64 {
    case scale = 0
    case fail, fillMessage, overrunMessage, unknownStatus, writeNaN, writeNothing, waitForCancel, cancelUnasked
    case nestLoops, misuseLoops, printToStdout, talk, ignoreCancelledLoop, failInBody, countCalls, echo, failSilently
    case failNoisily
  }

  static let source = #"""
    #include "espalier_plugin.h"
    #include <math.h>
    #include <stdio.h>
    #include <string.h>

    #ifndef ID
    #define ID "specimen"
    #endif
    #ifndef VERSION
    #define VERSION "0.1.0"
    #endif
    #ifndef SUMMARY
    #define SUMMARY "Does what it is told"
    #endif
    #ifndef VENDOR
    #define VENDOR "Some One"
    #endif
    #ifndef MAJOR
    #define MAJOR ESPALIER_ABI_MAJOR
    #endif
    #ifndef MINOR
    #define MINOR ESPALIER_ABI_MINOR
    #endif
    #ifndef STRUCT_SIZE
    #define STRUCT_SIZE sizeof(espalier_plugin_descriptor)
    #endif
    #ifndef EXTENSION
    #define EXTENSION ESPALIER_SELECTOR
    #endif
    #ifndef GET_EXTENSION
    #define GET_EXTENSION get_extension
    #endif
    #ifndef SELECTOR_SIZE
    #define SELECTOR_SIZE sizeof(espalier_selector)
    #endif
    #ifndef STATISTICS
    #define STATISTICS ESPALIER_STATISTICS_MOMENTS
    #endif
    #ifndef GROUP
    #define GROUP ESPALIER_GROUP_COLUMN
    #endif
    #ifndef PARAMETER_COUNT
    #define PARAMETER_COUNT 3
    #endif
    #ifndef PARAMETERS
    #define PARAMETERS parameter_list
    #endif
    #ifndef SCORE
    #define SCORE score
    #endif
    #ifndef MORE
    #define MORE .parameters = PARAMETERS
    #endif
    #ifndef AMOUNT
    #define AMOUNT .type = ESPALIER_NUMBER, .name = "amount", .summary = "Factor", .default_value = 1, .minimum = -2, \
                   .maximum = 2.5
    #endif

    struct job { const espalier_host *host; const float *weights; float *scores; float factor; };

    static int32_t scale(void *context, int64_t i) {
      struct job *job = context;
      job->scores[i] = job->factor * job->weights[i];
      return ESPALIER_OK;
    }
    static int32_t count(void *context, int64_t i) {
      struct job *job = context;
      job->scores[i] += 1;
      return ESPALIER_OK;
    }
    static int32_t nest(void *context, int64_t i) {
      struct job *job = context;
      (void)i;
      return job->host->parallel_for(job->host, 1, scale, job);
    }
    static int32_t fail_at_5(void *context, int64_t i) {
      (void)context;
      return i == 5 ? 42 : ESPALIER_OK;
    }

    static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                         float *scores, espalier_message *message) {
      const int64_t size = matrix->rows * matrix->columns;
      struct job job = {host, matrix->weights, scores, (float)(parameters[2] != 0 ? -parameters[1] : parameters[1])};
      switch ((int)parameters[0]) {
        case 0: return host->parallel_for(host, size, scale, &job);
        case 1: return espalier_report(message, ESPALIER_FAILED, "the moon is full");
        case 2: memset(message->text, 'x', message->capacity); return ESPALIER_OUT_OF_MEMORY;
        case 3: memset(message->text, 'x', message->capacity + 8); return ESPALIER_FAILED;
        case 4: return 77;
        case 5: for (int64_t i = 0; i < size; i++) scores[i] = NAN; return ESPALIER_OK;
        case 6: return ESPALIER_OK;
        case 7: while (!host->cancelled(host)) host->progress(host, 0.5, "waiting"); return ESPALIER_CANCELLED;
        case 8: return ESPALIER_CANCELLED;
        case 9: {
          int32_t status = host->parallel_for(host, 3, nest, &job);
          snprintf(message->text, message->capacity, "nested loops gave %d", (int)status);
          return ESPALIER_FAILED;
        }
        case 10:
          snprintf(message->text, message->capacity, "%d %d %d",
                   (int)host->parallel_for(host, -1, scale, &job), (int)host->parallel_for(host, 1, NULL, &job),
                   (int)host->parallel_for(host, 0, scale, &job));
          return ESPALIER_FAILED;
        case 11:
          printf("Content-Length: 2\r\n\r\n{}");
          fflush(stdout);
          return host->parallel_for(host, size, scale, &job);
        case 12: {
          char text[10000];
          memset(text, 'y', sizeof text);
          text[sizeof text - 1] = '\0';
          for (int32_t level = 1; level <= 5; level++) host->log(host, level, "line");
          host->log(host, ESPALIER_LOG_INFO, text);
          host->log(host, ESPALIER_LOG_INFO, "bad \xff byte\nsecond line");
          host->log(host, ESPALIER_LOG_INFO, NULL);
          host->progress(host, -1, "below");
          host->progress(host, 0.25, NULL);
          host->progress(host, NAN, "never");
          host->progress(host, 7, "above");
          return host->parallel_for(host, size, scale, &job);
        }
        case 13: host->parallel_for(host, size, scale, &job); return ESPALIER_OK;
        case 14: {
          int32_t status = host->parallel_for(host, size, fail_at_5, &job);
          snprintf(message->text, message->capacity, "the body said %d", (int)status);
          return ESPALIER_FAILED;
        }
        case 15:
          for (int64_t i = 0; i < size; i++) scores[i] = 0;
          return host->parallel_for(host, size, count, &job);
        case 16:
          snprintf(message->text, message->capacity,
                   "%s layer %d, %d x %d; %d sequences, %d tokens, %d inputs, sums %g %g %g; sizes %d %d %d %d; "
                   "host %d.%d, extension %s", matrix->tensor, (int)matrix->layer, (int)matrix->rows,
                   (int)matrix->columns, (int)matrix->moments->sequences, (int)matrix->moments->tokens,
                   (int)matrix->moments->count, matrix->moments->sum[1], matrix->moments->sum_of_squares[1],
                   matrix->moments->sum_of_magnitudes[1], host->struct_size == sizeof *host,
                   matrix->struct_size == sizeof *matrix, matrix->moments->struct_size == sizeof *matrix->moments,
                   message->struct_size == sizeof *message, (int)host->abi_major, (int)host->abi_minor,
                   host->get_extension(host, "espalier.nothing/1") == NULL ? "absent" : "present");
          return ESPALIER_FAILED;
        case 17: return ESPALIER_FAILED;
        case 18: return espalier_report(message, ESPALIER_INVALID_ARGUMENT, "one\ntwo \xc3\x28 three\x1b[31m");
        default: return espalier_report(message, ESPALIER_INVALID_ARGUMENT, "no such behaviour");
      }
    }

    static const espalier_parameter behaviour = {
      .struct_size = sizeof(espalier_parameter), .type = ESPALIER_INTEGER, .name = "behaviour",
      .summary = "What to do", .default_value = 0, .minimum = 0, .maximum = 100};
    static const espalier_parameter amount = {.struct_size = sizeof(espalier_parameter), AMOUNT};
    static const espalier_parameter negate = {
      .struct_size = sizeof(espalier_parameter), .type = ESPALIER_BOOLEAN, .name = "negate",
      .summary = "Turns the sign", .default_value = 0, .minimum = 0, .maximum = 1};
    const espalier_parameter *const parameter_list[] = {&behaviour, &amount, &negate, NULL};

    const espalier_selector selector = {
      .struct_size = SELECTOR_SIZE, .statistics = STATISTICS, .default_group = GROUP,
      .parameter_count = PARAMETER_COUNT, .score = SCORE, MORE};

    const void *get_extension(const char *id) { return strcmp(id, EXTENSION) == 0 ? &selector : NULL; }

    int32_t (*const unused)(const espalier_host *, const espalier_matrix *, const double *, float *,
                            espalier_message *) = score;

    const espalier_plugin_descriptor espalier_plugin = {
      .struct_size = STRUCT_SIZE, .abi_major = MAJOR, .abi_minor = MINOR, .id = ID, .version = VERSION,
      .summary = SUMMARY, .vendor = VENDOR, .licence = "MIT", .get_extension = GET_EXTENSION};
    """#

  static func parameters(
    _ behaviour: Behaviour, amount: Double = 1, negate: Bool = false
  ) -> [ParameterValue] {
    [.integer(behaviour.rawValue), .number(amount), .boolean(negate)]
  }
}

/// Services that remember what they were told.
final class Ear: Sendable {
  struct Line: Equatable {
    let level: PluginServices.LogLevel
    let plugin: String
    let message: String
  }
  private let heard = Mutex<[Line]>([])
  var lines: [Line] { heard.withLock { $0 } }

  var services: PluginServices {
    PluginServices(
      log: { level, plugin, message in
        self.heard.withLock { $0.append(Line(level: level, plugin: plugin, message: message)) }
      },
      parallelFor: { count, body in DispatchQueue.concurrentPerform(iterations: count, execute: body) },
      linearAlgebra: PluginServices.algebra)
  }
}

extension PluginServices {
  private static let pool = ComputePool(threads: 2)
  static let algebra: @Sendable () throws(BLASError) -> LinearAlgebra = { () throws(BLASError) in
    try LinearAlgebra(pool: pool)
  }

  /// One thread, which does the last index first.
  static let backwards = PluginServices(
    log: { _, _, _ in }, parallelFor: { count, body in (0..<count).reversed().forEach(body) },
    linearAlgebra: algebra)

  /// One thread, and every loop finds itself cancelled when it begins.
  static func cancelling(_ cancellation: Cancellation) -> PluginServices {
    PluginServices(
      log: { _, _, _ in },
      parallelFor: { count, body in
        cancellation.cancel()
        (0..<count).forEach(body)
      },
      linearAlgebra: algebra)
  }
}

/// A matrix with statistics, owned, and a call on it.
struct Sample {
  var tensor = "model.layers.3.mlp.down_proj.weight"
  var layer: Int? = 3
  var rows: Int
  var columns: Int
  var weights: [Float]
  var moments: Moments?
  /// Those besides the moments.
  var statistics = MatrixStatistics()
  var terms: [(name: String, scores: ScoreMatrix)] = []

  /// Weights of both signs and several magnitudes, some of them 0; moments of as many inputs.
  init(rows: Int, columns: Int, seed: UInt64 = 1) {
    var state = seed
    func next() -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(state >> 11) * 0x1p-53
    }
    self.rows = rows
    self.columns = columns
    weights = (0..<rows * columns).map { $0 % 17 == 5 ? 0 : Float((next() - 0.5) * 4) }
    var moments = Moments(inputs: columns)
    moments.sequences = 7
    moments.tokens = 7 * 64
    for j in 0..<columns {
      moments.sum[j] = next() - 0.5
      moments.sumOfSquares[j] = j % 11 == 3 ? 0 : next() * next() * 1000
      moments.sumOfMagnitudes[j] = next() * 100
      moments.sumOfSquaredMeans[j] = next() * 10
    }
    self.moments = moments
  }

  func score(
    with selector: any Selector, _ parameters: [ParameterValue], monitor: Monitor = Monitor(),
    diagnostics: Diagnostics = Diagnostics(), scoreCount: Int? = nil
  ) throws -> [Float] {
    var scores = [Float](repeating: -1, count: scoreCount ?? weights.count)
    try withInput { input in
      try scores.withUnsafeMutableBufferPointer {
        try selector.score(input, parameters: parameters, into: $0, monitor: monitor, diagnostics: diagnostics)
      }
    }
    return scores
  }

  /// The sample as methods see it.
  func withInput<Result>(_ body: (MatrixInput) throws -> Result) rethrows -> Result {
    try weights.withUnsafeBufferPointer { weights in
      var statistics = statistics
      statistics.input.moments = moments
      return try body(
        MatrixInput(
          tensor: tensor, layer: layer, rows: rows, columns: columns, weights: weights, statistics: statistics,
          terms: terms))
    }
  }
}

extension PluginDetails {
  /// Its selector; a plugin without one has nothing to do in these tests.
  var selector: SelectorDescription? {
    methods.compactMap { if case .selector(let description) = $0 { description } else { nil } }.first
  }
}
