/* Bit masks over weights: one bit a weight, lowest bit of the first byte first, 1 = kept.
 * Words are read as little-endian, as on every processor that Espalier runs on. */
#include "../kernel.h"

void CK(mask_apply)(float *restrict weights, const uint8_t *restrict kept, size_t n) {
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    uint32_t word, bits[32];
    memcpy(&word, kept + i / 8, sizeof word);
    memcpy(bits, weights + i, sizeof bits);
    for (uint32_t l = 0; l < 32; l++) bits[l] &= 0u - ((word >> l) & 1u);
    memcpy(weights + i, bits, sizeof bits);
  }
  for (; i < n; i++)
    if (!((kept[i / 8] >> (i % 8)) & 1)) weights[i] = 0.0f;
}

size_t CK(mask_count)(const uint8_t *kept, size_t n) {
  size_t count = 0;
  for (size_t i = 0; i < n / 8; i++) count += (size_t)__builtin_popcount(kept[i]);
  if (n % 8) count += (size_t)__builtin_popcount(kept[n / 8] & ((1u << (n % 8)) - 1));
  return count;
}

void CK(mask_unpack)(uint8_t *restrict bytes, const uint8_t *restrict kept, size_t n) {
  for (size_t i = 0; i < n; i++) bytes[i] = (kept[i / 8] >> (i % 8)) & 1;
}

void CK(mask_pack)(uint8_t *restrict kept, const uint8_t *restrict bytes, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    const size_t end = i + 8 < n ? i + 8 : n;
    unsigned byte = 0;
    for (size_t l = i; l < end; l++) byte |= (unsigned)(bytes[l] != 0) << (l - i);
    kept[i / 8] = (uint8_t)byte;
  }
}
