/* Linear layers, embeddings and the loss over a vocabulary in plain loops. */
#include <math.h>

#include "ckernels_double.h"

void reference_linear_forward(double *out, const double *x, const double *w, const double *b, size_t N, size_t O,
                              size_t I) {
  for (size_t n = 0; n < N; n++)
    for (size_t o = 0; o < O; o++) {
      double sum = b ? b[o] : 0;
      for (size_t i = 0; i < I; i++) sum += x[n * I + i] * w[o * I + i];
      out[n * O + o] = sum;
    }
}

void reference_linear_backward(double *dx, double *dw, double *db, const double *dout, const double *x,
                               const double *w, size_t N, size_t O, size_t I) {
  for (size_t n = 0; n < N; n++) {
    for (size_t i = 0; i < I; i++) dx[n * I + i] = 0;
    for (size_t o = 0; o < O; o++) {
      const double d = dout[n * O + o];
      if (db) db[o] += d;
      for (size_t i = 0; i < I; i++) {
        dx[n * I + i] += d * w[o * I + i];
        dw[o * I + i] += d * x[n * I + i];
      }
    }
  }
}

void reference_embedding_backward(double *dtable, const double *dout, const int32_t *tokens, size_t N, size_t C) {
  for (size_t n = 0; n < N; n++)
    for (size_t c = 0; c < C; c++) dtable[(size_t)tokens[n] * C + c] += dout[n * C + c];
}

void reference_linear_cross_entropy(double *losses, double *dhidden, double *dhead, const double *hidden,
                                    const double *head, const int32_t *targets, size_t N, size_t V, size_t C,
                                    double scale, double *row) {
  for (size_t n = 0; n < N; n++, hidden += C, dhidden += C) {
    reference_linear_forward(row, hidden, head, 0, 1, V, C);
    double maximum = row[0], sum = 0;
    for (size_t v = 1; v < V; v++) maximum = fmax(maximum, row[v]);
    for (size_t v = 0; v < V; v++) sum += exp(row[v] - maximum);
    losses[n] = maximum + log(sum) - row[targets[n]];
    for (size_t v = 0; v < V; v++)
      row[v] = scale * (exp(row[v] - maximum) / sum - (v == (size_t)targets[n] ? 1 : 0));
    reference_linear_backward(dhidden, dhead, 0, row, hidden, head, 1, V, C);
  }
}
