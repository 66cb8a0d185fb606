// teacher-likelihood: the reward is how likely the teacher finds the completion, in nats.
// Its mean over a group's samples is the student's cross-entropy against the teacher, as in distillation by policy
// gradient (Gu et al. 2024, MiniLLM, arXiv 2306.08543, equation 2) without the student's own entropy.

#include <math.h>

#include "declare.h"
#include "report.h"

enum { PER };
enum { TOKEN, SEQUENCE };

static int32_t judge(const espalier_host *host, const espalier_completion *completion, const double *parameters,
                     double *reward, espalier_message *message) {
  (void)host;
  const double total = completion->teacher_log_likelihood;
  if (!isfinite(total) || completion->tokens < 1) {
    return refuse(message, "the teacher's log-likelihood of %lld tokens is %g", (long long)completion->tokens, total);
  }
  *reward = (int)parameters[PER] == TOKEN ? total / (double)completion->tokens : total;
  return ESPALIER_OK;
}

static const espalier_parameter *const parameter_list[] = {
  [PER] = CHOICE("per", TOKEN, "token: the mean over the tokens; sequence: their sum", "token", "sequence"),
};

REWARD_PLUGIN(
  "teacher-likelihood", "Log-likelihood of the completion under the teacher, in nats (Gu et al. 2024)",
  "https://arxiv.org/abs/2306.08543", .needs_teacher = 1, PARAMETERS(parameter_list), .judge = judge);
