// format-regex: the reward is 1 if the completion matches a regular expression, else 0.
// The format reward of DeepSeek-R1 (Guo et al. 2025, arXiv 2501.12948, section 2.2.2), whose form is the default.
//
// Expressions are PCRE2's, over Unicode characters. Backtracking is bounded: an expression that takes too much work on
// a text ends in an error, never in a hang. The expression is compiled for every completion: microseconds.

#define PCRE2_CODE_UNIT_WIDTH 8

#include <pcre2.h>

#include "declare.h"
#include "report.h"

enum { PATTERN, MATCH };
enum { WHOLE, PART };

// Steps and depth of one match, and KiB of its memory: some tens of milliseconds at most.
enum { STEPS = 1000000, DEPTH = 100000, MEMORY = 64 << 10 };

// What PCRE2 calls an error, in words.
struct words {
  PCRE2_UCHAR text[160];
};

static struct words words(int code) {
  struct words words = {{0}};
  if (pcre2_get_error_message(code, words.text, sizeof words.text) < 0) {
    snprintf((char *)words.text, sizeof words.text, "error %d", code);
  }
  return words;
}

static int32_t match(const pcre2_code *code, const char *text, double *reward, espalier_message *message) {
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  pcre2_match_data *data = pcre2_match_data_create(1, NULL);
  if (context == NULL || data == NULL) {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    return espalier_report(message, ESPALIER_OUT_OF_MEMORY, "no memory to match a regular expression");
  }
  pcre2_set_match_limit(context, STEPS);
  pcre2_set_depth_limit(context, DEPTH);
  pcre2_set_heap_limit(context, MEMORY);
  const int found = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, context);
  pcre2_match_data_free(data);
  pcre2_match_context_free(context);
  if (found >= 0 || found == PCRE2_ERROR_NOMATCH) {
    *reward = found >= 0;
    return ESPALIER_OK;
  }
  if (found == PCRE2_ERROR_MATCHLIMIT || found == PCRE2_ERROR_DEPTHLIMIT || found == PCRE2_ERROR_HEAPLIMIT) {
    return refuse(message,
                  "the pattern takes too much work on a completion of %zu bytes (%s): repetitions inside repetitions "
                  "backtrack; write them possessive (a++) or atomic, (?>...)",
                  strlen(text), (const char *)words(found).text);
  }
  return report(message, ESPALIER_FAILED, "matching failed: %s", (const char *)words(found).text);
}

static int32_t judge(const espalier_host *host, const espalier_completion *completion, const double *parameters,
                     double *reward, espalier_message *message) {
  (void)host;
  const char *pattern = completion->texts[(int)parameters[PATTERN]];
  uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  if ((int)parameters[MATCH] == WHOLE) options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
  int fault;
  PCRE2_SIZE offset;
  pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &fault, &offset, NULL);
  if (code == NULL) {
    return refuse(message, "the pattern is no regular expression, at offset %zu: %s", (size_t)offset,
                  (const char *)words(fault).text);
  }
  const int32_t status = match(code, completion->completion, reward, message);
  pcre2_code_free(code);
  return status;
}

static const espalier_parameter *const parameter_list[] = {
  [PATTERN] = TEXT("pattern", "(?s)<think>.*?</think>\\s*<answer>.*?</answer>\\s*",
                   "The regular expression, in the language of PCRE2"),
  [MATCH] = CHOICE("match", WHOLE, "Whether the whole completion has to match, or a part of it", "whole", "part"),
};

REWARD_PLUGIN(
  "format-regex", "1 for a completion that matches a regular expression, else 0 (Guo et al. 2025)",
  "https://arxiv.org/abs/2501.12948", PARAMETERS(parameter_list), .judge = judge);
