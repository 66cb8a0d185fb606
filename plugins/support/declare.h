// declare.h: how a bundled plugin ends: its parameters, the table of its one method, its descriptor. In long hand all
// of it stands at the end of magnitude.c.
//
//     enum { DAMPING, FINISH };
//
//     static const espalier_parameter *const parameter_list[] = {
//       [DAMPING] = NUMBER("damping", 0.01, 0, 10, "What is added to the diagonal, as a fraction of its mean"),
//       [FINISH] = CHOICE("finish", 0, "Weights at the end", "none", "least-squares"),
//     };
//
//     SOLVER_PLUGIN(
//       "alps", "ALPS: l0-constrained least squares (Meng et al. 2024)", "https://arxiv.org/abs/2406.07831",
//       .statistics = ESPALIER_STATISTICS_GRAM, PARAMETERS(parameter_list), .solve = solve);

#ifndef ESPALIER_SUPPORT_DECLARE_H
#define ESPALIER_SUPPORT_DECLARE_H

#include <string.h>

#include "espalier_plugin.h"

#define COUNT_OF(list) (sizeof(list) / sizeof(list)[0])

// ---------------------------------------------------------------------------------------------------------------------
// Parameters: each is a pointer to a constant, an element of a list.

#define NUMBER(word, standard, least, most, about) \
  RANGED_PARAMETER(ESPALIER_NUMBER, word, standard, least, most, about)
#define INTEGER(word, standard, least, most, about) \
  RANGED_PARAMETER(ESPALIER_INTEGER, word, standard, least, most, about)

// One of the words that follow `about`; `standard` is the index of the default.
#define CHOICE(word, standard, about, ...)                           \
  &(const espalier_parameter) {                                      \
    .struct_size = sizeof(espalier_parameter),                       \
    .type = ESPALIER_CHOICE,                                         \
    .name = word,                                                    \
    .summary = about,                                                \
    .default_value = standard,                                       \
    .minimum = 0,                                                    \
    .maximum = COUNT_OF(((const char *const[]){__VA_ARGS__})) - 1,   \
    .choice_count = COUNT_OF(((const char *const[]){__VA_ARGS__})),  \
    .choices = (const char *const[]){__VA_ARGS__},                   \
  }

// Any text; rewards only.
#define TEXT(word, standard, about)            \
  &(const espalier_parameter) {                \
    .struct_size = sizeof(espalier_parameter), \
    .type = ESPALIER_TEXT,                     \
    .name = word,                              \
    .summary = about,                          \
    .default_text = standard,                  \
  }

// Yes or no.
#define BOOLEAN(word, standard, about) RANGED_PARAMETER(ESPALIER_BOOLEAN, word, standard, 0, 1, about)

#define RANGED_PARAMETER(kind, word, standard, least, most, about) \
  &(const espalier_parameter) {                                    \
    .struct_size = sizeof(espalier_parameter),                     \
    .type = kind,                                                  \
    .name = word,                                                  \
    .summary = about,                                              \
    .default_value = standard,                                     \
    .minimum = least,                                              \
    .maximum = most,                                               \
  }

// The two fields of a method's table that name its parameters; left out if it has none.
#define PARAMETERS(list) .parameter_count = COUNT_OF(list), .parameters = list

// ---------------------------------------------------------------------------------------------------------------------
// The plugin: id, summary, a link or NULL, then the fields of the method's table in espalier_plugin.h.

#define SELECTOR_PLUGIN(...) PLUGIN_OF(espalier_selector, ESPALIER_SELECTOR, __VA_ARGS__)
#define UNIT_SELECTOR_PLUGIN(...) PLUGIN_OF(espalier_unit_selector, ESPALIER_UNIT_SELECTOR, __VA_ARGS__)
#define SOLVER_PLUGIN(...) PLUGIN_OF(espalier_solver, ESPALIER_SOLVER, __VA_ARGS__)
#define COMPENSATOR_PLUGIN(...) PLUGIN_OF(espalier_compensator, ESPALIER_COMPENSATOR, __VA_ARGS__)
#define BLOCK_COMPENSATOR_PLUGIN(...) PLUGIN_OF(espalier_block_compensator, ESPALIER_BLOCK_COMPENSATOR, __VA_ARGS__)
#define REFINER_PLUGIN(...) PLUGIN_OF(espalier_refiner, ESPALIER_REFINER, __VA_ARGS__)
#define ALLOCATOR_PLUGIN(...) PLUGIN_OF(espalier_allocator, ESPALIER_ALLOCATOR, __VA_ARGS__)
#define OBJECTIVE_PLUGIN(...) PLUGIN_OF(espalier_objective, ESPALIER_OBJECTIVE, __VA_ARGS__)
#define FEATURE_OBJECTIVE_PLUGIN(...) \
  PLUGIN_OF(espalier_feature_objective, ESPALIER_FEATURE_OBJECTIVE, __VA_ARGS__)
#define REWARD_PLUGIN(...) PLUGIN_OF(espalier_reward, ESPALIER_REWARD, __VA_ARGS__)

#define PLUGIN_OF(table, extension, word, about, link, ...)                       \
  static const table method = {.struct_size = sizeof(table), __VA_ARGS__};        \
                                                                                  \
  static const void *get_extension(const char *id) {                              \
    return strcmp(id, extension) == 0 ? &method : NULL;                           \
  }                                                                               \
                                                                                  \
  const espalier_plugin_descriptor espalier_plugin = {                            \
    .struct_size = sizeof(espalier_plugin_descriptor),                            \
    .abi_major = ESPALIER_ABI_MAJOR,                                              \
    .abi_minor = ESPALIER_ABI_MINOR,                                              \
    .id = word,                                                                   \
    .version = "1.0.0",                                                           \
    .summary = about,                                                             \
    .vendor = "Espalier",                                                         \
    .licence = "Apache-2.0",                                                      \
    .url = link,                                                                  \
    .get_extension = get_extension,                                               \
  }

#endif
