/* What kind of file its first bytes say it is. */
#ifndef CLI_SNIFF_H
#define CLI_SNIFF_H

#include <stddef.h>
#include <stdint.h>

typedef enum sniffed {
  SNIFFED_WAV,
  SNIFFED_MP3,
  SNIFFED_FLAC,
  SNIFFED_OGG_FLAC,
  SNIFFED_VORBIS,
  SNIFFED_OTHER, /* a known kind that is not decoded here */
  SNIFFED_UNKNOWN,
} sniffed;

/* `bytes` begins behind any ID3 tag. *what: name of an OTHER kind. */
sniffed sniff(const uint8_t *bytes, size_t size, const char **what);

/* Bytes of the ID3v2 tag that begins here, 0: none. Needs ten bytes. */
size_t sniff_id3_bytes(const uint8_t *bytes, size_t size);

#endif
