#include "unicode.h"

/* Sorted; (first code point << 2) | class. */
static const uint32_t class_changes[] = {
#include "unicode_classes.inc"
};

unicode_class unicode_class_of(uint32_t code_point) {
  size_t low = 0, high = sizeof class_changes / sizeof *class_changes; /* the entry is in [low, high) */
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (class_changes[middle] >> 2 <= code_point)
      low = middle;
    else
      high = middle;
  }
  return (unicode_class)(class_changes[low] & 3);
}

size_t utf8_read(const char *text, size_t n, uint32_t *code_point, bool *valid) {
  const unsigned char *s = (const unsigned char *)text;
  uint32_t c = s[0];
  *code_point = UNICODE_REPLACEMENT;
  *valid = false;
  if (c < 0x80) {
    *code_point = c;
    *valid = true;
    return 1;
  }
  size_t length = c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
  if (length == 0) return 1;

  /* The second byte is what rules out overlong forms, surrogates and code points past U+10FFFF. */
  unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  uint32_t value = c & (0x7fu >> length);
  for (size_t i = 1; i < length; i++) {
    if (i >= n || s[i] < low || s[i] > high) return i;
    value = value << 6 | (s[i] & 0x3fu);
    low = 0x80;
    high = 0xbf;
  }
  *code_point = value;
  *valid = true;
  return length;
}

size_t utf8_repair(const char *text, size_t n, char *out) {
  size_t written = 0;
  for (size_t i = 0; i < n;) {
    uint32_t c;
    bool valid;
    size_t length = utf8_read(text + i, n - i, &c, &valid);
    memcpy(out + written, valid ? text + i : "\xef\xbf\xbd", valid ? length : 3);
    written += valid ? length : 3;
    i += length;
  }
  out[written] = 0;
  return written;
}

/* What Python's str.strip() removes: white space, and the four ASCII separators that Unicode does not count as such. */
static bool is_stripped(uint32_t c) { return (c >= 0x1c && c <= 0x1f) || unicode_class_of(c) == UNICODE_SPACE; }

const char *utf8_strip(const char *text, size_t *n) {
  uint32_t c;
  bool valid;
  size_t begin = 0, end = *n;
  while (begin < end) {
    size_t length = utf8_read(text + begin, end - begin, &c, &valid);
    if (!is_stripped(c)) break;
    begin += length;
  }
  while (end > begin) {
    size_t last = end - 1;
    while (last > begin && ((unsigned char)text[last] & 0xc0) == 0x80) last--;
    utf8_read(text + last, end - last, &c, &valid);
    if (!is_stripped(c)) break;
    end = last;
  }
  *n = end - begin;
  return text + begin;
}
