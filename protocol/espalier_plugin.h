// espalier_plugin.h: the plugin ABI of Espalier, version 1.2.
// SPDX-License-Identifier: Apache-2.0
//
// A plugin is a shared library that brings methods of the field to Espalier, one for each extension that it offers:
//
//   selector          scores of weights: a pruning criterion        unit-selector     scores of heads, neurons, layers
//   solver            masks and new weights together                compensator       new weights under a given mask
//   block-compensator new weights of a whole block                  refiner           a better mask than a given one
//   allocator         how much each tensor is to lose
//   objective         a distillation loss on next tokens     feature-objective a distillation loss on hidden states
//   reward            how good a sampled text is
//
// This header is all it needs: C11 or C++11, nothing to link, nothing else to include. It refuses to be a toolkit: there
// are no allocators, containers or macros that hide code; the linear algebra that methods share is the host's
// (ESPALIER_LINEAR_ALGEBRA). `plugin-abi.md` beside it has the tutorial.
//
// A complete plugin, compiled with `cc -std=c11 -O2 -fPIC -shared -fvisibility=hidden -o squares.so squares.c`:
//
//     #include "espalier_plugin.h"
//     #include <string.h>
//
//     // Score of a weight: its square.
//     static int32_t score(const espalier_host *host, const espalier_matrix *matrix, const double *parameters,
//                          float *scores, espalier_message *message) {
//       (void)parameters, (void)message;
//       for (int64_t row = 0; row < matrix->rows; row++) {
//         if (host->cancelled(host)) return ESPALIER_CANCELLED;
//         for (int64_t i = row * matrix->columns; i < (row + 1) * matrix->columns; i++)
//           scores[i] = matrix->weights[i] * matrix->weights[i];
//       }
//       return ESPALIER_OK;
//     }
//
//     static const espalier_selector selector = {
//       .struct_size = sizeof(espalier_selector),
//       .statistics = ESPALIER_STATISTICS_NONE,
//       .default_group = ESPALIER_GROUP_MATRIX,
//       .score = score,
//     };
//
//     static const void *get_extension(const char *id) {
//       return strcmp(id, ESPALIER_SELECTOR) == 0 ? &selector : NULL;
//     }
//
//     const espalier_plugin_descriptor espalier_plugin = {
//       .struct_size = sizeof(espalier_plugin_descriptor),
//       .abi_major = ESPALIER_ABI_MAJOR,
//       .abi_minor = ESPALIER_ABI_MINOR,
//       .id = "squares",
//       .version = "1.0.0",
//       .summary = "Score of a weight: its square",
//       .get_extension = get_extension,
//     };
//
// THREADS. Every function says in brackets where it may be called:
//   [main-thread]     on the thread that loads the plugin; such calls never overlap, and must return at once
//   [compute-thread]  on a thread of the host that is made for long work; calls on several of them may overlap
//   [any-thread]      on any thread, several at a time
// A plugin therefore keeps no mutable state outside the arguments of a call, or guards it itself.
//
// MEMORY. Every pointer says whose it is:
//   [plugin-owned]    constant data of the library; valid and unchanging until the process ends
//   [host-owned]      the host's; valid until the call that received it returns, then not to be touched
// Nobody frees what another allocated; nothing here needs freeing. Text is UTF-8 and ends with a zero byte.
// Pointers are never NULL unless they say so. No function may throw, longjmp or exit through the other side.
//
// RESULTS. Calls return an int32_t status. One that is not ESPALIER_OK leaves its outputs without meaning, and its
// message (see espalier_message) is what the person at the other end reads.
//
// GROWTH. Within major version 1 structs only grow at their end; a field never moves or changes its meaning. Every
// struct begins with `struct_size`, the size that its maker knew, so either side can tell which fields are there: see
// ESPALIER_HAS. Structs are therefore always passed by pointer, and lists of them as lists of pointers. What does not
// fit a new field becomes an extension, asked for by a text id that ends in its revision: "espalier.selector/1".
// Fields are fixed-width integers, doubles and pointers; how enums, bool and bit fields lie is up to each compiler.

#ifndef ESPALIER_PLUGIN_H
#define ESPALIER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A host loads plugins of its own major version whose minor version it has reached.
#define ESPALIER_ABI_MAJOR 1
#define ESPALIER_ABI_MINOR 2

// True if the struct at `pointer`, of type `type`, was made by someone who knew `field`. Fields of version 1.0 are
// always there. Example: `if (ESPALIER_HAS(espalier_host, host, parallel_for)) ...`
#define ESPALIER_HAS(type, pointer, field) \
  ((pointer)->struct_size >= offsetof(type, field) + sizeof((pointer)->field))

// ---------------------------------------------------------------------------------------------------------------------
// Statuses and messages

#define ESPALIER_OK 0                // done; all outputs are written
#define ESPALIER_CANCELLED 1         // stopped because `cancelled` said so, or parallel_for returned this
#define ESPALIER_INVALID_ARGUMENT 2  // these inputs or parameters cannot be worked with
#define ESPALIER_FAILED 3            // anything else
#define ESPALIER_OUT_OF_MEMORY 4

// Room for one line of text that says why a call did not succeed: what was given, what was expected, what to do.
// A host-owned buffer instead of a returned string, so that nobody has to free anything, even after running out of
// memory. On entry `text` is empty; it is read only if the status is not ESPALIER_OK.
typedef struct espalier_message {
  uint32_t struct_size;
  uint32_t reserved;  // 0
  char *text;         // [host-owned] `capacity` bytes to write to, the ending zero included
  size_t capacity;    // at least 256; snprintf(message->text, message->capacity, ...) is made for it
} espalier_message;

// Copies `text` into `message`, cut where the room ends, and returns `status`. [any-thread]
// Example: `return espalier_report(message, ESPALIER_INVALID_ARGUMENT, "the moments are missing");`
static inline int32_t espalier_report(espalier_message *message, int32_t status, const char *text) {
  size_t i = 0;
  if (message->capacity == 0) return status;
  for (; i + 1 < message->capacity && text[i] != '\0'; i++) message->text[i] = text[i];
  message->text[i] = '\0';
  return status;
}

// ---------------------------------------------------------------------------------------------------------------------
// What the host gives

// The levels of espalier_host.log, numbered as in the Language Server Protocol.
#define ESPALIER_LOG_ERROR 1
#define ESPALIER_LOG_WARNING 2
#define ESPALIER_LOG_INFO 3
#define ESPALIER_LOG_DEBUG 4

// The host as one call sees it. [host-owned]: it belongs to the call that received it and dies with it, so that what is
// logged or reported can be traced to the request behind it.
typedef struct espalier_host {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;  // 0
  void *context;      // [host-owned] the host's private matter; may be NULL

  // [any-thread] The host's extension of that id, or NULL if it has none: ESPALIER_LINEAR_ALGEBRA always, since 1.1;
  // ESPALIER_REGION in calls of a block compensator. The result is [host-owned] and lives as long as `host`.
  // `id` is read before the call returns.
  const void *(*get_extension)(const struct espalier_host *host, const char *id);

  // [any-thread] Adds a line to the daemon's log. `level` is one of ESPALIER_LOG_...; at most 4096 bytes of `text`
  // are used, and it is read before the call returns. stdout is not for plugins: the protocol lives there.
  void (*log)(const struct espalier_host *host, int32_t level, const char *text);

  // [any-thread] Says that `fraction` (0...1) of this call's work is done. `text` may be NULL, and is read before the
  // call returns. The host passes on as much as the client wants to see; ten times a second is plenty.
  void (*progress)(const struct espalier_host *host, double fraction, const char *text);

  // [any-thread] 1 once the client has asked to stop, else 0; never goes back to 0. Costs a few nanoseconds. To be
  // asked at least every 50 ms of work; when it says 1, return ESPALIER_CANCELLED as soon as possible.
  int32_t (*cancelled)(const struct espalier_host *host);

  // [compute-thread] Calls body(context, i) exactly once for each i in 0 ..< count, on several compute threads at a
  // time and in no particular order, and returns when all are done. To be called on the thread that received `host`;
  // not inside a body: a loop inside a loop returns ESPALIER_INVALID_ARGUMENT, as do a negative count and a NULL body.
  //
  // `body` is a [compute-thread] function. If it returns anything but ESPALIER_OK, no further bodies start and
  // parallel_for returns that status (of several, one). The host asks `cancelled` before every body, stops likewise and
  // returns ESPALIER_CANCELLED; so a body needs to ask itself only if it takes longer than 50 ms.
  // `context` is the plugin's own and may be NULL. Bodies that write disjoint memory need no locks.
  int32_t (*parallel_for)(const struct espalier_host *host, int64_t count,
                          int32_t (*body)(void *context, int64_t index), void *context);

  // Since 1.1. [any-thread] Tells the person at the other end of something that they should know although the call
  // succeeds: it becomes a diagnostic of the answer. Never fall back in silence: say it here.
  //   level   ESPALIER_LOG_ERROR, _WARNING or _INFO
  //   kind    camelCase word for programs: "deadInputs", "dampingRaised"
  //   tensor  the tensor that it is about; NULL for the whole call
  //   text    one line: what was found, and what was done about it
  // All text is read before the call returns; at most 4096 bytes of it are used.
  void (*diagnose)(const struct espalier_host *host, int32_t level, const char *kind, const char *tensor,
                   const char *text);
} espalier_host;

// ---------------------------------------------------------------------------------------------------------------------
// What a plugin is

// The plugin's identity: the type of the one symbol that a plugin exports, `espalier_plugin`. A constant and not a
// function, so that the host can read its first three fields from the file and refuse a library that was built for
// another ABI before any of its code, its constructors included, has run. They must be plain constants for that.
typedef struct espalier_plugin_descriptor {
  uint32_t struct_size;
  uint32_t abi_major;  // ESPALIER_ABI_MAJOR
  uint32_t abi_minor;  // the oldest minor version of a host that will do: ESPALIER_ABI_MINOR, or less if the plugin
                       // looks (ESPALIER_HAS) before it uses what is newer
  uint32_t reserved;   // 0

  // All text is [plugin-owned].
  const char *id;       // kebab-case word of the field, at most 64 bytes, unique among plugins: "activation-norm"
  const char *version;  // of the plugin, at most 64 bytes: "1.2.0"
  const char *summary;  // one line, at most 1024 bytes: what it computes, and whose method it is
  const char *vendor;   // at most 256 bytes, or NULL
  const char *licence;  // SPDX expression, at most 256 bytes, or NULL
  const char *url;      // where to read more, at most 1024 bytes, or NULL

  // [main-thread] What the plugin gives under an extension id, or NULL if it does not know the id. The result is
  // [plugin-owned] and the same at every call; its type is the one that this header names for the id. `id` is
  // [host-owned]. Called after the checks above and before anything else; must not compute, allocate or print.
  const void *(*get_extension)(const char *id);
} espalier_plugin_descriptor;

// The symbol goes out of the library even under -fvisibility=hidden; nothing else should.
#if defined(__GNUC__)
#define ESPALIER_EXPORT __attribute__((visibility("default")))
#else
#define ESPALIER_EXPORT
#endif

extern ESPALIER_EXPORT const espalier_plugin_descriptor espalier_plugin;

// ---------------------------------------------------------------------------------------------------------------------
// Parameters: what a person can set. The host checks every value against its description before it calls.

#define ESPALIER_NUMBER 0
#define ESPALIER_INTEGER 1  // a whole number of at most 2^53, which a double holds exactly
#define ESPALIER_BOOLEAN 2  // 0 or 1
#define ESPALIER_CHOICE 3   // since 1.1: one of a few words; travels as its index into `choices`
#define ESPALIER_TEXT 4     // since 1.2, rewards only: travels as its index into espalier_completion.texts

// One parameter. Values of all types travel as doubles: one plain array instead of tagged unions.
typedef struct espalier_parameter {
  uint32_t struct_size;
  int32_t type;         // ESPALIER_NUMBER, _INTEGER, _BOOLEAN or _CHOICE
  const char *name;     // [plugin-owned] camelCase, at most 64 bytes, unique within the plugin: "normExponent"
  const char *summary;  // [plugin-owned] one line, at most 1024 bytes
  double default_value;
  double minimum;       // minimum <= default_value <= maximum, all finite; 0 and 1 for a boolean; 0 and the last index
  double maximum;       // for a choice
  // Since 1.1.
  uint32_t choice_count;       // 2...32 for a choice, else 0
  uint32_t reserved;           // 0
  const char *const *choices;  // [plugin-owned] `choice_count` kebab-case words of at most 64 bytes; NULL if none
  // Since 1.2.
  const char *default_text;    // [plugin-owned] of a text, at most 1024 bytes; its three numbers above are 0. Else NULL
} espalier_parameter;

// ---------------------------------------------------------------------------------------------------------------------
// The selector: a pruning criterion. It gives one score per weight and never a mask: the host makes masks from scores,
// so that a new ratio, group or N:M pattern never calls the plugin again.

#define ESPALIER_SELECTOR "espalier.selector/1"

// Statistics that a method can ask for, added up. The host computes them once for all plugins.
#define ESPALIER_STATISTICS_NONE 0
#define ESPALIER_STATISTICS_MOMENTS 1              // espalier_matrix.moments
// Since 1.1:
#define ESPALIER_STATISTICS_GRAM 2                 // espalier_matrix.gram
#define ESPALIER_STATISTICS_CROSS_GRAM 4           // espalier_gram.cross; brings the Gram matrix along
#define ESPALIER_STATISTICS_GRADIENTS 8            // espalier_matrix.gradients, of the model's loss
#define ESPALIER_STATISTICS_REGIONAL_GRADIENTS 16  // espalier_matrix.regional_gradients, of a block's output

// Within which weights scores compete, unless the client says otherwise.
#define ESPALIER_GROUP_MATRIX 0  // the whole tensor
#define ESPALIER_GROUP_ROW 1     // each row (output) by itself
#define ESPALIER_GROUP_COLUMN 2  // each column (input) by itself
#define ESPALIER_GROUP_GLOBAL 3  // all chosen tensors together

// Moments of the inputs x of a linear map y = W x, over all tokens of a calibration dataset. [host-owned]
// Accumulated in double. Sums rather than means, so that any mean can be had: over tokens, or over sequences.
typedef struct espalier_moments {
  uint32_t struct_size;
  uint32_t reserved;                // 0
  int64_t sequences;                // at least 1
  int64_t tokens;                   // at least `sequences`
  int64_t count;                    // elements of each array below: the matrix's columns
  const double *sum;                // [host-owned] sum over tokens of x
  const double *sum_of_squares;     // [host-owned] sum over tokens of x^2
  const double *sum_of_magnitudes;  // [host-owned] sum over tokens of |x|
  // Since 1.1.
  const double *sum_of_squared_means;  // [host-owned] sum over sequences of (mean over the sequence's tokens of |x|)^2
} espalier_moments;

// Since 1.1. Second moments of the inputs x of a linear map, over the same tokens as its moments. [host-owned]
typedef struct espalier_gram {
  uint32_t struct_size;
  uint32_t reserved;      // 0
  int64_t sequences;
  int64_t tokens;
  int64_t count;          // inputs: the matrix's columns
  const float *products;  // [host-owned] count x count, symmetric: sum over tokens of x x^T
  // [host-owned] count x count: sum over tokens of z x^T, where z is what the same input was before anything was pruned;
  // NULL unless asked for. W z is what the map used to say, so the best W' on all inputs x is W cross products^-1.
  const float *cross;
} espalier_gram;

// Since 1.1. Gradients of a loss in a weight matrix, one for each calibration sequence. [host-owned]
// Of the model (`gradients`): the loss is the mean cross-entropy of the sequence's next tokens, weights are those of the
// revision that is scored. Of a region (`regional_gradients`): the loss is ||f(X)||_2, the norm of the output of the
// tensor's block for the sequence X that enters it. (Yang et al. 2025, arXiv 2503.04992, section 4.1)
typedef struct espalier_gradients {
  uint32_t struct_size;
  uint32_t reserved;            // 0
  int64_t samples;              // sequences
  int64_t steps;                // training steps that the weights took meanwhile; 0 if they stayed
  const float *sum;             // [host-owned] rows x columns: sum over sequences of g
  const float *sum_of_squares;  // [host-owned] rows x columns: sum over sequences of g^2
  // [host-owned] rows x columns: sum over steps of w_t g_t if the weights were trained, else NULL: it is w * sum then.
  const float *movement;
} espalier_gradients;

// Since 1.1. Scores of the same tensor from elsewhere, as a selector that combines criteria asks for them. [host-owned]
typedef struct espalier_term {
  uint32_t struct_size;
  uint32_t reserved;    // 0
  const char *name;     // [host-owned] one of espalier_selector.terms: "reward"
  const float *scores;  // [host-owned] rows x columns
} espalier_term;

// One weight matrix. [host-owned]
typedef struct espalier_matrix {
  uint32_t struct_size;
  uint32_t reserved;                // 0
  const char *tensor;               // [host-owned] name in the checkpoint: "model.layers.0.mlp.down_proj.weight"
  int64_t layer;                    // index of the transformer layer, -1 for a tensor outside the layers
  int64_t rows;                     // outputs of the linear map, at least 1
  int64_t columns;                  // inputs of the linear map, at least 1; rows * columns fits an int64_t
  const float *weights;             // [host-owned] rows x columns, row-major, contiguous; pruned weights are 0
  const espalier_moments *moments;  // [host-owned] NULL unless the method asked for them
  // Since 1.1. Each NULL unless asked for.
  const espalier_gram *gram;                     // [host-owned]
  const espalier_gradients *gradients;           // [host-owned]
  const espalier_gradients *regional_gradients;  // [host-owned]
  const espalier_term *const *terms;             // [host-owned] those of espalier_selector.terms that the client gave
  int64_t term_count;
} espalier_matrix;

// The extension ESPALIER_SELECTOR of a plugin. [plugin-owned]
typedef struct espalier_selector {
  uint32_t struct_size;
  uint32_t statistics;                          // sum of ESPALIER_STATISTICS_...
  int32_t default_group;                        // ESPALIER_GROUP_...: the one that the method was published with
  uint32_t parameter_count;                     // at most 64
  const espalier_parameter *const *parameters;  // [plugin-owned] `parameter_count` pointers; NULL if there are none

  // [compute-thread] Writes one score per weight to `scores`; the higher, the more worth keeping.
  //   host        [host-owned] services, for this call only
  //   matrix      [host-owned] what to score
  //   parameters  [host-owned] one value per described parameter, in that order and within its bounds; NULL if none
  //   scores      [host-owned] rows x columns floats, row-major; overlaps nothing. Every one must be written: the host
  //               hands the array over full of NaN, and refuses a NaN in the result. Infinities are scores.
  //   message     [host-owned] for the reason, if the status is not ESPALIER_OK
  // Same matrix and parameters, same bits, on any number of threads. Calls for different matrices may overlap.
  int32_t (*score)(const espalier_host *host, const espalier_matrix *matrix, const double *parameters, float *scores,
                   espalier_message *message);

  // Since 1.1.
  // [any-thread] Which statistics these parameters really need, of those in `statistics`, which is what they may need
  // at most. `has_dataset` is 1 if the client gave calibration data: a method that can do without may then ask for
  // none. NULL: always all of `statistics`. Must be pure.
  uint32_t (*statistics_for)(const double *parameters, int32_t has_dataset);
  uint32_t term_count;             // at most 8
  uint32_t rounds;                 // with a compensator: how often prune/run scores and compensates on its way to the
                                   // sparsity, at most 64; 0 means once
  const char *const *terms;        // [plugin-owned] names of scores that clients may add, camelCase; NULL if none
  const char *compensator;         // [plugin-owned] id of the plugin that the method was published with for new
                                   // weights, used by prune/run unless the client says otherwise; NULL: none
} espalier_selector;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.1. How much to prune of one matrix: a fraction within groups, or N of every M.

typedef struct espalier_budget {
  uint32_t struct_size;
  int32_t group;          // ESPALIER_GROUP_MATRIX, _ROW or _COLUMN; without meaning for a pattern
  double sparsity;        // 0...1: floor(n * sparsity) weights of each group of n; 0 for a pattern
  int64_t pattern_prune;  // N of every M consecutive weights of a row; both 0 for a fraction
  int64_t pattern_size;   // M; divides the columns
  uint32_t round;         // where a method is called in rounds that choose the mask anew: how many came before,
  uint32_t rounds_left;   // and how many follow; both 0 if there is one only
} espalier_budget;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.1. The solver: chooses masks and new weights together.

#define ESPALIER_SOLVER "espalier.solver/1"

// One matrix to solve.
typedef struct espalier_problem {
  uint32_t struct_size;
  uint32_t reserved;              // 0
  const espalier_matrix *matrix;  // [host-owned] with the statistics that the solver asked for
  const espalier_budget *budget;  // [host-owned]
  uint8_t *kept;                  // [host-owned] rows x columns: 1 to keep a weight, 0 to prune it. All 1 on entry.
  float *weights;                 // [host-owned] rows x columns: the new weights. On entry a copy of the matrix's.
} espalier_problem;

// The extension ESPALIER_SOLVER of a plugin. [plugin-owned]
typedef struct espalier_solver {
  uint32_t struct_size;
  uint32_t statistics;                          // sum of ESPALIER_STATISTICS_...
  int32_t default_group;                        // ESPALIER_GROUP_...
  uint32_t parameter_count;                     // at most 64
  const espalier_parameter *const *parameters;  // [plugin-owned]

  // [compute-thread] Solves matrices that share one input: the maps of queries, keys and values, or of gate and up. Their
  // moments and Gram matrices are the same objects, so what is derived from them is needed once.
  //   problems  [host-owned] `count` of them, at least 1; `kept` and `weights` of each are the outputs
  // The host sets pruned weights to 0 and refuses weights that are not finite, a group of a pattern that loses fewer or
  // more than N, and a budget that is missed, counted over the whole matrix, by more than one weight in a thousand or,
  // where that is more, one for each group: a row, a column, or 128 columns of a matrix that is one group.
  int32_t (*solve)(const espalier_host *host, const espalier_problem *const *problems, int64_t count,
                   const double *parameters, espalier_message *message);
} espalier_solver;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.1. The compensator: new weights for a mask that is given.

#define ESPALIER_COMPENSATOR "espalier.compensator/1"

// The extension ESPALIER_COMPENSATOR of a plugin. [plugin-owned]
typedef struct espalier_compensator {
  uint32_t struct_size;
  uint32_t statistics;                          // sum of ESPALIER_STATISTICS_...
  uint32_t parameter_count;                     // at most 64
  uint32_t changes_bias;                        // 1 if `bias` is written
  const espalier_parameter *const *parameters;  // [plugin-owned]

  // [compute-thread] Moves what pruned weights carried to others.
  //   matrix   [host-owned] the weights before the mask
  //   kept     [host-owned] rows x columns: 1 for kept weights, 0 for pruned ones
  //   budget   [host-owned] what made the mask, where a method moves within its groups; NULL if the mask was given
  //   weights  [host-owned] rows x columns: new values of kept weights go here. On entry the matrix's, or what the
  //            method itself gave in an earlier round: a place to start from; 0 where pruned. What is written there
  //            counts between rounds only: what the weight would be if it were restored. Not finite counts as 0
  //   bias     [host-owned] rows: what is to be added to the map's bias, 0 on entry; NULL unless `changes_bias`
  int32_t (*compensate)(const espalier_host *host, const espalier_matrix *matrix, const uint8_t *kept,
                        const espalier_budget *budget, const double *parameters, float *weights, float *bias,
                        espalier_message *message);
} espalier_compensator;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.1. The refiner: a better mask with as many kept weights in each row.

#define ESPALIER_REFINER "espalier.refiner/1"

// The extension ESPALIER_REFINER of a plugin. [plugin-owned]
typedef struct espalier_refiner {
  uint32_t struct_size;
  uint32_t statistics;                          // sum of ESPALIER_STATISTICS_...
  uint32_t parameter_count;                     // at most 64
  uint32_t reserved;                            // 0
  const espalier_parameter *const *parameters;  // [plugin-owned]

  // [compute-thread] Exchanges kept and pruned weights within rows, or within the groups of a pattern.
  //   scores  [host-owned] rows x columns: those that the mask was made from; NULL if it was made otherwise
  //   kept    [host-owned] rows x columns: the mask, changed in place
  int32_t (*refine)(const espalier_host *host, const espalier_matrix *matrix, const espalier_budget *budget,
                    const float *scores, const double *parameters, uint8_t *kept, espalier_message *message);
} espalier_refiner;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.1. The block compensator: new weights for all matrices of a block together, by the output of the block.

#define ESPALIER_BLOCK_COMPENSATOR "espalier.block-compensator/1"

// The extension ESPALIER_BLOCK_COMPENSATOR of a plugin. [plugin-owned]
typedef struct espalier_block_compensator {
  uint32_t struct_size;
  uint32_t parameter_count;                     // at most 64
  const espalier_parameter *const *parameters;  // [plugin-owned]

  // [compute-thread] Fits the kept weights of a block, with the host's extension ESPALIER_REGION at hand.
  //   matrices  [host-owned] `count` of them: the weights as they are now, pruned ones 0
  //   kept      [host-owned] for each matrix rows x columns
  //   weights   [host-owned] for each matrix rows x columns: on entry a copy of the matrix's; the new ones go here
  int32_t (*fit)(const espalier_host *host, const espalier_matrix *const *matrices, int64_t count,
                 const uint8_t *const *kept, const double *parameters, float *const *weights,
                 espalier_message *message);
} espalier_block_compensator;

// An extension of the host, in calls of `fit`. [host-owned]
#define ESPALIER_REGION "espalier.region/1"

typedef struct espalier_region {
  uint32_t struct_size;
  uint32_t reserved;  // 0
  int64_t samples;    // calibration sequences

  // [compute-thread] For sequences first ..< first + count: the mean over all elements of the block's output of the
  // squared difference between the block with `weights` and the block before pruning, each on its own inputs, and the
  // gradients of it. `weights` and `gradients` have an array of rows x columns for each matrix of the call, in its
  // order; gradients are overwritten. Not inside a parallel_for.
  int32_t (*gradient)(const espalier_host *host, int64_t first, int64_t count, const float *const *weights,
                      float *const *gradients, double *loss);
} espalier_region;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.1. The allocator: how much each tensor loses for a total.

#define ESPALIER_ALLOCATOR "espalier.allocator/1"

// A tensor that takes its part of the total.
typedef struct espalier_share {
  uint32_t struct_size;
  uint32_t reserved;        // 0
  const char *tensor;       // [host-owned]
  int64_t layer;
  int64_t elements;
  double measure;           // what `measure` said of the tensor's layer; 0 without `measure`
  // What the client measured of the tensor's layer with evaluate/sensitivity: the loss at ascending sparsities, the
  // first of them 0. [host-owned] `point_count` each; NULL unless there are any.
  int64_t point_count;
  const double *sparsities;
  const double *losses;
} espalier_share;

// The extension ESPALIER_ALLOCATOR of a plugin. [plugin-owned]
typedef struct espalier_allocator {
  uint32_t struct_size;
  uint32_t statistics;                          // of `measure`
  uint32_t needs_sensitivity;                   // 1 if every share must come with points; 0: clients cannot give any
  uint32_t parameter_count;                     // at most 64
  const espalier_parameter *const *parameters;  // [plugin-owned]

  // [compute-thread] A number for a layer, from its `count` matrices, which are those of the model before this run.
  // NULL if the method needs none.
  int32_t (*measure)(const espalier_host *host, const espalier_matrix *const *matrices, int64_t count,
                     const double *parameters, double *measure, espalier_message *message);

  // [compute-thread] Writes a sparsity of 0...1 for each of the `count` shares. The host checks that together they
  // prune `total` of all elements, to one in a thousand.
  int32_t (*allocate)(const espalier_host *host, const espalier_share *const *shares, int64_t count, double total,
                      const double *parameters, double *sparsities, espalier_message *message);
} espalier_allocator;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.1. The unit selector: scores of structures that are cut out whole.

#define ESPALIER_UNIT_SELECTOR "espalier.unit-selector/1"

// Kinds of units, added up where a selector says which it knows.
#define ESPALIER_UNIT_HEAD 1     // a query head: rows of the query map, columns of the attention's output map
#define ESPALIER_UNIT_NEURON 2   // a neuron of the feed-forward network
#define ESPALIER_UNIT_CHANNEL 4  // a channel of the hidden state, in the whole model
#define ESPALIER_UNIT_LAYER 8    // a whole layer

// The units that are ranked together. [host-owned]
typedef struct espalier_units {
  uint32_t struct_size;
  int32_t unit;       // ESPALIER_UNIT_...
  int64_t layer;      // heads and neurons: of this layer; -1 otherwise
  int64_t count;      // units
  int64_t width;      // columns of the matrices below that belong to a unit; 1 for layers
  // Matrices that read the units, with moments of their inputs: the attention's output map for heads, the last map of the
  // feed-forward network for neurons, every map that reads the hidden state for channels (one of those that share an
  // input); none for layers. Each has count * width columns.
  int64_t matrix_count;
  const espalier_matrix *const *matrices;
  // Layers only: for each, what it does to the hidden state, over all tokens.
  const double *cosine_sums;  // sum over tokens of cos(state that enters, state that leaves); NULL for other units
  int64_t tokens;
  // Layers only, and only for a selector that declares `needs_losses`: the loss in nats with that layer left out, and
  // with all of them. NULL and 0 otherwise.
  const double *losses_without;
  double loss;
} espalier_units;

// The extension ESPALIER_UNIT_SELECTOR of a plugin. [plugin-owned]
typedef struct espalier_unit_selector {
  uint32_t struct_size;
  uint32_t statistics;                          // of the matrices
  uint32_t units;                               // sum of ESPALIER_UNIT_...
  uint32_t parameter_count;                     // at most 64
  const espalier_parameter *const *parameters;  // [plugin-owned]
  uint32_t needs_losses;                        // 1: the host measures the loss without each layer
  int32_t default_group;                        // ESPALIER_GROUP_MATRIX: within a layer; ESPALIER_GROUP_GLOBAL: in all

  // [compute-thread] Writes one score for each unit; the higher, the more worth keeping.
  int32_t (*score)(const espalier_host *host, const espalier_units *units, const double *parameters, double *scores,
                   espalier_message *message);
} espalier_unit_selector;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.2. The objective: a distillation loss on the distributions of the next token, position by position. Its sum
// over the positions that count is divided once, by the host, by how many they are in the whole optimiser step.

#define ESPALIER_OBJECTIVE "espalier.objective/1"

// What student and teacher expect at one position of a text. [host-owned]
typedef struct espalier_prediction {
  uint32_t struct_size;
  uint32_t reserved;         // 0
  int64_t vocabulary;        // V: elements of each array below, at least 1
  int64_t target;            // the token that follows in the data, 0 ..< V
  uint64_t seed;             // for drawing at random: of this position in this step, the same whenever it is repeated
  const float *student_log;  // [host-owned] log q, q = softmax(u), u = logits / temperature; 0 is -infinity
  const float *student;      // [host-owned] q
  const float *teacher_log;  // [host-owned] log p of the teacher at the same temperature; NULL unless it is needed
  const float *teacher;      // [host-owned] p
} espalier_prediction;

// The extension ESPALIER_OBJECTIVE of a plugin. [plugin-owned]
typedef struct espalier_objective {
  uint32_t struct_size;
  uint32_t needs_teacher;      // 1 if it compares with a teacher, else 0
  uint32_t fixed_temperature;  // 1 if it is defined at temperature 1 only, like the cross-entropy with data; else 0
  uint32_t parameter_count;    // at most 64
  const espalier_parameter *const *parameters;  // [plugin-owned]

  // [compute-thread], several at a time. Writes the loss in nats and its gradient in u (not in the logits: the host
  // divides by the temperature) for one position; `gradient` has `vocabulary` elements. Not to call parallel_for.
  int32_t (*evaluate)(const espalier_host *host, const espalier_prediction *prediction, const double *parameters,
                      double *loss, float *gradient, espalier_message *message);
} espalier_objective;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.2. The feature objective: a distillation loss on what is inside: hidden states, embeddings, queries, keys.

#define ESPALIER_FEATURE_OBJECTIVE "espalier.feature-objective/1"

// What student and teacher have at one place of their networks, for some sequences. [host-owned]
typedef struct espalier_features {
  uint32_t struct_size;
  uint32_t reserved;       // 0
  int64_t sequences;       // at least 1
  const int64_t *lengths;  // [host-owned] positions of each sequence, at least 1 each; R is their sum
  int64_t student_width;
  int64_t teacher_width;
  int64_t heads;           // heads side by side in a row, of student and teacher alike; 1 where the place has none
  const float *student;    // [host-owned] R x student_width, sequence after sequence
  const float *teacher;    // [host-owned] R x teacher_width
  const uint8_t *counted;  // [host-owned] R: 1 for positions that count, 0 for others, whose gradient may still be used
  uint64_t seed;           // for drawing at random: of this call in this step, the same whenever it is repeated
  float *memory;           // [host-owned] what `memory` asked for: 0 when the run begins, then as the last call left it
  int64_t memory_count;
} espalier_features;

// The extension ESPALIER_FEATURE_OBJECTIVE of a plugin. [plugin-owned]
typedef struct espalier_feature_objective {
  uint32_t struct_size;
  uint32_t per_sequence;     // 1: the loss is a sum over sequences; 0: over positions that count
  uint32_t same_width;       // 1: the host brings the student to the teacher's width by a map that is learned with it
  uint32_t parameter_count;  // at most 64
  const espalier_parameter *const *parameters;  // [plugin-owned]

  // [any-thread] Floats that it keeps from call to call, 0 ... 2^28: a memory bank. NULL if it keeps none. The host
  // saves them with the run, and puts them back if a step fails.
  int64_t (*memory)(const double *parameters, int64_t student_width, int64_t teacher_width);

  // [compute-thread] Writes the loss, a sum as `per_sequence` says, and its gradient in `student`, R x student_width.
  // The host divides by how many sequences or positions there are in the whole optimiser step.
  int32_t (*compare)(const espalier_host *host, const espalier_features *features, const double *parameters,
                     double *loss, float *gradient, espalier_message *message);
} espalier_feature_objective;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.2. The reward: how good a sampled text is.

#define ESPALIER_REWARD "espalier.reward/1"

// A prompt and what a model made of it. [host-owned]
typedef struct espalier_completion {
  uint32_t struct_size;
  int32_t ended;                  // 1 if a token ended it, 0 if it was cut off
  const char *prompt;             // [host-owned]
  const char *completion;         // [host-owned] without the token that ended it
  const char *answer;             // [host-owned] what the data say is right; NULL if they say nothing
  int64_t tokens;                 // of the completion, the one that ended it included; at least 1
  double teacher_log_likelihood;  // sum over them of the teacher's log-probability, in nats; 0 unless it is needed
  const char *const *texts;       // [host-owned] the values of text parameters
} espalier_completion;

// The extension ESPALIER_REWARD of a plugin. [plugin-owned]
typedef struct espalier_reward {
  uint32_t struct_size;
  uint32_t needs_teacher;    // 1 if it looks at teacher_log_likelihood, else 0
  uint32_t needs_answer;     // 1 if it cannot do without an answer, else 0
  uint32_t parameter_count;  // at most 64
  const espalier_parameter *const *parameters;  // [plugin-owned]

  // [compute-thread], several at a time. Writes a finite reward; higher is better.
  int32_t (*judge)(const espalier_host *host, const espalier_completion *completion, const double *parameters,
                   double *reward, espalier_message *message);
} espalier_reward;

// ---------------------------------------------------------------------------------------------------------------------
// Since 1.1. Linear algebra of the host, as an extension of every host: one tuned library for all plugins.

#define ESPALIER_LINEAR_ALGEBRA "espalier.linear-algebra/1"

// Matrices are row-major; `lda` and its like count elements from row to row. Outside a parallel_for a product uses all
// compute threads; inside a body everything runs on the thread that calls. Results do not depend on the thread count.
// All are [compute-thread] and return ESPALIER_OK, ESPALIER_INVALID_ARGUMENT (sizes below 1, or beyond 2^31 - 1, NULL),
// ESPALIER_OUT_OF_MEMORY, ESPALIER_CANCELLED, or what they say.
typedef struct espalier_linear_algebra {
  uint32_t struct_size;
  uint32_t reserved;  // 0

  // c[m, n] = alpha op(a)[m, k] op(b)[k, n] + beta c; op transposes if `transpose_` is 1. c overlaps nothing.
  int32_t (*product_f32)(const espalier_host *host, int32_t transpose_a, int32_t transpose_b, int64_t m, int64_t n,
                         int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                         float *c, int64_t ldc);
  int32_t (*product_f64)(const espalier_host *host, int32_t transpose_a, int32_t transpose_b, int64_t m, int64_t n,
                         int64_t k, double alpha, const double *a, int64_t lda, const double *b, int64_t ldb,
                         double beta, double *c, int64_t ldc);

  // a[n, n] = l l^T in place: reads the lower triangle, writes l there, leaves the strict upper triangle alone.
  // ESPALIER_FAILED if a is not positive definite; `*pivot` is then the first row (from 0) where that showed.
  int32_t (*cholesky_f32)(const espalier_host *host, int64_t n, float *a, int64_t lda, int64_t *pivot);
  int32_t (*cholesky_f64)(const espalier_host *host, int64_t n, double *a, int64_t lda, int64_t *pivot);

  // Solves (l l^T) x = b for `count` right sides, each a row of b[count, n], in place. l as cholesky leaves it.
  int32_t (*cholesky_solve_f32)(const espalier_host *host, int64_t n, const float *l, int64_t lda, int64_t count,
                                float *b, int64_t ldb);
  int32_t (*cholesky_solve_f64)(const espalier_host *host, int64_t n, const double *l, int64_t lda, int64_t count,
                                double *b, int64_t ldb);

  // l becomes (l l^T)^-1, both triangles.
  int32_t (*cholesky_inverse_f64)(const espalier_host *host, int64_t n, double *l, int64_t lda);

  // The symmetric a[n, n] (lower triangle) = q^T diag(values) q: values ascending, row i of a becomes the eigenvector of
  // values[i]. ESPALIER_FAILED if it does not converge.
  int32_t (*eigen_f32)(const espalier_host *host, int64_t n, float *a, int64_t lda, float *values);
  int32_t (*eigen_f64)(const espalier_host *host, int64_t n, double *a, int64_t lda, double *values);
} espalier_linear_algebra;

// ---------------------------------------------------------------------------------------------------------------------
// The layout is part of the contract, on 64-bit systems (LP64) and to the byte. A compiler that lays anything
// out otherwise stops here instead of in the daemon.

#if defined(__cplusplus)
#define ESPALIER_ASSERT(condition) static_assert(condition, #condition)
#else
#define ESPALIER_ASSERT(condition) _Static_assert(condition, #condition)
#endif
#define ESPALIER_AT(name, field, place) ESPALIER_ASSERT(offsetof(espalier_##name, field) == place)

ESPALIER_ASSERT(sizeof(void *) == 8 && sizeof(size_t) == 8);
ESPALIER_ASSERT(sizeof(float) == 4 && sizeof(double) == 8);

ESPALIER_AT(message, text, 8); ESPALIER_AT(message, capacity, 16);
ESPALIER_ASSERT(sizeof(espalier_message) == 24);

ESPALIER_AT(host, abi_major, 4); ESPALIER_AT(host, abi_minor, 8); ESPALIER_AT(host, context, 16);
ESPALIER_AT(host, get_extension, 24); ESPALIER_AT(host, log, 32); ESPALIER_AT(host, progress, 40);
ESPALIER_AT(host, cancelled, 48); ESPALIER_AT(host, parallel_for, 56); ESPALIER_AT(host, diagnose, 64);
ESPALIER_ASSERT(sizeof(espalier_host) == 72);

ESPALIER_AT(plugin_descriptor, struct_size, 0); ESPALIER_AT(plugin_descriptor, abi_major, 4);
ESPALIER_AT(plugin_descriptor, abi_minor, 8); ESPALIER_AT(plugin_descriptor, id, 16);
ESPALIER_AT(plugin_descriptor, version, 24); ESPALIER_AT(plugin_descriptor, summary, 32);
ESPALIER_AT(plugin_descriptor, vendor, 40); ESPALIER_AT(plugin_descriptor, licence, 48);
ESPALIER_AT(plugin_descriptor, url, 56); ESPALIER_AT(plugin_descriptor, get_extension, 64);
ESPALIER_ASSERT(sizeof(espalier_plugin_descriptor) == 72);

ESPALIER_AT(parameter, type, 4); ESPALIER_AT(parameter, name, 8); ESPALIER_AT(parameter, summary, 16);
ESPALIER_AT(parameter, default_value, 24); ESPALIER_AT(parameter, minimum, 32); ESPALIER_AT(parameter, maximum, 40);
ESPALIER_AT(parameter, choice_count, 48); ESPALIER_AT(parameter, choices, 56);
ESPALIER_AT(parameter, default_text, 64);
ESPALIER_ASSERT(sizeof(espalier_parameter) == 72);

ESPALIER_AT(moments, sequences, 8); ESPALIER_AT(moments, tokens, 16); ESPALIER_AT(moments, count, 24);
ESPALIER_AT(moments, sum, 32); ESPALIER_AT(moments, sum_of_squares, 40); ESPALIER_AT(moments, sum_of_magnitudes, 48);
ESPALIER_AT(moments, sum_of_squared_means, 56);
ESPALIER_ASSERT(sizeof(espalier_moments) == 64);

ESPALIER_AT(gram, sequences, 8); ESPALIER_AT(gram, tokens, 16); ESPALIER_AT(gram, count, 24);
ESPALIER_AT(gram, products, 32); ESPALIER_AT(gram, cross, 40);
ESPALIER_ASSERT(sizeof(espalier_gram) == 48);

ESPALIER_AT(gradients, samples, 8); ESPALIER_AT(gradients, steps, 16); ESPALIER_AT(gradients, sum, 24);
ESPALIER_AT(gradients, sum_of_squares, 32); ESPALIER_AT(gradients, movement, 40);
ESPALIER_ASSERT(sizeof(espalier_gradients) == 48);

ESPALIER_AT(term, name, 8); ESPALIER_AT(term, scores, 16);
ESPALIER_ASSERT(sizeof(espalier_term) == 24);

ESPALIER_AT(matrix, tensor, 8); ESPALIER_AT(matrix, layer, 16); ESPALIER_AT(matrix, rows, 24);
ESPALIER_AT(matrix, columns, 32); ESPALIER_AT(matrix, weights, 40); ESPALIER_AT(matrix, moments, 48);
ESPALIER_AT(matrix, gram, 56); ESPALIER_AT(matrix, gradients, 64); ESPALIER_AT(matrix, regional_gradients, 72);
ESPALIER_AT(matrix, terms, 80); ESPALIER_AT(matrix, term_count, 88);
ESPALIER_ASSERT(sizeof(espalier_matrix) == 96);

ESPALIER_AT(selector, statistics, 4); ESPALIER_AT(selector, default_group, 8);
ESPALIER_AT(selector, parameter_count, 12); ESPALIER_AT(selector, parameters, 16); ESPALIER_AT(selector, score, 24);
ESPALIER_AT(selector, statistics_for, 32); ESPALIER_AT(selector, term_count, 40); ESPALIER_AT(selector, terms, 48);
ESPALIER_AT(selector, compensator, 56);
ESPALIER_ASSERT(sizeof(espalier_selector) == 64);

ESPALIER_AT(budget, sparsity, 8); ESPALIER_AT(budget, pattern_prune, 16); ESPALIER_AT(budget, pattern_size, 24);
ESPALIER_AT(budget, round, 32); ESPALIER_AT(budget, rounds_left, 36);
ESPALIER_ASSERT(sizeof(espalier_budget) == 40);

ESPALIER_AT(problem, matrix, 8); ESPALIER_AT(problem, budget, 16); ESPALIER_AT(problem, kept, 24);
ESPALIER_AT(problem, weights, 32);
ESPALIER_ASSERT(sizeof(espalier_problem) == 40);

ESPALIER_AT(solver, parameters, 16); ESPALIER_AT(solver, solve, 24);
ESPALIER_ASSERT(sizeof(espalier_solver) == 32);

ESPALIER_AT(compensator, parameters, 16); ESPALIER_AT(compensator, compensate, 24);
ESPALIER_ASSERT(sizeof(espalier_compensator) == 32);

ESPALIER_AT(refiner, parameters, 16); ESPALIER_AT(refiner, refine, 24);
ESPALIER_ASSERT(sizeof(espalier_refiner) == 32);

ESPALIER_AT(block_compensator, parameters, 8); ESPALIER_AT(block_compensator, fit, 16);
ESPALIER_ASSERT(sizeof(espalier_block_compensator) == 24);

ESPALIER_AT(region, samples, 8); ESPALIER_AT(region, gradient, 16);
ESPALIER_ASSERT(sizeof(espalier_region) == 24);

ESPALIER_AT(share, tensor, 8); ESPALIER_AT(share, layer, 16); ESPALIER_AT(share, elements, 24);
ESPALIER_AT(share, measure, 32); ESPALIER_AT(share, point_count, 40); ESPALIER_AT(share, losses, 56);
ESPALIER_ASSERT(sizeof(espalier_share) == 64);

ESPALIER_AT(allocator, parameters, 16); ESPALIER_AT(allocator, measure, 24); ESPALIER_AT(allocator, allocate, 32);
ESPALIER_ASSERT(sizeof(espalier_allocator) == 40);

ESPALIER_AT(units, layer, 8); ESPALIER_AT(units, count, 16); ESPALIER_AT(units, width, 24);
ESPALIER_AT(units, matrix_count, 32); ESPALIER_AT(units, matrices, 40); ESPALIER_AT(units, cosine_sums, 48);
ESPALIER_AT(units, tokens, 56); ESPALIER_AT(units, losses_without, 64); ESPALIER_AT(units, loss, 72);
ESPALIER_ASSERT(sizeof(espalier_units) == 80);

ESPALIER_AT(unit_selector, parameters, 16); ESPALIER_AT(unit_selector, needs_losses, 24);
ESPALIER_AT(unit_selector, default_group, 28); ESPALIER_AT(unit_selector, score, 32);
ESPALIER_ASSERT(sizeof(espalier_unit_selector) == 40);

ESPALIER_AT(prediction, vocabulary, 8); ESPALIER_AT(prediction, target, 16); ESPALIER_AT(prediction, seed, 24);
ESPALIER_AT(prediction, student_log, 32); ESPALIER_AT(prediction, student, 40);
ESPALIER_AT(prediction, teacher_log, 48); ESPALIER_AT(prediction, teacher, 56);
ESPALIER_ASSERT(sizeof(espalier_prediction) == 64);

ESPALIER_AT(objective, needs_teacher, 4); ESPALIER_AT(objective, fixed_temperature, 8);
ESPALIER_AT(objective, parameter_count, 12); ESPALIER_AT(objective, parameters, 16);
ESPALIER_AT(objective, evaluate, 24);
ESPALIER_ASSERT(sizeof(espalier_objective) == 32);

ESPALIER_AT(features, sequences, 8); ESPALIER_AT(features, lengths, 16); ESPALIER_AT(features, student_width, 24);
ESPALIER_AT(features, teacher_width, 32); ESPALIER_AT(features, heads, 40); ESPALIER_AT(features, student, 48);
ESPALIER_AT(features, teacher, 56); ESPALIER_AT(features, counted, 64); ESPALIER_AT(features, seed, 72);
ESPALIER_AT(features, memory, 80); ESPALIER_AT(features, memory_count, 88);
ESPALIER_ASSERT(sizeof(espalier_features) == 96);

ESPALIER_AT(feature_objective, per_sequence, 4); ESPALIER_AT(feature_objective, same_width, 8);
ESPALIER_AT(feature_objective, parameter_count, 12); ESPALIER_AT(feature_objective, parameters, 16);
ESPALIER_AT(feature_objective, memory, 24); ESPALIER_AT(feature_objective, compare, 32);
ESPALIER_ASSERT(sizeof(espalier_feature_objective) == 40);

ESPALIER_AT(completion, ended, 4); ESPALIER_AT(completion, prompt, 8); ESPALIER_AT(completion, completion, 16);
ESPALIER_AT(completion, answer, 24); ESPALIER_AT(completion, tokens, 32);
ESPALIER_AT(completion, teacher_log_likelihood, 40); ESPALIER_AT(completion, texts, 48);
ESPALIER_ASSERT(sizeof(espalier_completion) == 56);

ESPALIER_AT(reward, needs_teacher, 4); ESPALIER_AT(reward, needs_answer, 8);
ESPALIER_AT(reward, parameter_count, 12); ESPALIER_AT(reward, parameters, 16); ESPALIER_AT(reward, judge, 24);
ESPALIER_ASSERT(sizeof(espalier_reward) == 32);

ESPALIER_AT(linear_algebra, product_f32, 8); ESPALIER_AT(linear_algebra, product_f64, 16);
ESPALIER_AT(linear_algebra, cholesky_f32, 24); ESPALIER_AT(linear_algebra, cholesky_f64, 32);
ESPALIER_AT(linear_algebra, cholesky_solve_f32, 40); ESPALIER_AT(linear_algebra, cholesky_solve_f64, 48);
ESPALIER_AT(linear_algebra, cholesky_inverse_f64, 56); ESPALIER_AT(linear_algebra, eigen_f32, 64);
ESPALIER_AT(linear_algebra, eigen_f64, 72);
ESPALIER_ASSERT(sizeof(espalier_linear_algebra) == 80);

#undef ESPALIER_AT
#undef ESPALIER_ASSERT

#ifdef __cplusplus
}
#endif

#endif  // ESPALIER_PLUGIN_H
