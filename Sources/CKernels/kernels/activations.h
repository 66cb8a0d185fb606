/*
 * Activation functions and their derivatives, alone and as the gate of a gated linear unit (Shazeer 2020).
 *
 *   silu(x)       = x s(x), s(x) = 1 / (1 + exp(-x))
 *   gelu_tanh(x)  = x (1 + tanh(u)) / 2 = x s(2u), u = sqrt(2/pi) (x + 0.044715 x^3)  (Hendrycks & Gimpel 2016, sec. 2)
 *   gelu_erf(x)   = x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2                      (ibid.)
 *   relu(x)       = max(x, 0)
 *   gelu_quick(x) = x s(1.702 x)                                                      (ibid.)
 *
 * NaN stays NaN. Derivatives of silu and its relatives clamp x where they are 0 or 1 to the last bit, since x s(x)
 * would multiply what overflows by what underflows.
 */
#include "exponential.h"

static CK_INLINE real ck_sigmoid(real x) { return (real)1 / ((real)1 + ck_exp(-x)); }

static CK_INLINE real ck_clamp(real x, real limit) {
  const real raised = x < -limit ? -limit : x;
  return raised > limit ? limit : raised;
}

/* Twice the argument of the tanh: 2 sqrt(2/pi) (x + 0.044715 x^3). */
static CK_INLINE real ck_gelu_argument(real x) {
  return (real)1.5957691216057308 * (x + (real)0.044715 * x * x * x);
}

/* The normal distribution's Phi(x); *bell becomes exp(-x^2 / 2). */
static CK_INLINE real ck_normal(real x, real *bell) {
  *bell = ck_exp((real)-0.5 * x * x);
#ifdef CK_DOUBLE
  return 0.5 * erfc(-x * 0.70710678118654752);
#else
  /* Phi(-a) = exp(-a^2 / 2) t P(t), t = 1 / (1 + 0.3 a), a >= 0: P fitted by reweighted least squares to a relative
   * error of 1.5e-7 up to a = 14. With fp32 rounding Phi is off by at most 1.5e-7. */
  const float t = 1.0f / (1.0f + 0.3f * (x < 0 ? -x : x));
  float p = 3.567477348e-2f;
  p = p * t - 1.572030803e-1f;
  p = p * t + 2.063535027e-1f;
  p = p * t - 5.368364141e-2f;
  p = p * t + 1.285616254e-1f;
  p = p * t + 9.991349241e-2f;
  p = p * t + 1.207539560e-1f;
  p = p * t + 1.196292988e-1f;
  const float tail = *bell * (t * p);
  return x < 0 ? tail : 1.0f - tail;
#endif
}

/* `kind` is a constant wherever this is called, so that one branch is left. */
static CK_INLINE real ck_activate(enum ck_activation kind, real x) {
  real bell;
  switch (kind) {
    case CK_SILU: return x / ((real)1 + ck_exp(-x));
    case CK_GELU_TANH: return x / ((real)1 + ck_exp(-ck_gelu_argument(x)));
    case CK_GELU_ERF: return x * ck_normal(x, &bell);
    case CK_RELU: return x < 0 ? 0 : x;
    case CK_GELU_QUICK: return x / ((real)1 + ck_exp((real)-1.702 * x));
  }
  return x;
}

/* The derivative; *value becomes the function itself, from the same exponential. */
static CK_INLINE real ck_derive(enum ck_activation kind, real x, real *value) {
  real s, c, bell;
  switch (kind) {
    case CK_SILU:
      c = ck_clamp(x, 87);
      s = ck_sigmoid(c);
      *value = x * s;
      return s + c * s * ((real)1 - s);
    case CK_GELU_TANH:
      c = ck_clamp(x, 10);
      s = ck_sigmoid(ck_gelu_argument(c));
      *value = x * s;
      return s + c * s * ((real)1 - s) * ((real)1.5957691216057308 * ((real)1 + (real)0.134145 * c * c));
    case CK_GELU_ERF:
      c = ck_clamp(x, 13);
      s = ck_normal(c, &bell);
      *value = x * s;
      return s + c * bell * (real)0.39894228040143268;
    case CK_RELU:
      *value = x < 0 ? 0 : x;
      return x <= 0 ? 0 : x > 0 ? 1 : x;
    case CK_GELU_QUICK:
      c = ck_clamp(x, 51);
      s = ck_sigmoid((real)1.702 * c);
      *value = x * s;
      return s + (real)1.702 * c * s * ((real)1 - s);
  }
  *value = x;
  return 1;
}

/* Does `loop` once with CK_KIND a constant. */
#define CK_WITH_KIND(kind, loop)                     \
  switch (kind) {                                    \
    case CK_SILU: loop(CK_SILU); break;              \
    case CK_GELU_TANH: loop(CK_GELU_TANH); break;    \
    case CK_GELU_ERF: loop(CK_GELU_ERF); break;      \
    case CK_RELU: loop(CK_RELU); break;              \
    case CK_GELU_QUICK: loop(CK_GELU_QUICK); break;  \
  }

void CK(activation_forward)(enum ck_activation kind, real *out, const real *x, size_t n) {
#define CK_LOOP(constant) CK_EACH for (size_t i = 0; i < n; i++) out[i] = ck_activate(constant, x[i])
  CK_WITH_KIND(kind, CK_LOOP)
#undef CK_LOOP
}

void CK(activation_backward)(enum ck_activation kind, real *dx, const real *dout, const real *x, size_t n) {
#define CK_LOOP(constant)                                 \
  CK_EACH for (size_t i = 0; i < n; i++) {                \
    real value;                                           \
    dx[i] = dout[i] * ck_derive(constant, x[i], &value);  \
  }
  CK_WITH_KIND(kind, CK_LOOP)
#undef CK_LOOP
}

void CK(gated_forward)(enum ck_activation kind, real *out, const real *gate, const real *up, size_t n) {
#define CK_LOOP(constant) CK_EACH for (size_t i = 0; i < n; i++) out[i] = ck_activate(constant, gate[i]) * up[i]
  CK_WITH_KIND(kind, CK_LOOP)
#undef CK_LOOP
}

void CK(gated_backward)(enum ck_activation kind, real *dgate, real *dup, const real *dout, const real *gate,
                        const real *up, size_t n) {
#define CK_LOOP(constant)                                     \
  CK_EACH for (size_t i = 0; i < n; i++) {                    \
    const real d = dout[i], u = up[i];                        \
    real value;                                               \
    const real slope = ck_derive(constant, gate[i], &value);  \
    dgate[i] = d * u * slope;                                 \
    dup[i] = d * value;                                       \
  }
  CK_WITH_KIND(kind, CK_LOOP)
#undef CK_LOOP
}

#undef CK_WITH_KIND
