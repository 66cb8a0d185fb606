/* The system's libmd, for SHA-256 digests of datasets and masks. */
#include <sys/types.h>
#include <sha2.h>
