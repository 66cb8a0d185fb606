/* The system's PCRE2 over UTF-8, for the tokenizers' Unicode regular expressions. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
