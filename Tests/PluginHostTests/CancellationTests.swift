// Work of a plugin that no parallel loop of the host cuts into short pieces: it must ask for cancellation by itself.

import Foundation
import PluginHost
import Testing

@Suite struct CancellationTests {
  /// Calls a plugin with a large matrix on a host whose loops run every body, and prints the status. `cancelled` says 1
  /// throughout (`always`), or in the bodies of loops alone (`inBodies`).
  static let caller = #"""
    #include "espalier_plugin.h"
    #include <dlfcn.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>

    enum { ROWS = 1100, COLUMNS = 1024 };  // more than 2^20 weights

    static int always, in_body;
    static int32_t cancelled(const espalier_host *host) { (void)host; return always || in_body; }
    static int32_t parallel_for(const espalier_host *host, int64_t count, int32_t (*body)(void *, int64_t),
                                void *context) {
      (void)host;
      int32_t status = ESPALIER_OK;
      for (int64_t i = 0; i < count && status == ESPALIER_OK; i++) {
        in_body = 1;
        status = body(context, i);
        in_body = 0;
      }
      return status;
    }
    static void progress(const espalier_host *host, double fraction, const char *text) {
      (void)host, (void)fraction, (void)text;
    }
    static void diagnose(const espalier_host *host, int32_t level, const char *kind, const char *tensor,
                         const char *text) {
      (void)host, (void)level, (void)kind, (void)tensor, (void)text;
    }

    // Not what they say, but numbers: it is not about the result.
    static int32_t cholesky(const espalier_host *host, int64_t n, double *a, int64_t lda, int64_t *pivot) {
      (void)host, (void)n, (void)a, (void)lda, (void)pivot;
      return ESPALIER_OK;
    }
    static int32_t product(const espalier_host *host, int32_t transpose_a, int32_t transpose_b, int64_t m, int64_t n,
                           int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                           float *c, int64_t ldc) {
      (void)host, (void)transpose_a, (void)transpose_b, (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)lda;
      (void)b, (void)ldb, (void)beta, (void)c, (void)ldc;
      return ESPALIER_OK;
    }
    static int32_t inverse(const espalier_host *host, int64_t n, double *l, int64_t lda) {
      (void)host, (void)n, (void)l, (void)lda;
      return ESPALIER_OK;
    }
    static const espalier_linear_algebra algebra = {
      .struct_size = sizeof algebra, .product_f32 = product, .cholesky_f64 = cholesky,
      .cholesky_inverse_f64 = inverse};
    static int32_t gradient(const espalier_host *host, int64_t first, int64_t count, const float *const *weights,
                            float *const *gradients, double *loss) {
      (void)host, (void)first, (void)count, (void)weights, (void)gradients;
      *loss = 1;
      return ESPALIER_OK;
    }
    static const espalier_region region = {.struct_size = sizeof region, .samples = 1, .gradient = gradient};
    static const void *get_extension(const espalier_host *host, const char *id) {
      (void)host;
      if (strcmp(id, ESPALIER_REGION) == 0) return &region;
      return strcmp(id, ESPALIER_LINEAR_ALGEBRA) == 0 ? &algebra : NULL;
    }
    static const espalier_host host = {
      .struct_size = sizeof host, .abi_major = ESPALIER_ABI_MAJOR, .abi_minor = ESPALIER_ABI_MINOR,
      .get_extension = get_extension, .progress = progress, .cancelled = cancelled, .parallel_for = parallel_for,
      .diagnose = diagnose};

    static float weights[ROWS * COLUMNS], changed[ROWS * COLUMNS], products[COLUMNS * COLUMNS];
    static double ones[COLUMNS], twos[COLUMNS], parameters[64];
    static uint8_t kept[ROWS * COLUMNS];
    static char text[256];
    static espalier_message message = {.struct_size = sizeof message, .text = text, .capacity = sizeof text};

    // The default of each parameter.
    static void set(uint32_t count, const espalier_parameter *const *list) {
      for (uint32_t i = 0; i < count; i++) parameters[i] = list[i]->default_value;
    }

    int main(int argc, char **argv) {
      void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
      if (library == NULL) return 1;
      const espalier_plugin_descriptor *plugin = dlsym(library, "espalier_plugin");
      always = strcmp(argv[2], "always") == 0;
      for (int64_t i = 0; i < ROWS * COLUMNS; i++) weights[i] = changed[i] = 1, kept[i] = i % 2 == 0;
      for (int64_t i = 0; i < COLUMNS; i++) ones[i] = 1, twos[i] = 2, products[i * (COLUMNS + 1)] = 1;
      const espalier_moments moments = {
        .struct_size = sizeof moments, .sequences = 1, .tokens = 1, .count = COLUMNS, .sum = ones,
        .sum_of_squares = twos, .sum_of_magnitudes = ones, .sum_of_squared_means = ones};
      const espalier_gram gram = {
        .struct_size = sizeof gram, .sequences = 1, .tokens = 1, .count = COLUMNS, .products = products};
      const espalier_matrix matrix = {
        .struct_size = sizeof matrix, .tensor = "it", .rows = ROWS, .columns = COLUMNS, .weights = weights,
        .moments = &moments, .gram = &gram};
      const espalier_matrix *const matrices[] = {&matrix};
      const espalier_budget budget = {.struct_size = sizeof budget, .sparsity = 0.5};
      int32_t status = -1;

      const espalier_compensator *compensator = plugin->get_extension(ESPALIER_COMPENSATOR);
      if (compensator != NULL) {
        set(compensator->parameter_count, compensator->parameters);
        status = compensator->compensate(&host, &matrix, kept, &budget, parameters, changed, NULL, &message);
      }
      const espalier_refiner *refiner = plugin->get_extension(ESPALIER_REFINER);
      if (refiner != NULL) {
        set(refiner->parameter_count, refiner->parameters);
        status = refiner->refine(&host, &matrix, &budget, NULL, parameters, kept, &message);
      }
      const espalier_solver *solver = plugin->get_extension(ESPALIER_SOLVER);
      if (solver != NULL) {
        const espalier_problem problem = {
          .struct_size = sizeof problem, .matrix = &matrix, .budget = &budget, .kept = kept, .weights = changed};
        const espalier_problem *const problems[] = {&problem};
        set(solver->parameter_count, solver->parameters);
        status = solver->solve(&host, problems, 1, parameters, &message);
      }
      const espalier_block_compensator *block = plugin->get_extension(ESPALIER_BLOCK_COMPENSATOR);
      if (block != NULL) {
        const uint8_t *const masks[] = {kept};
        float *const results[] = {changed};
        set(block->parameter_count, block->parameters);
        status = block->fit(&host, matrices, 1, masks, parameters, results, &message);
      }
      printf("%d", (int)status);
      return 0;
    }
    """#

  @Test(arguments: [
    ("uniform-move", "always"), ("dsnot", "inBodies"), ("regional-fit", "inBodies"), ("sparsegpt", "inBodies"),
    ("sparsegpt", "always"), ("admm", "always"), ("alps", "always"), ("gram-swap", "always"),
    ("least-squares", "always"),
  ])
  func longWorkAsksForCancellation(id: String, when: String) throws {
    let workshop = try Workshop()
    let caller = try workshop.compile(Self.caller, to: "caller", flags: [])
    let status = try Workshop.run(caller, [BundledPluginTests.registry().describe(id: id).path, when])
    #expect(status == "1", "\(id) did not return ESPALIER_CANCELLED")
  }

  /// Where nothing is cancelled the same call succeeds: a program that always says 1 would prove nothing.
  @Test func whatIsNotCancelledGoesOn() throws {
    let workshop = try Workshop()
    let caller = try workshop.compile(Self.caller, to: "caller", flags: [])
    let status = try Workshop.run(caller, [BundledPluginTests.registry().describe(id: "uniform-move").path, "inBodies"])
    #expect(status == "0")
  }
}
