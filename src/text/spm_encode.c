/* Text to tokens and back.
 *
 *     text ─> control and user-defined tokens, leftmost and longest first
 *          └> stretches between them ─> cut where no token has the two bytes side by side ─> characters ─> merged (merge.h)
 *                                       ─> ids; a character without a token: its bytes
 *
 * Cutting changes nothing, as a merge across such a place would make a token that has the two bytes side by side. It
 * is what keeps the merging short: Gemma has no token with a space behind a letter, so a stretch is a word. */
#include "merge.h"
#include "spm_vocab.h"
#include "unicode.h"

/* The ids of one symbol. */
static sotto_status emit(const spm_vocab *v, const char *text, size_t bytes, id_list *out, error *err) {
  int32_t id = spm_vocab_find_normal(v, text, bytes);
  if (id >= 0) return id_list_add(out, id, err);
  for (size_t i = 0; i < bytes; i++) {
    if (spm_vocab_byte(v, (unsigned char)text[i]) < 0) return id_list_add(out, spm_vocab_settings(v)->unk, err);
  }
  for (size_t i = 0; i < bytes; i++) TRY(id_list_add(out, spm_vocab_byte(v, (unsigned char)text[i]), err));
  return SOTTO_OK;
}

/* Merges the symbols gathered up to byte `end`, and begins anew. */
static sotto_status flush(const spm_vocab *v, merger *m, uint32_t end, id_list *out, error *err) {
  merge_run(m, end);
  for (int32_t i = 0; i < m->n_symbols; i = m->symbols[i].next) {
    uint32_t begin = m->symbols[i].begin;
    TRY(emit(v, m->text + begin, merge_end(m, i, end) - begin, out, err));
  }
  m->n_symbols = 0;
  return SOTTO_OK;
}

static sotto_status encode(const spm_vocab *v, merger *m, uint32_t bytes, bool control, id_list *out, error *err) {
  uint32_t i = 0;
  while (i < bytes) {
    const char *text = m->text + i;
    size_t length = 0;
    uint32_t code_point;
    bool valid;
    int32_t id = spm_vocab_special_at(v, text, bytes - i, control, &length);
    if (id >= 0) {
      TRY(flush(v, m, i, out, err));
      TRY(id_list_add(out, id, err));
      i += (uint32_t)length;
      continue;
    }
    if (m->n_symbols > 0 && !spm_vocab_joins(v, (unsigned char)text[-1], (unsigned char)text[0])) {
      TRY(flush(v, m, i, out, err));
    }
    TRY(merge_add(m, i, err));
    i += (uint32_t)utf8_read(text, bytes - i, &code_point, &valid);
  }
  return flush(v, m, bytes, out, err);
}

sotto_status spm_encode(const spm_vocab *v, const char *text, size_t bytes, unsigned flags, id_list *out, error *err) {
  const spm_settings *settings = spm_vocab_settings(v);
  if (bytes >= INT32_MAX)
    return fail(err, SOTTO_ERR_ARGUMENT, "a text of 2 GB or more cannot be tokenized: give it in parts");
  if (flags & SPM_ADD_BOS && settings->bos >= 0) TRY(id_list_add(out, settings->bos, err));
  if (bytes == 0) return SOTTO_OK;

  char *prefixed = NULL;
  if (settings->dummy_prefix && !(flags & SPM_NO_DUMMY_SPACE)) {
    prefixed = mem_alloc(bytes + 1, 1);
    if (!prefixed) return fail(err, SOTTO_ERR_MEMORY, "out of memory for tokenizing: give the text in parts");
    prefixed[0] = ' ';
    memcpy(prefixed + 1, text, bytes);
    text = prefixed;
    bytes++;
  }
  merger m = {.priority = spm_vocab_priority, .vocab = v, .text = text};
  sotto_status status = encode(v, &m, (uint32_t)bytes, (flags & SPM_PARSE_CONTROL) != 0, out, err);
  merge_free(&m);
  mem_free(prefixed);
  return status;
}

const char *spm_piece(const spm_vocab *v, int32_t id, bool show_control, size_t *bytes) {
  spm_type type = spm_vocab_type(v, id);
  bool shown = show_control || type == SPM_NORMAL || type == SPM_USER_DEFINED || type == SPM_BYTE;
  return spm_vocab_text(v, shown ? id : -1, bytes);
}

size_t spm_decode(const spm_vocab *v, const int32_t *ids, size_t n, bool show_control, char *out, size_t capacity) {
  bool prefixed = spm_vocab_settings(v)->dummy_prefix;
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    size_t bytes;
    const char *text = spm_piece(v, ids[i], show_control, &bytes);
    spm_type type = spm_vocab_type(v, ids[i]);
    if (prefixed && bytes > 0 && type != SPM_CONTROL) { /* the first text loses the space that encoding put there */
      size_t drop = text[0] == ' ';
      text += drop;
      bytes -= drop;
      prefixed = false;
    }
    if (count < capacity) memcpy(out + count, text, min_size(bytes, capacity - count));
    count += bytes;
  }
  return count;
}
