/* The system's utf8proc, for the Unicode normal forms and lower case that tokenizers ask for. */
#include <utf8proc.h>
