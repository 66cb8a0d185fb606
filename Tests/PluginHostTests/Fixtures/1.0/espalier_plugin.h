// espalier_plugin.h: the plugin ABI of Espalier, version 1.0.
// SPDX-License-Identifier: Apache-2.0
//
// A plugin is a shared library that brings one method of the field to Espalier: today a pruning criterion, called a
// selector. This header is all it needs: C11 or C++11, nothing to link, nothing else to include. It refuses to be a
// toolkit: there are no allocators, containers or macros that hide code. `plugin-abi.md` beside it has the tutorial.
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
#define ESPALIER_ABI_MINOR 0

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

  // [any-thread] The host's extension of that id, or NULL if it has none. Version 1.0 has none.
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

// One parameter. Values of all types travel as doubles: one plain array instead of tagged unions.
typedef struct espalier_parameter {
  uint32_t struct_size;
  int32_t type;         // ESPALIER_NUMBER, ESPALIER_INTEGER or ESPALIER_BOOLEAN
  const char *name;     // [plugin-owned] camelCase, at most 64 bytes, unique within the plugin: "normExponent"
  const char *summary;  // [plugin-owned] one line, at most 1024 bytes
  double default_value;
  double minimum;       // minimum <= default_value <= maximum, all finite; 0 and 1 for a boolean
  double maximum;
} espalier_parameter;

// ---------------------------------------------------------------------------------------------------------------------
// The selector: a pruning criterion. It gives one score per weight and never a mask: the host makes masks from scores,
// so that a new ratio, group or N:M pattern never calls the plugin again.

#define ESPALIER_SELECTOR "espalier.selector/1"

// Statistics that a selector can ask for, added up. The host computes them once for all plugins.
#define ESPALIER_STATISTICS_NONE 0
#define ESPALIER_STATISTICS_MOMENTS 1  // espalier_matrix.moments

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
} espalier_moments;

// One weight matrix. [host-owned]
typedef struct espalier_matrix {
  uint32_t struct_size;
  uint32_t reserved;                // 0
  const char *tensor;               // [host-owned] name in the checkpoint: "model.layers.0.mlp.down_proj.weight"
  int64_t layer;                    // index of the transformer layer, -1 for a tensor outside the layers
  int64_t rows;                     // outputs of the linear map, at least 1
  int64_t columns;                  // inputs of the linear map, at least 1; rows * columns fits an int64_t
  const float *weights;             // [host-owned] rows x columns, row-major, contiguous; pruned weights are 0
  const espalier_moments *moments;  // [host-owned] NULL unless the selector asked for them
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
} espalier_selector;

// ---------------------------------------------------------------------------------------------------------------------
// The layout is part of the contract: version 1.0 on 64-bit systems (LP64), to the byte. A compiler that lays anything
// out otherwise stops here instead of in the daemon.

#if defined(__cplusplus)
#define ESPALIER_ASSERT(condition) static_assert(condition, #condition)
#else
#define ESPALIER_ASSERT(condition) _Static_assert(condition, #condition)
#endif

ESPALIER_ASSERT(sizeof(void *) == 8);
ESPALIER_ASSERT(sizeof(size_t) == 8);
ESPALIER_ASSERT(sizeof(float) == 4);
ESPALIER_ASSERT(sizeof(double) == 8);

ESPALIER_ASSERT(offsetof(espalier_message, text) == 8);
ESPALIER_ASSERT(offsetof(espalier_message, capacity) == 16);
ESPALIER_ASSERT(sizeof(espalier_message) == 24);

ESPALIER_ASSERT(offsetof(espalier_host, abi_major) == 4);
ESPALIER_ASSERT(offsetof(espalier_host, abi_minor) == 8);
ESPALIER_ASSERT(offsetof(espalier_host, context) == 16);
ESPALIER_ASSERT(offsetof(espalier_host, get_extension) == 24);
ESPALIER_ASSERT(offsetof(espalier_host, log) == 32);
ESPALIER_ASSERT(offsetof(espalier_host, progress) == 40);
ESPALIER_ASSERT(offsetof(espalier_host, cancelled) == 48);
ESPALIER_ASSERT(offsetof(espalier_host, parallel_for) == 56);
ESPALIER_ASSERT(sizeof(espalier_host) == 64);

ESPALIER_ASSERT(offsetof(espalier_plugin_descriptor, struct_size) == 0);
ESPALIER_ASSERT(offsetof(espalier_plugin_descriptor, abi_major) == 4);
ESPALIER_ASSERT(offsetof(espalier_plugin_descriptor, abi_minor) == 8);
ESPALIER_ASSERT(offsetof(espalier_plugin_descriptor, id) == 16);
ESPALIER_ASSERT(offsetof(espalier_plugin_descriptor, version) == 24);
ESPALIER_ASSERT(offsetof(espalier_plugin_descriptor, summary) == 32);
ESPALIER_ASSERT(offsetof(espalier_plugin_descriptor, vendor) == 40);
ESPALIER_ASSERT(offsetof(espalier_plugin_descriptor, licence) == 48);
ESPALIER_ASSERT(offsetof(espalier_plugin_descriptor, url) == 56);
ESPALIER_ASSERT(offsetof(espalier_plugin_descriptor, get_extension) == 64);
ESPALIER_ASSERT(sizeof(espalier_plugin_descriptor) == 72);

ESPALIER_ASSERT(offsetof(espalier_parameter, type) == 4);
ESPALIER_ASSERT(offsetof(espalier_parameter, name) == 8);
ESPALIER_ASSERT(offsetof(espalier_parameter, summary) == 16);
ESPALIER_ASSERT(offsetof(espalier_parameter, default_value) == 24);
ESPALIER_ASSERT(offsetof(espalier_parameter, minimum) == 32);
ESPALIER_ASSERT(offsetof(espalier_parameter, maximum) == 40);
ESPALIER_ASSERT(sizeof(espalier_parameter) == 48);

ESPALIER_ASSERT(offsetof(espalier_moments, sequences) == 8);
ESPALIER_ASSERT(offsetof(espalier_moments, tokens) == 16);
ESPALIER_ASSERT(offsetof(espalier_moments, count) == 24);
ESPALIER_ASSERT(offsetof(espalier_moments, sum) == 32);
ESPALIER_ASSERT(offsetof(espalier_moments, sum_of_squares) == 40);
ESPALIER_ASSERT(offsetof(espalier_moments, sum_of_magnitudes) == 48);
ESPALIER_ASSERT(sizeof(espalier_moments) == 56);

ESPALIER_ASSERT(offsetof(espalier_matrix, tensor) == 8);
ESPALIER_ASSERT(offsetof(espalier_matrix, layer) == 16);
ESPALIER_ASSERT(offsetof(espalier_matrix, rows) == 24);
ESPALIER_ASSERT(offsetof(espalier_matrix, columns) == 32);
ESPALIER_ASSERT(offsetof(espalier_matrix, weights) == 40);
ESPALIER_ASSERT(offsetof(espalier_matrix, moments) == 48);
ESPALIER_ASSERT(sizeof(espalier_matrix) == 56);

ESPALIER_ASSERT(offsetof(espalier_selector, statistics) == 4);
ESPALIER_ASSERT(offsetof(espalier_selector, default_group) == 8);
ESPALIER_ASSERT(offsetof(espalier_selector, parameter_count) == 12);
ESPALIER_ASSERT(offsetof(espalier_selector, parameters) == 16);
ESPALIER_ASSERT(offsetof(espalier_selector, score) == 24);
ESPALIER_ASSERT(sizeof(espalier_selector) == 32);

#undef ESPALIER_ASSERT

#ifdef __cplusplus
}
#endif

#endif  // ESPALIER_PLUGIN_H
