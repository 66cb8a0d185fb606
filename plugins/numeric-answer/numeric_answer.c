// numeric-answer: the reward is 1 if the number that the completion ends with is the answer's.
// As answers to word problems are judged: GSM8K's "####" (Cobbe et al. 2021, arXiv 2110.14168), else the last number.
//
// Numbers are read to the nearest double. Every character of a text is looked at a fixed number of times.

#include <math.h>

#include "declare.h"
#include "number.h"
#include "report.h"

enum { TOLERANCE, PARTIAL_REWARD, POSITION };
enum { LAST, FIRST };

// The first number behind the last "####", if that stands in the text; else the last or the first of all.
// Returns 0 if there is none.
static int find_number(const char *text, int position, struct number *number) {
  const char *marker = NULL;
  for (const char *next = strstr(text, "####"); next != NULL; next = strstr(next + 1, "####")) marker = next;
  if (marker != NULL) return next_number(text, marker + 4, number);
  return position == FIRST ? next_number(text, text, number) : last_number(text, number);
}

static int32_t judge(const espalier_host *host, const espalier_completion *completion, const double *parameters,
                     double *reward, espalier_message *message) {
  (void)host;
  if (completion->answer == NULL) {
    return espalier_report(message, ESPALIER_INVALID_ARGUMENT, "the example has no answer to compare with");
  }
  struct number right, given;
  if (!find_number(completion->answer, LAST, &right) || !isfinite(right.value)) {
    return refuse(message, "the answer \"%.100s\" holds no number that can be compared with", completion->answer);
  }
  if (!find_number(completion->completion, (int)parameters[POSITION], &given)) {
    *reward = 0;
  } else if (isfinite(given.value) && fabs(given.value - right.value) <= parameters[TOLERANCE]) {
    *reward = 1;
  } else {
    *reward = parameters[PARTIAL_REWARD];
  }
  return ESPALIER_OK;
}

static const espalier_parameter *const parameter_list[] = {
  [TOLERANCE] = NUMBER("tolerance", 0, 0, 1e12, "How far the number may be from the answer's"),
  [PARTIAL_REWARD] = NUMBER("partialReward", 0, 0, 1, "The reward of any other number"),
  [POSITION] = CHOICE("position", LAST, "Which number of a completion counts unless #### stands before one",
                      "last", "first"),
};

REWARD_PLUGIN(
  "numeric-answer", "1 for a completion with the answer's number at its end (Cobbe et al. 2021)",
  "https://arxiv.org/abs/2110.14168", .needs_answer = 1, PARAMETERS(parameter_list), .judge = judge);
