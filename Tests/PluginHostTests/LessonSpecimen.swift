// A third party's library of an objective, a feature objective and a reward, with a choice of how each behaves.

import Compression
import PluginHost

enum LessonSpecimen {
  /// What it does; the words and their order are those of its source.
  enum Behaviour: String, CaseIterable {
    case good, fail, wait, nothing
    case nanLoss = "nan-loss"
    case infiniteLoss = "infinite-loss"
    case nanInside = "nan-inside"
    case infiniteInside = "infinite-inside"
    case echo, loop, diagnose
    case badMemory = "bad-memory"
    case hugeMemory = "huge-memory"

    var value: ParameterValue { .choice(index: Self.allCases.firstIndex(of: self) ?? 0, word: rawValue) }
  }

  static let kinds: [MethodKind] = [.objective, .featureObjective, .reward]

  static let source = #"""
    #include "espalier_plugin.h"
    #include <math.h>
    #include <stdio.h>
    #include <string.h>

    enum { GOOD, FAIL, WAIT, NOTHING, NAN_LOSS, INFINITE_LOSS, NAN_INSIDE, INFINITE_INSIDE, ECHO, LOOP, DIAGNOSE,
           BAD_MEMORY, HUGE_MEMORY };

    static int32_t body(void *context, int64_t index) {
      (void)context, (void)index;
      return ESPALIER_OK;
    }

    // What every kind does alike. Returns -1 to go on.
    static int32_t common(const espalier_host *host, int behaviour, espalier_message *message) {
      if (behaviour == FAIL) return espalier_report(message, ESPALIER_FAILED, "as told");
      if (behaviour == NOTHING) return ESPALIER_OK;
      if (behaviour == WAIT) {
        while (!host->cancelled(host)) host->progress(host, 0.5, "waiting");
        return ESPALIER_CANCELLED;
      }
      if (behaviour == LOOP) {
        snprintf(message->text, message->capacity, "a loop gives %d", (int)host->parallel_for(host, 1, body, NULL));
        return ESPALIER_FAILED;
      }
      if (behaviour == DIAGNOSE) host->diagnose(host, ESPALIER_LOG_WARNING, "strangeToken", NULL, "a strange token");
      return -1;
    }

    static double loss_of(int behaviour) {
      return behaviour == NAN_LOSS ? NAN : behaviour == INFINITE_LOSS ? INFINITY : 2.5;
    }
    static void spoil(int behaviour, float *values, int64_t count) {
      if (behaviour == NAN_INSIDE) values[count / 2] = NAN;
      if (behaviour == INFINITE_INSIDE) values[count / 2] = -INFINITY;
    }

    static int32_t evaluate(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                            double *loss, float *gradient, espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      if (behaviour == ECHO) {
        snprintf(message->text, message->capacity, "%d of %d, seed %d, q %g %g, p %g %g, factor %g",
                 (int)prediction->target, (int)prediction->vocabulary, (int)prediction->seed,
                 prediction->student_log[1], prediction->student[1],
                 prediction->teacher_log == NULL ? -1 : prediction->teacher_log[1],
                 prediction->teacher == NULL ? -1 : prediction->teacher[1], parameters[1]);
        return ESPALIER_FAILED;
      }
      *loss = loss_of(behaviour);
      for (int64_t i = 0; i < prediction->vocabulary; i++) gradient[i] = (float)i;
      spoil(behaviour, gradient, prediction->vocabulary);
      return ESPALIER_OK;
    }

    static int64_t memory(const double *parameters, int64_t student_width, int64_t teacher_width) {
      if (parameters[0] == BAD_MEMORY) return -1;
      if (parameters[0] == HUGE_MEMORY) return ((int64_t)1 << 28) + 1;
      return 10 * student_width + teacher_width;
    }

    static int32_t compare(const espalier_host *host, const espalier_features *features, const double *parameters,
                           double *loss, float *gradient, espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      int64_t rows = 0;
      for (int64_t s = 0; s < features->sequences; s++) rows += features->lengths[s];
      if (behaviour == ECHO) {
        snprintf(message->text, message->capacity,
                 "%d sequences, %d rows, %d | %d in %d heads, %g %g %d%d, seed %d, %d", (int)features->sequences,
                 (int)rows, (int)features->student_width, (int)features->teacher_width, (int)features->heads,
                 features->student[1], features->teacher[1], features->counted[0], features->counted[1],
                 (int)features->seed, (int)features->memory_count);
        return ESPALIER_FAILED;
      }
      *loss = loss_of(behaviour);
      for (int64_t i = 0; i < rows * features->student_width; i++) gradient[i] = 3 * features->student[i];
      spoil(behaviour, gradient, rows * features->student_width);
      for (int64_t i = 0; i < features->memory_count; i++) features->memory[i] += 1;
      if (parameters[1] == 0 && features->memory_count > 0) features->memory[1] = NAN;
      return ESPALIER_OK;
    }

    static int32_t judge(const espalier_host *host, const espalier_completion *completion, const double *parameters,
                         double *reward, espalier_message *message) {
      const int behaviour = (int)parameters[0];
      const int32_t status = common(host, behaviour, message);
      if (status >= 0) return status;
      if (behaviour == ECHO) {
        snprintf(message->text, message->capacity, "%s|%s|%s|%d%d|%g|%s|%s|%d%d", completion->prompt,
                 completion->completion, completion->answer == NULL ? "none" : completion->answer,
                 (int)completion->tokens, (int)completion->ended, completion->teacher_log_likelihood,
                 completion->texts[(int)parameters[2]], completion->texts[(int)parameters[3]], (int)parameters[2],
                 (int)parameters[3]);
        return ESPALIER_FAILED;
      }
      *reward = loss_of(behaviour);
      return ESPALIER_OK;
    }

    static const char *const words[] = {"good", "fail", "wait", "nothing", "nan-loss", "infinite-loss", "nan-inside",
                                        "infinite-inside", "echo", "loop", "diagnose", "bad-memory", "huge-memory"};
    static const espalier_parameter behaviour = {
      .struct_size = sizeof behaviour, .type = ESPALIER_CHOICE, .name = "behaviour", .summary = "What to do",
      .default_value = GOOD, .minimum = 0, .maximum = 12, .choice_count = 13, .choices = words};
    static const espalier_parameter factor = {
      .struct_size = sizeof factor, .type = ESPALIER_NUMBER, .name = "factor", .summary = "A number",
      .default_value = 1, .minimum = 0, .maximum = 2};
    static const espalier_parameter pattern = {
      .struct_size = sizeof pattern, .type = ESPALIER_TEXT, .name = "pattern", .summary = "A text",
      .default_text = DEFAULT_TEXT, TEXT_MORE};
    static const espalier_parameter word = {
      .struct_size = sizeof word, .type = ESPALIER_TEXT, .name = "word", .summary = "Another", .default_text = ""};
    const espalier_parameter *const plain[] = {&behaviour, &factor, FACTOR_TWICE};
    static const espalier_parameter *const texts[] = {&behaviour, &factor, &pattern, &word};

    static const espalier_objective objective = {
      .struct_size = OBJECTIVE_SIZE, .needs_teacher = NEEDS_TEACHER, .fixed_temperature = FIXED_TEMPERATURE,
      .parameter_count = PLAIN_COUNT, .parameters = PLAIN, .evaluate = EVALUATE};
    static const espalier_feature_objective feature_objective = {
      .struct_size = sizeof feature_objective, .per_sequence = PER_SEQUENCE, .same_width = SAME_WIDTH,
      .parameter_count = 2, .parameters = plain, .memory = MEMORY, .compare = COMPARE};
    static const espalier_reward reward = {
      .struct_size = sizeof reward, .needs_teacher = NEEDS_TEACHER, .needs_answer = NEEDS_ANSWER,
      .parameter_count = 4, .parameters = texts, .judge = JUDGE};
    int64_t (*const memories)(const double *, int64_t, int64_t) = memory;
    int32_t (*const uses[])(void *, int64_t) = {body};
    int32_t (*const evaluates)(const espalier_host *, const espalier_prediction *, const double *, double *, float *,
                               espalier_message *) = evaluate;
    int32_t (*const compares)(const espalier_host *, const espalier_features *, const double *, double *, float *,
                              espalier_message *) = compare;
    int32_t (*const judges)(const espalier_host *, const espalier_completion *, const double *, double *,
                            espalier_message *) = judge;

    static const void *get_extension(const char *id) {
      if (strcmp(id, ESPALIER_OBJECTIVE) == 0) return &objective;
      if (strcmp(id, ESPALIER_FEATURE_OBJECTIVE) == 0) return &feature_objective;
      if (strcmp(id, ESPALIER_REWARD) == 0) return &reward;
      return NULL;
    }

    const espalier_plugin_descriptor espalier_plugin = {
      .struct_size = sizeof espalier_plugin, .abi_major = ESPALIER_ABI_MAJOR, .abi_minor = ESPALIER_ABI_MINOR,
      .id = "lessons", .version = "0.3.0", .summary = "Losses and rewards", .get_extension = get_extension};
    """#

  private static let defaults = [
    "DEFAULT_TEXT": "\"a+\"", "TEXT_MORE": ".choice_count=0", "FACTOR_TWICE": "NULL",
    "OBJECTIVE_SIZE": "sizeof objective", "NEEDS_TEACHER": "1", "FIXED_TEMPERATURE": "0", "PLAIN_COUNT": "2",
    "PLAIN": "plain", "EVALUATE": "evaluate", "PER_SEQUENCE": "1", "SAME_WIDTH": "0", "MEMORY": "memory",
    "COMPARE": "compare", "NEEDS_ANSWER": "0", "JUDGE": "judge",
  ]

  static func path(in workshop: Workshop, _ definitions: [String: String] = [:]) throws -> String {
    try workshop.compile(
      source, to: "lessons.so", definitions: defaults.merging(definitions) { $1 })
  }

  private static func loaded(_ definitions: [String: String]) -> Result<PluginRegistry, any Error> {
    Result {
      let registry = PluginRegistry(services: Ear().services)
      let workshop = try Workshop()
      try registry.load(path: path(in: workshop, definitions))
      return registry
    }
  }

  /// Loaded once; the file is not needed after that.
  static let registry = loaded([:])
  /// One that asks for less of its teacher and more of everything else.
  static let other = loaded([
    "NEEDS_TEACHER": "0", "FIXED_TEMPERATURE": "1", "PER_SEQUENCE": "0", "SAME_WIDTH": "1", "MEMORY": "NULL",
    "NEEDS_ANSWER": "1",
  ])
}
