// solving.h: how solvers begin and go through the matrices of a call.

#ifndef ESPALIER_SUPPORT_SOLVING_H
#define ESPALIER_SUPPORT_SOLVING_H

#include "budget.h"
#include "gram.h"

// Finds the host's linear algebra, and checks the Gram matrix that all problems share and the budget of each.
static inline int32_t begin_solving(const espalier_host *host, const espalier_problem *const *problems, int64_t count,
                                    const espalier_linear_algebra **algebra, espalier_message *message) {
  int32_t status = begin_with_gram(host, problems[0]->matrix, algebra, message);
  for (int64_t p = 0; p < count && status == ESPALIER_OK; p++) {
    status = check_budget(problems[p]->matrix, problems[p]->budget, message);
  }
  return status;
}

// solve_one(context, problem) for one problem after the other; together they are `share` of the call's work.
static inline int32_t solve_each(const espalier_host *host, const espalier_problem *const *problems, int64_t count,
                                 double share, int32_t (*solve_one)(void *context, const espalier_problem *problem),
                                 void *context, espalier_message *message) {
  int32_t status = ESPALIER_OK;
  for (int64_t p = 0; p < count && status == ESPALIER_OK; p++) {
    status = algebra_report(solve_one(context, problems[p]), message);
    host->progress(host, share * (double)(p + 1) / (double)count, NULL);
  }
  return status;
}

#endif
