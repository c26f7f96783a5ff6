/* Reads Hugging Face's tokenizer.json where it describes byte-pair encoding with byte fallback.
 *
 *     model.vocab: text ─> id     ┐
 *     added_tokens: id, content   ├─> tokens in the order of their ids ─> model.merges, in order of rank
 *     post_processor, normalizer  ┘   settings */
#include <math.h>

#include "../formats/json.h"
#include "spm_vocab.h"

#define TEXT_BYTES (SPM_MAX_TOKEN_BYTES + 1) /* a longer text shows as too long, and is refused as one */

typedef struct slot { /* what a file says of an id */
  uint32_t text;      /* node of its text; JSON_NONE: nothing */
  int32_t type;
} slot;

typedef struct reader {
  const json *j;
  spm_vocab *v;
  slot *slots; /* [n_slots] by id */
  int32_t n_slots;
  spm_settings settings;
} reader;

static sotto_status broken(const char *what, error *err) {
  return fail(err, SOTTO_ERR_FORMAT, "tokenizer.json: %s: the file is damaged, fetch it again", what);
}

static sotto_status unsupported(const char *what, error *err) {
  return fail(err, SOTTO_ERR_UNSUPPORTED,
              "tokenizer.json: %s is not supported, only byte-pair encoding with byte fallback as Gemma has it", what);
}

/* ---- what is done to text before and after ---- */

static sotto_status read_normalizer(reader *r, uint32_t n, error *err) {
  const json *j = r->j;
  json_kind kind = json_kind_of(j, n);
  if (kind == JSON_MISSING || kind == JSON_NULL) return SOTTO_OK;
  uint32_t type = json_get(j, n, "type");
  if (json_is(j, type, "Sequence")) {
    for (json_walk w = json_children(j, json_get(j, n, "normalizers")); json_next(&w);) {
      if (json_is(j, json_get(j, w.value, "type"), "Sequence")) return unsupported("a nested normalizer", err);
      TRY(read_normalizer(r, w.value, err));
    }
    return SOTTO_OK;
  }
  if (json_is(j, type, "Prepend") && json_is(j, json_get(j, n, "prepend"), "\xe2\x96\x81")) {
    r->settings.dummy_prefix = true;
    return SOTTO_OK;
  }
  bool spaces = json_is(j, json_get(j, json_get(j, n, "pattern"), "String"), " ");
  if (json_is(j, type, "Replace") && spaces && json_is(j, json_get(j, n, "content"), "\xe2\x96\x81")) return SOTTO_OK;
  return unsupported("its normalizer", err);
}

/* Splitting at spaces finds none, as they are replaced by then. */
static sotto_status read_pre_tokenizer(const json *j, uint32_t p, error *err) {
  json_kind kind = json_kind_of(j, p);
  if (kind == JSON_MISSING || kind == JSON_NULL) return SOTTO_OK;
  bool spaces = json_is(j, json_get(j, json_get(j, p, "pattern"), "String"), " ");
  if (json_is(j, json_get(j, p, "type"), "Split") && spaces) return SOTTO_OK;
  return unsupported("its pre-tokenizer", err);
}

/* The template that puts bos before a text: its first part is a special token with an id. */
static void read_post_processor(reader *r, uint32_t p) {
  const json *j = r->j;
  json_walk parts = json_children(j, json_get(j, p, "single"));
  char name[64];
  int64_t id;
  if (!json_next(&parts)) return;
  uint32_t special = json_get(j, json_get(j, parts.value, "SpecialToken"), "id");
  size_t bytes = json_read_string(j, special, name, sizeof name - 1);
  if (bytes == 0 || bytes >= sizeof name || memchr(name, 0, bytes)) return;
  name[bytes] = 0;
  json_walk ids = json_children(j, json_get(j, json_get(j, json_get(j, p, "special_tokens"), name), "ids"));
  if (!json_next(&ids) || !json_read_integer(j, ids.value, &id) || id < 0 || id >= r->n_slots) return;
  r->settings.bos = (int32_t)id;
  r->settings.add_bos = true;
}

/* ---- tokens ---- */

static sotto_status set_slot(reader *r, uint32_t id_node, uint32_t text, int32_t type, error *err) {
  int64_t id;
  if (!json_read_integer(r->j, id_node, &id) || id < 0 || id >= r->n_slots) {
    return broken("a token has an id that makes no sense", err);
  }
  r->slots[id] = (slot){text, type};
  return SOTTO_OK;
}

/* Fills the slots: the vocabulary, then what is added to it or said more exactly of its tokens. */
static sotto_status read_slots(reader *r, uint32_t vocab, uint32_t added, error *err) {
  const json *j = r->j;
  for (json_walk w = json_children(j, vocab); json_next(&w);) {
    char text[8];
    size_t bytes = json_read_string(j, w.key, text, sizeof text);
    bool is_byte = bytes <= sizeof text && spm_byte_value(text, bytes) >= 0;
    TRY(set_slot(r, w.value, w.key, is_byte ? SPM_BYTE : SPM_NORMAL, err));
  }
  for (json_walk w = json_children(j, added); json_next(&w);) {
    uint32_t content = json_get(j, w.value, "content");
    if (json_kind_of(j, content) != JSON_STRING) return broken("an added token has no content", err);
    bool special = json_kind_of(j, json_get(j, w.value, "special")) == JSON_TRUE;
    int32_t type = special ? SPM_CONTROL : SPM_USER_DEFINED;
    TRY(set_slot(r, json_get(j, w.value, "id"), content, type, err));
  }
  return SOTTO_OK;
}

static sotto_status add_tokens(reader *r, error *err) {
  char text[TEXT_BYTES];
  for (int32_t id = 0; id < r->n_slots; id++) {
    slot s = r->slots[id];
    size_t bytes = s.text == JSON_NONE ? 0 : json_read_string(r->j, s.text, text, sizeof text);
    if (bytes > sizeof text) bytes = sizeof text; /* refused below */
    TRY(spm_vocab_add(r->v, text, bytes, -INFINITY, s.text == JSON_NONE ? SPM_UNUSED : s.type, err));
  }
  return SOTTO_OK;
}

/* Merges are ["left", "right"], in older files "left right". */
static sotto_status add_merges(reader *r, uint32_t merges, error *err) {
  const json *j = r->j;
  char left[TEXT_BYTES], right[TEXT_BYTES], both[2 * TEXT_BYTES];
  int32_t rank = 0;
  for (json_walk w = json_children(j, merges); json_next(&w); rank++) {
    const char *texts[2] = {left, right};
    size_t bytes[2] = {0, 0};
    if (json_kind_of(j, w.value) == JSON_STRING) {
      size_t n = json_read_string(j, w.value, both, sizeof both);
      const char *space = n > 0 && n <= sizeof both ? memchr(both, ' ', n) : NULL;
      if (!space) return broken("a merge is no pair", err);
      texts[0] = both;
      texts[1] = space + 1;
      bytes[0] = (size_t)(space - both);
      bytes[1] = n - bytes[0] - 1;
    } else {
      json_walk pair = json_children(j, w.value);
      if (json_next(&pair)) bytes[0] = json_read_string(j, pair.value, left, sizeof left);
      if (json_next(&pair)) bytes[1] = json_read_string(j, pair.value, right, sizeof right);
      if (bytes[0] == 0 || bytes[1] == 0) return broken("a merge is no pair", err);
    }
    TRY(spm_vocab_merge(r->v, texts[0], bytes[0], texts[1], bytes[1], rank, err)); /* refuses texts that are too long */
  }
  return SOTTO_OK;
}

/* The first of two names that a control token has. */
static int32_t find_control(const spm_vocab *v, const char *name, const char *other) {
  int32_t id = spm_vocab_find(v, name, strlen(name));
  if (id < 0) id = spm_vocab_find(v, other, strlen(other));
  return spm_vocab_type(v, id) == SPM_CONTROL ? id : -1;
}

static sotto_status read_all(reader *r, error *err) {
  const json *j = r->j;
  uint32_t root = json_root(j), model = json_get(j, root, "model"), type = json_get(j, model, "type");
  uint32_t vocab = json_get(j, model, "vocab"), merges = json_get(j, model, "merges");
  uint32_t added = json_get(j, root, "added_tokens");
  if (json_kind_of(j, model) != JSON_OBJECT) return broken("it has no model", err);
  if (json_kind_of(j, type) == JSON_STRING && !json_is(j, type, "BPE")) return unsupported("its kind of model", err);
  if (json_kind_of(j, vocab) != JSON_OBJECT || json_kind_of(j, merges) != JSON_ARRAY) {
    return unsupported("a model without a vocabulary and merges", err);
  }
  TRY(read_normalizer(r, json_get(j, root, "normalizer"), err));
  TRY(read_pre_tokenizer(j, json_get(j, root, "pre_tokenizer"), err));

  /* Ids have gaps at times, but not more of them than tokens. */
  uint64_t n_slots = 2 * ((uint64_t)json_count(j, vocab) + json_count(j, added)) + 16;
  r->n_slots = n_slots < SPM_MAX_TOKENS ? (int32_t)n_slots : SPM_MAX_TOKENS;
  r->slots = mem_alloc((size_t)r->n_slots, sizeof *r->slots);
  if (!r->slots) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the vocabulary");
  for (int32_t id = 0; id < r->n_slots; id++) r->slots[id].text = JSON_NONE;
  TRY(read_slots(r, vocab, added, err));
  while (r->n_slots > 0 && r->slots[r->n_slots - 1].text == JSON_NONE) r->n_slots--;

  TRY(add_tokens(r, err));
  TRY(add_merges(r, merges, err));
  r->settings.bos = find_control(r->v, "<bos>", "<s>");
  r->settings.eos = find_control(r->v, "<eos>", "</s>");
  r->settings.pad = find_control(r->v, "<pad>", "<pad>");
  r->settings.unk = find_control(r->v, "<unk>", "<unk>");
  read_post_processor(r, json_get(j, root, "post_processor"));
  spm_vocab_set(r->v, &r->settings);
  return spm_vocab_seal(r->v, err);
}

sotto_status spm_read_json(spm_vocab **out, const char *bytes, size_t size, error *err) {
  *out = NULL;
  json *j;
  TRY(json_parse(&j, bytes, size, "tokenizer.json", err));
  reader r = {.j = j, .v = spm_vocab_open()};
  sotto_status status = r.v ? read_all(&r, err) : fail(err, SOTTO_ERR_MEMORY, "out of memory for the vocabulary");
  mem_free(r.slots);
  json_close(j);
  if (status < 0) {
    spm_vocab_close(r.v);
    return status;
  }
  *out = r.v;
  return SOTTO_OK;
}
