// A third party's library that offers every kind that prunes, with a choice of how each behaves.

import Compression
import Foundation
import PluginHost

enum KindSpecimen {
  /// What it does; the words and their order are those of its source.
  enum Behaviour: String, CaseIterable {
    case good, fail, wait, diagnose, nothing, dirty, strange
    case tooMany = "too-many"
    case oneMore = "one-more"
    case infinite, shared, echo
    case inLoop = "in-loop"
    case misuse, algebra, undeclared

    var value: ParameterValue { .choice(index: Self.allCases.firstIndex(of: self) ?? 0, word: rawValue) }
  }

  static let kinds = MethodKind.allCases.filter { !LessonSpecimen.kinds.contains($0) }

  static let source = #"""
    #include "espalier_plugin.h"
    #include <math.h>
    #include <stdio.h>
    #include <string.h>

    enum { GOOD, FAIL, WAIT, DIAGNOSE, NOTHING, DIRTY, STRANGE, TOO_MANY, ONE_MORE, INFINITE, SHARED, ECHO, IN_LOOP,
           MISUSE, ALGEBRA, UNDECLARED };

    #ifndef STATISTICS
    #define STATISTICS 31
    #endif

    // What every kind does alike. Returns -1 to go on.
    static int32_t common(const espalier_host *host, int behaviour, espalier_message *message) {
      if (behaviour == FAIL) return espalier_report(message, ESPALIER_FAILED, "as told");
      if (behaviour == WAIT) {
        while (!host->cancelled(host)) host->progress(host, 0.5, "waiting");
        return ESPALIER_CANCELLED;
      }
      if (behaviour == DIAGNOSE) {
        char text[10000];
        memset(text, 'z', sizeof text);
        text[sizeof text - 1] = '\0';
        host->diagnose(host, ESPALIER_LOG_ERROR, "deadInputs", "a.weight", "three inputs are dead");
        host->diagnose(host, ESPALIER_LOG_WARNING, "not-camel", NULL, "two\nlines \xff");
        host->diagnose(host, ESPALIER_LOG_INFO, NULL, "", NULL);
        host->diagnose(host, 99, text, text, text);
      }
      return -1;
    }

    // Prunes the first ones of every group.
    static void first(const espalier_matrix *matrix, const espalier_budget *budget, uint8_t *kept, int64_t more) {
      const int64_t R = matrix->rows, C = matrix->columns;
      if (budget->pattern_size > 0) {
        for (int64_t i = 0; i < R * C; i++) kept[i] = i % C % budget->pattern_size >= budget->pattern_prune + more;
      } else if (budget->group == ESPALIER_GROUP_ROW) {
        for (int64_t i = 0; i < R * C; i++) kept[i] = i % C >= (int64_t)((double)C * budget->sparsity) + more;
      } else if (budget->group == ESPALIER_GROUP_COLUMN) {
        for (int64_t i = 0; i < R * C; i++) kept[i] = i / C >= (int64_t)((double)R * budget->sparsity) + more;
      } else {
        for (int64_t i = 0; i < R * C; i++) kept[i] = i >= (int64_t)((double)(R * C) * budget->sparsity) + more;
      }
    }

    static int32_t solve(const espalier_host *host, const espalier_problem *const *problems, int64_t count,
                         const double *parameters, espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      for (int64_t p = 0; p < count; p++) {
        const espalier_problem *problem = problems[p];
        const espalier_matrix *matrix = problem->matrix;
        const int64_t size = matrix->rows * matrix->columns;
        for (int64_t i = 0; i < size; i++) {
          if (problem->kept[i] != 1 || problem->weights[i] != matrix->weights[i])
            return espalier_report(message, ESPALIER_FAILED, "the outputs do not begin as promised");
        }
        if (behaviour == SHARED && (matrix->moments != problems[0]->matrix->moments ||
                                    matrix->gram != problems[0]->matrix->gram || matrix->gram == NULL))
          return espalier_report(message, ESPALIER_FAILED, "the statistics are not the same objects");
        if (behaviour == NOTHING) continue;
        first(matrix, problem->budget, problem->kept, behaviour == TOO_MANY ? 2 : behaviour == ONE_MORE ? 1 : 0);
        for (int64_t i = 0; i < size; i++) problem->weights[i] *= 2;
        if (behaviour == DIRTY) problem->weights[0] = NAN;
        if (behaviour == INFINITE) problem->weights[size - 1] = INFINITY;
        if (behaviour == STRANGE) problem->kept[size - 1] = 7;
      }
      return ESPALIER_OK;
    }

    static int32_t compensate(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                              const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                              espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      if (behaviour == ECHO) {
        snprintf(message->text, message->capacity, "budget %d %g %d:%d, kept %d, bias %s",
                 budget == NULL ? -1 : (int)budget->group, budget == NULL ? 0 : budget->sparsity,
                 budget == NULL ? 0 : (int)budget->pattern_prune, budget == NULL ? 0 : (int)budget->pattern_size,
                 (int)kept[1], bias == NULL ? "absent" : "there");
        return ESPALIER_FAILED;
      }
      for (int64_t i = 0; i < matrix->rows * matrix->columns; i++) weights[i] *= 3;
      if (behaviour == DIRTY) weights[0] = NAN;
      if (behaviour == INFINITE) bias[matrix->rows - 1] = -INFINITY;
      else for (int64_t i = 0; i < matrix->rows; i++) bias[i] += (float)i;
      if (behaviour == STRANGE) weights[1] = NAN;
      return ESPALIER_OK;
    }

    static int32_t refine(const espalier_host *host, const espalier_matrix *matrix, const espalier_budget *budget,
                          const float *scores, const double *parameters, uint8_t *kept, espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      if (behaviour == ECHO) {
        snprintf(message->text, message->capacity, "%g, group %d", scores == NULL ? -1.0 : (double)scores[1],
                 (int)budget->group);
        return ESPALIER_FAILED;
      }
      const int64_t R = matrix->rows, C = matrix->columns, group = budget->pattern_size > 0 ? budget->pattern_size : C;
      if (behaviour == STRANGE) kept[2] = 255;
      if (behaviour == TOO_MANY) kept[R * C - 1] ^= 1;
      // Turns every group around; across groups if told to do wrong.
      const int64_t turn = behaviour == SHARED ? C : group;
      if (behaviour != NOTHING) {
        for (int64_t start = 0; start + turn <= R * C; start += turn) {
          for (int64_t i = 0; i < turn / 2; i++) {
            const uint8_t other = kept[start + turn - 1 - i];
            kept[start + turn - 1 - i] = kept[start + i];
            kept[start + i] = other;
          }
        }
      }
      return ESPALIER_OK;
    }

    struct nested { const espalier_host *host; const float *const *weights; float *const *gradients; int32_t status; };
    static int32_t call_gradient(void *context, int64_t index) {
      struct nested *nested = context;
      const espalier_region *region = nested->host->get_extension(nested->host, ESPALIER_REGION);
      double loss;
      (void)index;
      nested->status = region->gradient(nested->host, 0, 1, nested->weights, nested->gradients, &loss);
      return ESPALIER_OK;
    }

    static float room[4][4096];
    static int32_t fit(const espalier_host *host, const espalier_matrix *const *matrices, int64_t count,
                       const uint8_t *const *kept, const double *parameters, float *const *weights,
                       espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      const espalier_region *region = host->get_extension(host, ESPALIER_REGION);
      if (region == NULL) return espalier_report(message, ESPALIER_FAILED, "there is no region");
      float *gradients[] = {room[0], room[1], room[2], room[3]};
      const float *const *current = (const float *const *)weights;
      double loss = 0;
      if (behaviour == IN_LOOP) {
        struct nested nested = {host, current, gradients, -1};
        host->parallel_for(host, 1, call_gradient, &nested);
        snprintf(message->text, message->capacity, "%d", (int)nested.status);
        return ESPALIER_FAILED;
      }
      if (behaviour == MISUSE) {
        float *none[] = {NULL, NULL, NULL, NULL};
        snprintf(message->text, message->capacity, "%d %d %d %d %d %d", (int)region->samples,
                 (int)region->gradient(host, 0, region->samples + 1, current, gradients, &loss),
                 (int)region->gradient(host, -1, 1, current, gradients, &loss),
                 (int)region->gradient(host, 0, 0, current, gradients, &loss),
                 (int)region->gradient(host, INT64_MAX, INT64_MAX, current, gradients, &loss),
                 (int)region->gradient(host, 0, 1, current, none, &loss));
        return ESPALIER_FAILED;
      }
      int32_t result = region->gradient(host, 1, 2, current, gradients, &loss);
      // An error of the host's is not the plugin's to forgive.
      if (behaviour != SHARED && result != ESPALIER_OK) return result;
      for (int64_t m = 0; m < count; m++) {
        const int64_t size = matrices[m]->rows * matrices[m]->columns;
        for (int64_t i = 0; i < size; i++) weights[m][i] = weights[m][i] - gradients[m][i] + (float)loss;
        if (behaviour == DIRTY) for (int64_t i = 0; i < size; i++) if (kept[m][i] == 0) weights[m][i] = NAN;
        if (behaviour == STRANGE) for (int64_t i = 0; i < size; i++) if (kept[m][i] == 1) weights[m][i] = NAN;
      }
      return ESPALIER_OK;
    }

    static int32_t measure(const espalier_host *host, const espalier_matrix *const *matrices, int64_t count,
                           const double *parameters, double *measure, espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      if (behaviour == NOTHING) return ESPALIER_OK;
      *measure = 0;
      for (int64_t m = 0; m < count; m++) *measure += (double)matrices[m]->rows * matrices[m]->moments->sum[0];
      return ESPALIER_OK;
    }

    static int32_t allocate(const espalier_host *host, const espalier_share *const *shares, int64_t count, double total,
                            const double *parameters, double *sparsities, espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      if (behaviour == ECHO) {
        const espalier_share *share = shares[count - 1];
        snprintf(message->text, message->capacity, "%s %d %d %g, %d points, %g %g", share->tensor, (int)share->layer,
                 (int)share->elements, share->measure, (int)share->point_count,
                 share->sparsities == NULL ? -1 : share->sparsities[1], share->losses == NULL ? -1 : share->losses[1]);
        return ESPALIER_FAILED;
      }
      for (int64_t i = 0; i < count; i++) sparsities[i] = total;
      if (behaviour == NOTHING) sparsities[count - 1] = NAN;
      if (behaviour == STRANGE) sparsities[count - 1] = -0.25;
      if (behaviour == TOO_MANY) sparsities[0] += 0.01;
      if (behaviour == ONE_MORE) sparsities[0] += 0.0005;
      return ESPALIER_OK;
    }

    static int32_t score_units(const espalier_host *host, const espalier_units *units, const double *parameters,
                               double *scores, espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      if (behaviour == ECHO) {
        snprintf(message->text, message->capacity,
                 "unit %d layer %d, %d x %d, %d matrices, cosine %g, %d tokens, %g %g",
                 (int)units->unit, (int)units->layer, (int)units->count, (int)units->width, (int)units->matrix_count,
                 units->cosine_sums == NULL ? -1 : units->cosine_sums[1], (int)units->tokens,
                 units->losses_without == NULL ? -1 : units->losses_without[1], units->loss);
        return ESPALIER_FAILED;
      }
      for (int64_t i = 0; i < units->count; i++) {
        scores[i] = units->matrix_count > 0 ? units->matrices[0]->moments->sum[i * units->width]
                                            : units->cosine_sums[i];
        if (behaviour == INFINITE) scores[i] = INFINITY;
      }
      if (behaviour == NOTHING) scores[units->count - 1] = NAN;
      return ESPALIER_OK;
    }

    // What is there of the statistics, as a sum; linear algebra in and out of a loop.
    static int32_t algebra_body(void *context, int64_t index);
    static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
                         float *scores, espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      const int64_t size = matrix->rows * matrix->columns;
      for (int64_t i = 0; i < size; i++) scores[i] = 0;
      if (behaviour == ECHO) {
        snprintf(message->text, message->capacity, "%d%d%d%d%d, %d terms %s %g, means %g, movement %s",
                 matrix->moments != NULL, matrix->gram != NULL, matrix->gram != NULL && matrix->gram->cross != NULL,
                 matrix->gradients != NULL, matrix->regional_gradients != NULL, (int)matrix->term_count,
                 matrix->term_count > 0 ? matrix->terms[0]->name : "",
                 matrix->term_count > 0 ? matrix->terms[0]->scores[1] : 0.0f,
                 matrix->moments != NULL ? matrix->moments->sum_of_squared_means[1] : 0,
                 matrix->gradients != NULL && matrix->gradients->movement != NULL ? "there" : "absent");
        return ESPALIER_FAILED;
      }
      const espalier_linear_algebra *algebra = host->get_extension(host, ESPALIER_LINEAR_ALGEBRA);
      if (behaviour == MISUSE) {
        float f[4] = {4, 0, 0, -4};
        double d[4] = {4, 0, 0, -4}, v[2];
        int64_t pivot = -1;
        const int32_t indefinite = algebra->cholesky_f64(host, 2, d, 2, &pivot);
        snprintf(message->text, message->capacity, "%d %d %d %d at %d, %d %d",
                 (int)algebra->product_f32(host, 0, 0, 0, 1, 1, 1, f, 1, f, 1, 0, scores, 1),
                 (int)algebra->product_f32(host, 2, 0, 1, 1, 1, 1, f, 1, f, 1, 0, scores, 1),
                 (int)algebra->product_f32(host, 0, 0, 1, 1, 1, 1, NULL, 1, f, 1, 0, scores, 1), (int)indefinite,
                 (int)pivot, (int)algebra->eigen_f64(host, 2, d, 1, v),
                 host->get_extension(host, ESPALIER_REGION) != NULL);
        return ESPALIER_FAILED;
      }
      if (behaviour == ALGEBRA) {
        // scores = W W^T W, rows x columns, once as it is and once more in two bodies of a loop, which must agree.
        static float outside[4096], inside[2][4096], square[2][4096];
        struct { const espalier_host *host; const espalier_matrix *matrix; float *square, *out; } jobs[3] = {
          {host, matrix, square[0], outside},
          {host, matrix, square[0], inside[0]},
          {host, matrix, square[1], inside[1]}};
        int32_t result = algebra_body(jobs, 0);
        if (result == ESPALIER_OK) result = host->parallel_for(host, 2, algebra_body, jobs + 1);
        if (result != ESPALIER_OK) return result;
        if (memcmp(outside, inside[0], sizeof(float) * (size_t)size) != 0 ||
            memcmp(outside, inside[1], sizeof(float) * (size_t)size) != 0)
          return espalier_report(message, ESPALIER_FAILED, "the results differ");
        for (int64_t i = 0; i < size; i++) scores[i] = outside[i];
      }
      return ESPALIER_OK;
    }
    static int32_t algebra_body(void *context, int64_t index) {
      struct { const espalier_host *host; const espalier_matrix *matrix; float *square, *out; } *job = context;
      job += index;
      const espalier_host *host = job->host;
      const espalier_linear_algebra *algebra = host->get_extension(host, ESPALIER_LINEAR_ALGEBRA);
      const int64_t R = job->matrix->rows, C = job->matrix->columns;
      int32_t result = algebra->product_f32(host, 0, 1, R, R, C, 1, job->matrix->weights, C, job->matrix->weights, C, 0,
                                            job->square, R);
      if (result != ESPALIER_OK) return result;
      return algebra->product_f32(host, 0, 0, R, C, R, 1, job->square, R, job->matrix->weights, C, 0, job->out, C);
    }

    static uint32_t statistics_for(const double *parameters, int32_t has_dataset) {
      if (parameters[0] == UNDECLARED) return 64;
      if (parameters[0] == SHARED) return ESPALIER_STATISTICS_CROSS_GRAM;
      return has_dataset ? STATISTICS : ESPALIER_STATISTICS_NONE;
    }

    static const char *const words[] = {"good", "fail", "wait", "diagnose", "nothing", "dirty", "strange", "too-many",
                                        "one-more", "infinite", "shared", "echo", "in-loop", "misuse", "algebra",
                                        "undeclared"};
    static const espalier_parameter behaviour = {
      .struct_size = sizeof behaviour, .type = ESPALIER_CHOICE, .name = "behaviour", .summary = "What to do",
      .default_value = GOOD, .minimum = 0, .maximum = 15, .choice_count = 16, .choices = words};
    static const espalier_parameter *const parameters[] = {&behaviour};
    #define PARAMETERS .parameter_count = 1, .parameters = parameters
    static const char *const terms[] = {"reward", "penalty"};

    static const espalier_selector selector = {
      .struct_size = sizeof selector, .statistics = STATISTICS, .default_group = ESPALIER_GROUP_GLOBAL, PARAMETERS,
      .score = score, .statistics_for = statistics_for, .term_count = 2, .terms = terms, .compensator = "kinds"};
    static const espalier_solver solver = {
      .struct_size = sizeof solver, .statistics = ESPALIER_STATISTICS_MOMENTS | ESPALIER_STATISTICS_GRAM,
      .default_group = SOLVER_GROUP, PARAMETERS, .solve = solve};
    static const espalier_compensator compensator = {
      .struct_size = sizeof compensator, .changes_bias = CHANGES_BIAS, PARAMETERS, .compensate = compensate};
    static const espalier_refiner refiner = {.struct_size = sizeof refiner, PARAMETERS, .refine = refine};
    static const espalier_block_compensator block_compensator = {
      .struct_size = sizeof block_compensator, PARAMETERS, .fit = fit};
    static const espalier_allocator allocator = {
      .struct_size = sizeof allocator, .statistics = ESPALIER_STATISTICS_MOMENTS,
      .needs_sensitivity = NEEDS_SENSITIVITY, PARAMETERS, .measure = MEASURE, .allocate = allocate};
    static const espalier_unit_selector unit_selector = {
      .struct_size = sizeof unit_selector, .statistics = ESPALIER_STATISTICS_MOMENTS, .units = UNITS, PARAMETERS,
      .needs_losses = 1, .default_group = UNIT_GROUP, .score = score_units};
    int32_t (*const unused)(const espalier_host *, const espalier_matrix *const *, int64_t, const double *, double *,
                            espalier_message *) = measure;

    static const void *get_extension(const char *id) {
      if (strcmp(id, LEFT_OUT) == 0) return NULL;
      if (strcmp(id, ESPALIER_SELECTOR) == 0) return &selector;
      if (strcmp(id, ESPALIER_SOLVER) == 0) return &solver;
      if (strcmp(id, ESPALIER_COMPENSATOR) == 0) return &compensator;
      if (strcmp(id, ESPALIER_REFINER) == 0) return &refiner;
      if (strcmp(id, ESPALIER_BLOCK_COMPENSATOR) == 0) return &block_compensator;
      if (strcmp(id, ESPALIER_ALLOCATOR) == 0) return &allocator;
      if (strcmp(id, ESPALIER_UNIT_SELECTOR) == 0) return &unit_selector;
      return NULL;
    }

    const espalier_plugin_descriptor espalier_plugin = {
      .struct_size = sizeof espalier_plugin, .abi_major = ESPALIER_ABI_MAJOR, .abi_minor = ESPALIER_ABI_MINOR,
      .id = "kinds", .version = "0.2.0", .summary = "One of each", .get_extension = get_extension};
    """#

  private static let defaults = [
    "SOLVER_GROUP": "ESPALIER_GROUP_ROW", "CHANGES_BIAS": "1", "NEEDS_SENSITIVITY": "0", "MEASURE": "measure",
    "UNITS": "11", "UNIT_GROUP": "ESPALIER_GROUP_GLOBAL", "LEFT_OUT": "\"\"",
  ]

  static func path(
    in workshop: Workshop, _ definitions: [String: String] = [:], includes: String = Project.protocolFolder.path
  ) throws -> String {
    try workshop.compile(
      source, to: "kinds.so", definitions: defaults.merging(definitions) { $1 }, includes: includes)
  }

  /// Loaded once; the file is not needed after that.
  static let registry = Result {
    let registry = PluginRegistry(services: Ear().services)
    let workshop = try Workshop()
    try registry.load(path: path(in: workshop))
    return registry
  }
}
