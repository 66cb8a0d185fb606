// length: how well the number of a completion's tokens suits: near a target, or no penalty until it gets too long.
// The soft overlong punishment is DAPO's (Yu et al. 2025, arXiv 2503.14476, equation 13).

#include <math.h>

#include "declare.h"
#include "report.h"

enum { FORM, TARGET, SCALE, MAXIMUM, CACHE };
enum { NEAR_TARGET, SOFT_OVERLONG };

static int32_t judge(const espalier_host *host, const espalier_completion *completion, const double *parameters,
                     double *reward, espalier_message *message) {
  (void)host;
  const double tokens = (double)completion->tokens, maximum = parameters[MAXIMUM], cache = parameters[CACHE];
  if ((int)parameters[FORM] == NEAR_TARGET) {
    *reward = -fmin(1, fabs(tokens - parameters[TARGET]) / parameters[SCALE]);
    return ESPALIER_OK;
  }
  if (cache > maximum) {
    return refuse(message, "a cache of %.0f tokens is more than the maximum of %.0f", cache, maximum);
  }
  if (tokens <= maximum - cache) {
    *reward = 0;
  } else if (tokens <= maximum) {
    *reward = (maximum - cache - tokens) / cache;
  } else {
    *reward = -1;
  }
  return ESPALIER_OK;
}

static const espalier_parameter *const parameter_list[] = {
  [FORM] = CHOICE("form", SOFT_OVERLONG,
                  "target: how near the length is to one; soft-overlong: nothing until it comes close to the maximum",
                  "target", "soft-overlong"),
  [TARGET] = INTEGER("target", 64, 1, 1e9, "Of target: the best length, in tokens"),
  [SCALE] = INTEGER("scale", 64, 1, 1e9, "Of target: how many tokens away from it the reward is -1"),
  [MAXIMUM] = INTEGER("maximum", 256, 1, 1e9, "Of soft-overlong: the length at which the reward has come down to -1"),
  [CACHE] = INTEGER("cache", 64, 0, 1e9, "Of soft-overlong: over how many tokens before the maximum it comes down"),
};

REWARD_PLUGIN(
  "length", "Length of a completion: near a target, or DAPO's soft overlong punishment (Yu et al. 2025)",
  "https://arxiv.org/abs/2503.14476", PARAMETERS(parameter_list), .judge = judge);
