/*
 * exp, branch-free so that loops over it vectorise.
 *
 * x = n ln 2 + r with |r| <= ln 2 / 2, exp x = 2^n P(r); P is the degree-6 Taylor-like polynomial of Cephes' expf
 * (coefficients from S. Moshier, Cephes Mathematical Library). Error below 2 units in the last place; 0 below -87.3,
 * clamped to the largest finite power above 88; NaN stays NaN. In the double build it is libm's.
 */
#ifndef CK_EXPONENTIAL_H
#define CK_EXPONENTIAL_H

#include "../kernel.h"

#ifdef CK_DOUBLE
static CK_INLINE double ck_exp(double x) { return exp(x); }
#else
static CK_INLINE float ck_exp(float x) {
  const float round_bias = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
  float clamped = x < -87.3f ? -87.3f : x;
  clamped = clamped > 88.0f ? 88.0f : clamped;
  union { float f; uint32_t u; } biased = {clamped * 1.44269504088896341f + round_bias};
  const float n = biased.f - round_bias;
  float r = clamped - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  union { uint32_t u; float f; } scale = {(biased.u + 127u) << 23}; /* the bias' own bits fall off the top */
  return x < -87.3f ? 0.0f : p * scale.f;
}
#endif

#endif
