/* The number of bytes that zlib.compress(text) would yield, without making them.
 *
 * Whisper takes a text that compresses too well for a loop. The threshold is tuned to zlib at its default level, so the same
 * matches, blocks and codes are counted here. (deflate_codes.c: the sizes of blocks) */
#ifndef SOTTO_ZLIB_SIZE_H
#define SOTTO_ZLIB_SIZE_H

#include "../base/base.h"

typedef struct zlib_sizer zlib_sizer;

zlib_sizer *zlib_sizer_open(void); /* 260 KiB of tables, for any number of texts; NULL: no memory */
void zlib_sizer_close(zlib_sizer *z);

/* Bytes of the zlib stream (level 6, window 32 KiB, memory level 8) of text[n], n < 2^31. */
size_t zlib_size(zlib_sizer *z, const char *text, size_t n);

#endif
