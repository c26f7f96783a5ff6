/* Text to tokens.
 *
 *     text ─> words (pre-tokenization) ─> bytes ─> pairs merged (merge.h), lowest rank first ─> ids */
#include "merge.h"
#include "unicode.h"
#include "whisper_vocab.h"

/* ---- words ---- */

static unicode_class class_at(const char *text, size_t n, size_t *length) {
  uint32_t c;
  bool valid;
  *length = utf8_read(text, n, &c, &valid);
  return valid ? unicode_class_of(c) : UNICODE_OTHER;
}

/* Bytes of the contraction that text[n] begins with, 0 for none. */
static size_t contraction(const char *text, size_t n) {
  static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t length = strlen(endings[i]);
    if (length <= n && !memcmp(text, endings[i], length)) return length;
  }
  return 0;
}

/* Bytes of the first word of text[n], n >= 1: what GPT-2's expression matches there,
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t word_length(const char *text, size_t n) {
  size_t length = contraction(text, n);
  if (length) return length;

  size_t begin = text[0] == ' ' && n > 1 ? 1 : 0, end = begin;
  unicode_class class = class_at(text + begin, n - begin, &length);
  if (class == UNICODE_SPACE) end = begin = 0;
  unicode_class first = class_at(text + begin, n - begin, &length);
  size_t last = 0; /* bytes of the last character taken */
  while (end < n && class_at(text + end, n - end, &length) == first) {
    end += length;
    last = length;
  }
  /* White space before a word leaves its last character to that word. */
  return first == UNICODE_SPACE && end < n && end > last ? end - last : end;
}

/* ---- merging: a token's id is its rank ---- */

static uint32_t priority(const void *vocab, const char *text, size_t bytes) {
  return (uint32_t)whisper_vocab_find(vocab, text, bytes); /* -1 is MERGE_NONE */
}

/* Ids of the symbols gathered up to byte `end`; returns how many there are and writes those that fit. Bytes that are no token are left
 * out. */
static size_t flush(merger *m, uint32_t end, int32_t *ids, size_t capacity) {
  size_t count = 0;
  merge_run(m, end);
  for (int32_t i = 0; i < m->n_symbols; i = m->symbols[i].next) {
    uint32_t begin = m->symbols[i].begin;
    int32_t id = whisper_vocab_find(m->vocab, m->text + begin, merge_end(m, i, end) - begin);
    if (id < 0) continue;
    if (count < capacity) ids[count] = id;
    count++;
  }
  m->n_symbols = 0;
  return count;
}

/* Ids of the word m->text[n], whose symbols are its bytes. */
static size_t encode_word(merger *m, size_t n, int32_t *ids, size_t capacity) {
  int32_t whole = whisper_vocab_find(m->vocab, m->text, n);
  if (whole >= 0) {
    if (capacity > 0) ids[0] = whole;
    return 1;
  }
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    if (merge_add(m, (uint32_t)i, NULL) == SOTTO_OK) continue;
    /* no memory: the word in pieces, the same bytes in perhaps other tokens */
    size_t used = min_size(count, capacity);
    count += flush(m, (uint32_t)i, ids ? ids + used : NULL, capacity - used);
    merge_add(m, (uint32_t)i, NULL);
  }
  size_t used = min_size(count, capacity);
  return count + flush(m, (uint32_t)n, ids ? ids + used : NULL, capacity - used);
}

size_t whisper_vocab_encode(const whisper_vocab *v, const char *text, size_t bytes, int32_t *ids, size_t capacity) {
  merger m = {.priority = priority, .vocab = v};
  size_t count = 0;
  for (size_t i = 0; i < bytes;) {
    size_t length = word_length(text + i, bytes - i), used = min_size(count, capacity);
    m.text = text + i;
    count += encode_word(&m, length, ids ? ids + used : NULL, capacity - used);
    i += length;
  }
  merge_free(&m);
  return count;
}
