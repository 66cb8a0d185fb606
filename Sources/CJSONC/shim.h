/* The system's json-c, the one JSON reader and writer of the daemon. */
#include <json-c/json.h>
