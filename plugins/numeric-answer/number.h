// number.h: numbers in running text: signs, decimals, separators of thousands, exponents.

#ifndef ESPALIER_NUMERIC_ANSWER_NUMBER_H
#define ESPALIER_NUMERIC_ANSWER_NUMBER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Digits that a double can tell apart, with many to spare; more only move the point.
#define KEPT_DIGITS 400

struct number {
  double value;     // infinite for one that is too large
  const char *end;  // behind its last character
};

static inline int is_digit(char c) {
  return c >= '0' && c <= '9';
}

static inline int is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// U+2212, the minus sign of typography.
static inline int is_long_minus(const char *place) {
  return strncmp(place, "\xe2\x88\x92", 3) == 0;
}

// Whether the digits before `start` have a minus sign in front of them.
static inline int is_negative(const char *text, const char *start) {
  const char *sign;
  if (start - text >= 1 && start[-1] == '-') {
    sign = start - 1;
  } else if (start - text >= 3 && is_long_minus(start - 3)) {
    sign = start - 3;
  } else {
    return 0;
  }
  if (sign == text) return 1;
  if (sign[-1] != ' ') {
    return !is_digit(sign[-1]) && !is_letter(sign[-1]) && sign[-1] != ')' && sign[-1] != ']' && sign[-1] != '.';
  }
  // "5 -3" subtracts, "is -3" does not.
  while (sign > text && sign[-1] == ' ') sign--;
  return sign == text || (!is_digit(sign[-1]) && sign[-1] != ')');
}

// Whether ",ddd" stands at `place`, and no further digit.
static inline int is_group(const char *place) {
  return place[0] == ',' && is_digit(place[1]) && is_digit(place[2]) && is_digit(place[3]) && !is_digit(place[4]);
}

// Behind the digits at `start`, with their separators of thousands.
static inline const char *end_of_integer(const char *start) {
  const char *place = start;
  while (is_digit(*place)) place++;
  if (place == start || place - start > 3) return place;
  while (is_group(place)) place += 4;
  return place;
}

// Reads the number whose first digit, or point before a digit, is at `start`.
static inline struct number read_number(const char *text, const char *start) {
  char digits[KEPT_DIGITS + 32];
  int kept = 0;
  int64_t exponent = 0;
  const char *place = start;
  for (const char *end = end_of_integer(start); place < end; place++) {
    if (*place == ',' || (kept == 0 && *place == '0')) continue;
    if (kept < KEPT_DIGITS) digits[kept++] = *place;
    else exponent++;
  }
  if (place[0] == '.' && is_digit(place[1])) {
    for (place++; is_digit(*place); place++) {
      if (kept == KEPT_DIGITS) continue;
      exponent--;
      if (kept > 0 || *place != '0') digits[kept++] = *place;
    }
  }
  if (*place == 'e' || *place == 'E') {
    const char *power = place + 1;
    const int sign = *power == '-' ? -1 : 1;
    if (*power == '-' || *power == '+') power++;
    if (is_digit(*power)) {
      int64_t given = 0;
      for (; is_digit(*power); power++) {
        if (given < 1000000000) given = 10 * given + (*power - '0');
      }
      exponent += sign * given;
      place = power;
    }
  }
  double value = 0;
  if (kept > 0) {
    snprintf(digits + kept, 32, "e%lld", (long long)exponent);
    value = strtod(digits, NULL);
  }
  return (struct number){.value = is_negative(text, start) ? -value : value, .end = place};
}

// The first number at or behind `from` in `text`. Returns 0 if there is none.
static inline int next_number(const char *text, const char *from, struct number *number) {
  for (const char *place = from; *place != '\0'; place++) {
    const int leads = *place == '.' && is_digit(place[1]) && (place == text || !is_digit(place[-1]));
    if (!is_digit(*place) && !leads) continue;
    *number = read_number(text, place);
    return 1;
  }
  return 0;
}

// The last number of `text`. Returns 0 if there is none.
static inline int last_number(const char *text, struct number *number) {
  int found = 0;
  for (struct number next = {.end = text}; next_number(text, next.end, &next);) {
    *number = next;
    found = 1;
  }
  return found;
}

#endif
