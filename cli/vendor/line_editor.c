/* The vendored line editor, compiled once, without warnings of ours. See README.md. */
#define USE_UTF8
#include "linenoise/linenoise.c"
