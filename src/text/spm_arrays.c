/* Makes a vocabulary of arrays as GGUF files have them. */
#include <math.h>

#include "spm_vocab.h"

typedef struct strings {
  const char *at;
  size_t left; /* bytes */
} strings;

/* The next string of a list. */
static sotto_status next_string(strings *s, const char **text, size_t *bytes, error *err) {
  uint64_t length = 0;
  bool whole = s->left >= sizeof length;
  if (whole) {
    memcpy(&length, s->at, sizeof length);
    s->at += sizeof length;
    s->left -= sizeof length;
    whole = length <= s->left;
  }
  if (!whole) return fail(err, SOTTO_ERR_FORMAT, "the tokenizer in this GGUF file is damaged: fetch the file again");
  *text = s->at;
  *bytes = (size_t)length;
  s->at += length;
  s->left -= (size_t)length;
  return SOTTO_OK;
}

static sotto_status read_tokens(spm_vocab *v, const spm_arrays *a, error *err) {
  strings list = {a->tokens, a->tokens_bytes};
  for (size_t i = 0; i < a->n_tokens; i++) {
    const char *text = NULL; /* gcc 12 does not see that next_string sets both */
    size_t bytes = 0;
    TRY(next_string(&list, &text, &bytes, err));
    int32_t type = spm_byte_value(text, bytes) >= 0 ? SPM_BYTE : SPM_NORMAL;
    if (a->types) type = (int32_t)load_u32((const char *)a->types + 4 * i);
    float score = a->scores && a->n_merges == 0 ? load_f32((const char *)a->scores + 4 * i) : -INFINITY;
    TRY(spm_vocab_add(v, text, bytes, score, type, err));
  }
  return SOTTO_OK;
}

static sotto_status read_merges(spm_vocab *v, const spm_arrays *a, error *err) {
  strings list = {a->merges, a->merges_bytes};
  for (size_t i = 0; i < a->n_merges; i++) {
    const char *text = NULL, *space;
    size_t bytes = 0;
    TRY(next_string(&list, &text, &bytes, err));
    space = bytes > 0 ? memchr(text, ' ', bytes) : NULL;
    size_t left = space ? (size_t)(space - text) : bytes, skipped = space ? left + 1 : bytes;
    TRY(spm_vocab_merge(v, text, left, text + skipped, bytes - skipped, i > INT32_MAX ? -1 : (int32_t)i, err));
  }
  return SOTTO_OK;
}

static sotto_status read_all(spm_vocab *v, const spm_arrays *a, error *err) {
  if (!a->scores && a->n_merges == 0) {
    return fail(err, SOTTO_ERR_FORMAT,
                "the tokenizer in this GGUF file has neither scores nor merges: use another file");
  }
  TRY(read_tokens(v, a, err));
  TRY(read_merges(v, a, err));
  spm_vocab_set(v, &a->settings);
  return spm_vocab_seal(v, err);
}

sotto_status spm_read_arrays(spm_vocab **out, const spm_arrays *a, error *err) {
  *out = NULL;
  spm_vocab *v = spm_vocab_open();
  if (!v) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the vocabulary");
  sotto_status status = read_all(v, a, err);
  if (status < 0) {
    spm_vocab_close(v);
    return status;
  }
  *out = v;
  return SOTTO_OK;
}
