/* Files that are not what a reader wants, told by their first bytes. */
#ifndef SOTTO_FOREIGN_H
#define SOTTO_FOREIGN_H

#include "../base/base.h"

/* Refuses a file that begins with these bytes, saying what it seems to be. `wanted` names the format of the reader ("ggml");
 * `advice` says what to give instead, where that is not plain. The reader knows its own format before it asks here.
 * Returns SOTTO_ERR_FORMAT. */
sotto_status foreign_refuse(const void *bytes, size_t size, const char *wanted, const char *advice, error *err);

#endif
