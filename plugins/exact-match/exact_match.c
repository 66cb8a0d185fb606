// exact-match: the reward is 1 if the completion is the answer, else 0.
// The rule-based accuracy reward of DeepSeek-R1 (Guo et al. 2025, arXiv 2501.12948, section 2.2.2) in its plainest form.
//
// Texts are compared byte by byte. White space is that of ASCII; letters that differ in case only are those of ASCII
// too: other alphabets have to agree exactly.

#include "declare.h"

enum { CASE_SENSITIVE, TRIM };

struct text {
  const char *bytes;
  size_t count;
};

static int is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static char lowered(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static struct text without_space_around(struct text text) {
  while (text.count > 0 && is_space(text.bytes[0])) text.bytes++, text.count--;
  while (text.count > 0 && is_space(text.bytes[text.count - 1])) text.count--;
  return text;
}

static int are_equal(struct text a, struct text b, int case_sensitive) {
  if (a.count != b.count) return 0;
  if (case_sensitive) return memcmp(a.bytes, b.bytes, a.count) == 0;
  for (size_t i = 0; i < a.count; i++) {
    if (lowered(a.bytes[i]) != lowered(b.bytes[i])) return 0;
  }
  return 1;
}

static int32_t judge(const espalier_host *host, const espalier_completion *completion, const double *parameters,
                     double *reward, espalier_message *message) {
  (void)host;
  if (completion->answer == NULL) {
    return espalier_report(message, ESPALIER_INVALID_ARGUMENT, "the example has no answer to compare with");
  }
  struct text given = {completion->completion, strlen(completion->completion)};
  struct text right = {completion->answer, strlen(completion->answer)};
  if (parameters[TRIM] != 0) {
    given = without_space_around(given);
    right = without_space_around(right);
  }
  *reward = are_equal(given, right, parameters[CASE_SENSITIVE] != 0);
  return ESPALIER_OK;
}

static const espalier_parameter *const parameter_list[] = {
  [CASE_SENSITIVE] = BOOLEAN("caseSensitive", 1, "Whether A and a are different; letters of ASCII only"),
  [TRIM] = BOOLEAN("trim", 1, "Whether white space around both texts is left out"),
};

REWARD_PLUGIN(
  "exact-match", "1 for a completion that is the answer, else 0 (Guo et al. 2025)", "https://arxiv.org/abs/2501.12948",
  .needs_answer = 1, PARAMETERS(parameter_list), .judge = judge);
