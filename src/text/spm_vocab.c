/* Storage of a SentencePiece vocabulary.
 *
 *     add:  text ─> arena [token 0 \0 token 1 \0 ...]; entries[id] has its place, type and merge priority
 *                   slots: hash table of bytes ─> id
 *     seal: specials: control and user-defined tokens sorted by their bytes, for longest matches
 *           joins: which bytes follow each other in normal tokens, for cutting text where no merge can reach across */
#include "spm_vocab.h"

#include <math.h>
#include <stdlib.h>

#include "merge.h"

#define SPACE_MARK "\xe2\x96\x81" /* U+2581 */

typedef struct entry {
  uint32_t start, bytes; /* in the arena; a NUL follows */
  uint32_t priority;     /* for merge.h */
  int32_t type;
} entry;

typedef struct special {
  const char *text;
  uint32_t bytes;
  int32_t id;
} special;

struct spm_vocab {
  spm_settings settings;
  entry *entries; /* [n_tokens] */
  int32_t n_tokens;
  size_t entries_capacity;
  char *arena;
  size_t arena_used, arena_size;
  int32_t *slots; /* [slot_mask + 1] hash table with open addressing: id or -1; at most half full */
  uint32_t slot_mask;
  uint32_t n_slots_used;
  uint32_t longest; /* bytes, of the normal tokens */
  special *specials;
  int32_t n_specials;
  int32_t specials_from[257]; /* those that begin with byte b are [specials_from[b], specials_from[b + 1]) */
  int32_t byte_ids[256];
  uint8_t joins[256][32]; /* bit `right` of row `left` */
};

spm_vocab *spm_vocab_open(void) {
  spm_vocab *v = mem_alloc(1, sizeof *v);
  if (!v) return NULL;
  v->settings = (spm_settings){.bos = -1, .eos = -1, .unk = -1, .pad = -1};
  memset(v->byte_ids, -1, sizeof v->byte_ids);
  return v;
}

void spm_vocab_close(spm_vocab *v) {
  if (!v) return;
  mem_free(v->entries);
  mem_free(v->arena);
  mem_free(v->slots);
  mem_free(v->specials);
  mem_free(v);
}

/* ---- adding ---- */

static sotto_status no_memory(error *err) { return fail(err, SOTTO_ERR_MEMORY, "out of memory for the vocabulary"); }

static const char *text_of(const spm_vocab *v, int32_t id) { return v->arena + v->entries[id].start; }

/* The first token of a type with these bytes. */
static int32_t find(const spm_vocab *v, const char *text, size_t bytes, int32_t type) {
  if (!v->slots) return -1;
  for (uint32_t slot = hash_key(text, bytes) & v->slot_mask; v->slots[slot] >= 0; slot = (slot + 1) & v->slot_mask) {
    int32_t id = v->slots[slot];
    const entry *e = &v->entries[id];
    if (e->type == type && e->bytes == bytes && !memcmp(v->arena + e->start, text, bytes)) return id;
  }
  return -1;
}

static void put(spm_vocab *v, int32_t id) {
  uint32_t slot = hash_key(text_of(v, id), v->entries[id].bytes) & v->slot_mask;
  while (v->slots[slot] >= 0) slot = (slot + 1) & v->slot_mask;
  v->slots[slot] = id;
}

/* Enters a token into the hash table, unless an equal one is there: the first counts. */
static sotto_status put_first(spm_vocab *v, int32_t id, error *err) {
  const entry *e = &v->entries[id];
  if (find(v, text_of(v, id), e->bytes, e->type) >= 0) return SOTTO_OK;
  if (!v->slots || v->n_slots_used > v->slot_mask / 2) {
    uint32_t n_slots = v->slots ? (v->slot_mask + 1) * 2 : 1024;
    int32_t *old = v->slots, *slots = mem_alloc(n_slots, sizeof *slots);
    if (!slots) return no_memory(err);
    memset(slots, -1, n_slots * sizeof *slots);
    uint32_t n_old = old ? v->slot_mask + 1 : 0;
    v->slots = slots;
    v->slot_mask = n_slots - 1;
    for (uint32_t i = 0; i < n_old; i++)
      if (old[i] >= 0) put(v, old[i]);
    mem_free(old);
  }
  put(v, id);
  v->n_slots_used++;
  return SOTTO_OK;
}

/* Writes text[bytes] with spaces for their marks; `out` has room for as many bytes. Returns the number written. */
static size_t unmark(const char *text, size_t bytes, char *out) {
  size_t n = 0;
  for (size_t i = 0; i < bytes;) {
    bool mark = bytes - i >= 3 && !memcmp(text + i, SPACE_MARK, 3);
    out[n++] = mark ? ' ' : text[i];
    i += mark ? 3 : 1;
  }
  return n;
}

int32_t spm_byte_value(const char *text, size_t bytes) {
  int32_t value = 0;
  if (bytes != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
  for (int i = 3; i < 5; i++) {
    const char *digits = "0123456789ABCDEF0123456789abcdef", *digit = text[i] ? strchr(digits, text[i]) : NULL;
    if (!digit) return -1;
    value = value * 16 + (int32_t)((digit - digits) % 16);
  }
  return value;
}

/* Tokens that steer the chat are control tokens whatever a file says: tokenizer.model has no way to say so. */
static bool steers(const char *text, size_t bytes) {
  static const char *const names[] = {"<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (bytes == strlen(names[i]) && !memcmp(text, names[i], bytes)) return true;
  return bytes > 3 && text[0] == '<' && text[bytes - 1] == '>' && (text[1] == '|' || text[bytes - 2] == '|');
}

/* A smaller number for a higher score: the bits of a float order it once the negative ones are turned around. */
static uint32_t priority_of(float score) {
  if (score == -INFINITY) return MERGE_NONE;
  uint32_t u;
  score += 0.0f; /* no negative zero */
  memcpy(&u, &score, sizeof u);
  return u & 0x80000000u ? u : 0x7fffffffu - u;
}

float spm_vocab_score(const spm_vocab *v, int32_t id) {
  if (spm_vocab_type(v, id) != SPM_NORMAL) return 0;
  uint32_t u = v->entries[id].priority; /* priority_of, turned back */
  if (u == MERGE_NONE) return -INFINITY;
  if (!(u & 0x80000000u)) u = 0x7fffffffu - u;
  return load_f32(&u);
}

sotto_status spm_vocab_add(spm_vocab *v, const char *text, size_t bytes, float score, int32_t type, error *err) {
  int32_t id = v->n_tokens;
  if (id >= SPM_MAX_TOKENS) {
    return fail(err, SOTTO_ERR_FORMAT, "the vocabulary has more than %d tokens: the file is damaged, fetch it again",
                SPM_MAX_TOKENS);
  }
  if (bytes > SPM_MAX_TOKEN_BYTES) {
    return fail(err, SOTTO_ERR_FORMAT,
                "token %d has %zu bytes, more than any real one: the file is damaged, fetch it again", (int)id, bytes);
  }
  if (type < SPM_NORMAL || type > SPM_BYTE || isnan(score)) {
    return fail(err, SOTTO_ERR_FORMAT,
                "token %d has a type or a score that makes no sense: the file is damaged, fetch it again", (int)id);
  }
  if (v->arena_used + bytes >= UINT32_MAX) return no_memory(err);
  entry *entries = mem_grow(v->entries, sizeof *entries, (size_t)id, &v->entries_capacity, (size_t)id + 1);
  if (!entries) return no_memory(err);
  v->entries = entries;
  char *arena = mem_grow(v->arena, 1, v->arena_used, &v->arena_size, v->arena_used + bytes + 1);
  if (!arena) return no_memory(err);
  v->arena = arena;

  if (type == SPM_USER_DEFINED && steers(text, bytes)) type = SPM_CONTROL;
  entry *e = &v->entries[id];
  char *stored = v->arena + v->arena_used;
  *e = (entry){.start = (uint32_t)v->arena_used, .priority = MERGE_NONE, .type = type};
  if (type == SPM_BYTE) {
    int32_t byte = spm_byte_value(text, bytes);
    if (byte < 0) {
      return fail(err, SOTTO_ERR_FORMAT,
                  "token %d should stand for a byte and does not read like <0x41>: the file is damaged, fetch it again",
                  (int)id);
    }
    stored[0] = (char)byte;
    e->bytes = 1;
    if (v->byte_ids[byte] < 0) v->byte_ids[byte] = id;
  } else if (type == SPM_NORMAL || type == SPM_USER_DEFINED) {
    e->bytes = (uint32_t)unmark(text, bytes, stored);
  } else {
    if (bytes > 0) memcpy(stored, text, bytes); /* text of none may be NULL */
    e->bytes = (uint32_t)bytes;
  }
  stored[e->bytes] = 0;
  if (type == SPM_NORMAL) {
    e->priority = priority_of(score);
    if (e->bytes > v->longest) v->longest = e->bytes;
  }
  if (e->bytes > 0 && (type == SPM_NORMAL || type == SPM_USER_DEFINED || type == SPM_CONTROL))
    TRY(put_first(v, id, err));
  v->arena_used += e->bytes + 1;
  v->n_tokens++;
  return SOTTO_OK;
}

sotto_status spm_vocab_merge(spm_vocab *v, const char *left, size_t left_bytes, const char *right, size_t right_bytes,
                             int32_t rank, error *err) {
  char joined[2 * SPM_MAX_TOKEN_BYTES];
  size_t bytes = 0;
  int32_t id = -1;
  if (left_bytes <= SPM_MAX_TOKEN_BYTES && right_bytes <= SPM_MAX_TOKEN_BYTES) {
    bytes = unmark(left, left_bytes, joined);
    bytes += unmark(right, right_bytes, joined + bytes);
    id = find(v, joined, bytes, SPM_NORMAL);
    if (id < 0 && find(v, joined, bytes, SPM_USER_DEFINED) >= 0) return SOTTO_OK; /* found before any merging */
  }
  if (id < 0 || rank < 0 || rank >= 1 << 24) { /* floats are exact up to there */
    return fail(err, SOTTO_ERR_FORMAT, "merge %d makes no token of the vocabulary: the file is damaged, fetch it again",
                (int)rank);
  }
  entry *e = &v->entries[id];
  if (e->priority == MERGE_NONE) e->priority = priority_of(-(float)rank);
  return SOTTO_OK;
}

/* ---- sealing ---- */

void spm_vocab_set(spm_vocab *v, const spm_settings *settings) {
  v->settings = *settings;
  int32_t *ids[] = {&v->settings.bos, &v->settings.eos, &v->settings.unk, &v->settings.pad};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
    if (*ids[i] < 0 || *ids[i] >= v->n_tokens) *ids[i] = -1;
}

static int compare_specials(const void *a, const void *b) {
  const special *x = a, *y = b;
  int order = memcmp(x->text, y->text, min_size(x->bytes, y->bytes));
  if (order != 0) return order;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

static sotto_status sort_specials(spm_vocab *v, error *err) {
  int32_t n = 0;
  for (int pass = 0; pass < 2; pass++) { /* counts, then fills */
    if (pass == 1) {
      mem_free(v->specials);
      v->specials = mem_alloc((size_t)n, sizeof *v->specials);
      if (!v->specials) return no_memory(err);
      v->n_specials = n;
      n = 0;
    }
    for (int32_t id = 0; id < v->n_tokens; id++) {
      const entry *e = &v->entries[id];
      if (e->bytes == 0 || (e->type != SPM_CONTROL && e->type != SPM_USER_DEFINED)) continue;
      if (pass == 1) v->specials[n] = (special){text_of(v, id), e->bytes, id};
      n++;
    }
  }
  qsort(v->specials, (size_t)n, sizeof *v->specials, compare_specials);
  int32_t at = 0;
  for (int32_t byte = 0; byte < 256; byte++) {
    v->specials_from[byte] = at;
    while (at < n && (unsigned char)v->specials[at].text[0] == byte) at++;
  }
  v->specials_from[256] = n;
  return SOTTO_OK;
}

sotto_status spm_vocab_seal(spm_vocab *v, error *err) {
  if (v->n_tokens == 0)
    return fail(err, SOTTO_ERR_FORMAT, "the vocabulary has no tokens: the file is damaged, fetch it again");
  TRY(sort_specials(v, err));
  bool all_bytes = true;
  for (int byte = 0; byte < 256; byte++) all_bytes &= v->byte_ids[byte] >= 0;
  if (!all_bytes && v->settings.unk < 0) {
    return fail(err, SOTTO_ERR_FORMAT,
                "the vocabulary has neither a token for every byte nor one for unknown characters: use another file");
  }
  for (int32_t id = 0; id < v->n_tokens; id++) {
    const entry *e = &v->entries[id];
    if (e->type != SPM_NORMAL) continue;
    const unsigned char *text = (const unsigned char *)text_of(v, id);
    for (uint32_t i = 1; i < e->bytes; i++) v->joins[text[i - 1]][text[i] / 8] |= (uint8_t)(1u << text[i] % 8);
  }
  return SOTTO_OK;
}

/* ---- looking up ---- */

int32_t spm_vocab_size(const spm_vocab *v) { return v->n_tokens; }
const spm_settings *spm_vocab_settings(const spm_vocab *v) { return &v->settings; }
int32_t spm_vocab_byte(const spm_vocab *v, unsigned char byte) { return v->byte_ids[byte]; }

spm_type spm_vocab_type(const spm_vocab *v, int32_t id) {
  return id >= 0 && id < v->n_tokens ? (spm_type)v->entries[id].type : SPM_UNUSED;
}

const char *spm_vocab_text(const spm_vocab *v, int32_t id, size_t *bytes) {
  bool known = id >= 0 && id < v->n_tokens;
  if (bytes) *bytes = known ? v->entries[id].bytes : 0;
  return known ? text_of(v, id) : "";
}

int32_t spm_vocab_find_normal(const spm_vocab *v, const char *text, size_t bytes) {
  return bytes <= v->longest ? find(v, text, bytes, SPM_NORMAL) : -1;
}

int32_t spm_vocab_find(const spm_vocab *v, const char *text, size_t bytes) {
  int32_t id = find(v, text, bytes, SPM_CONTROL);
  if (id < 0) id = find(v, text, bytes, SPM_USER_DEFINED);
  return id >= 0 ? id : find(v, text, bytes, SPM_NORMAL);
}

uint32_t spm_vocab_priority(const void *vocab, const char *text, size_t bytes) {
  const spm_vocab *v = vocab;
  int32_t id = spm_vocab_find_normal(v, text, bytes);
  return id >= 0 ? v->entries[id].priority : MERGE_NONE;
}

bool spm_vocab_joins(const spm_vocab *v, unsigned char left, unsigned char right) {
  return v->joins[left][right / 8] >> right % 8 & 1;
}

/* The first of specials[low, high), all longer than `depth` and alike before it, whose byte there is `byte` or more. */
static int32_t lower_bound(const spm_vocab *v, int32_t low, int32_t high, size_t depth, int byte) {
  while (low < high) {
    int32_t middle = low + (high - low) / 2;
    if ((unsigned char)v->specials[middle].text[depth] < byte)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int32_t spm_vocab_special_at(const spm_vocab *v, const char *text, size_t n, bool control, size_t *bytes) {
  int32_t best = -1, low = v->specials_from[(unsigned char)text[0]],
          high = v->specials_from[(unsigned char)text[0] + 1];
  for (size_t depth = 1; low < high; depth++) { /* specials[low, high) begin with text[depth] */
    for (bool first = true; low < high && v->specials[low].bytes == depth; low++) {
      int32_t id = v->specials[low].id;
      if (v->entries[id].type == SPM_CONTROL && !control) continue;
      if (first) best = id; /* of equal ones the first counts */
      first = false;
      *bytes = depth;
    }
    if (depth == n) break;
    int byte = (unsigned char)text[depth];
    low = lower_bound(v, low, high, depth, byte);
    high = lower_bound(v, low, high, depth, byte + 1);
  }
  return best;
}
