/* Storage of the vocabulary.
 *
 *     add: bytes ─> arena [token 0 \0 token 1 \0 ...], starts[id]
 *     seal: + texts of the special tokens; hash table of bytes ─> id */
#include "whisper_vocab.h"

#define ENGLISH_SIZE 51864 /* n_vocab of the English-only models; the multilingual ones have one or two more */

struct whisper_vocab {
  whisper_special special;
  int32_t n_vocab;
  int32_t n_tokens; /* added so far; the special ones come with seal */
  int32_t n_texts;  /* ids that have a text */
  uint32_t longest; /* bytes */
  char *arena;      /* [arena_size], used up to starts[n_texts] */
  size_t arena_size;
  uint32_t *starts; /* [n_vocab + 1] offset of each text in the arena; each ends with a NUL */
  int32_t *slots;   /* [slot_mask + 1] hash table with open addressing: id or -1 */
  uint32_t slot_mask;
};

/* The layout of the special tokens follows from the number of languages. */
static whisper_special layout(int32_t n_vocab) {
  whisper_special s = {.multilingual = n_vocab > ENGLISH_SIZE};
  s.n_languages = n_vocab - (ENGLISH_SIZE - 99) - s.multilingual;
  s.eot = 50256 + s.multilingual;
  s.sot = s.eot + 1;
  s.first_language = s.sot + 1;
  s.translate = s.first_language + s.n_languages;
  s.transcribe = s.translate + 1;
  s.start_of_lm = s.translate + 2;
  s.start_of_prev = s.translate + 3;
  s.no_speech = s.translate + 4;
  s.no_timestamps = s.translate + 5;
  s.first_timestamp = s.translate + 6;
  return s;
}

whisper_vocab *whisper_vocab_open(int32_t n_vocab) {
  whisper_vocab *v = mem_alloc(1, sizeof *v);
  if (!v) return NULL;
  v->n_vocab = n_vocab < ENGLISH_SIZE || n_vocab > ENGLISH_SIZE + 2 ? 0 : n_vocab; /* seal says what is wrong */
  if (v->n_vocab) v->special = layout(v->n_vocab);
  v->arena_size = 1 << 19; /* enough for the real ones */
  v->arena = mem_alloc(v->arena_size, 1);
  v->starts = mem_alloc((size_t)v->n_vocab + 1, sizeof *v->starts);
  if (v->arena && v->starts) return v;
  whisper_vocab_close(v);
  return NULL;
}

void whisper_vocab_close(whisper_vocab *v) {
  if (!v) return;
  mem_free(v->arena);
  mem_free(v->starts);
  mem_free(v->slots);
  mem_free(v);
}

static sotto_status append(whisper_vocab *v, const char *text, uint32_t bytes, error *err) {
  size_t start = v->starts[v->n_texts], need = start + bytes + 1;
  char *arena = mem_grow(v->arena, 1, start, &v->arena_size, need);
  if (!arena) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the vocabulary");
  v->arena = arena;
  memcpy(v->arena + start, text, bytes);
  v->arena[start + bytes] = 0;
  v->starts[++v->n_texts] = (uint32_t)need;
  return SOTTO_OK;
}

static sotto_status check_size(const whisper_vocab *v, error *err) {
  if (v->n_vocab) return SOTTO_OK;
  return fail(err, SOTTO_ERR_UNSUPPORTED,
              "the size of the vocabulary is none of Whisper's (51864, 51865 or 51866 entries): use a Whisper model");
}

sotto_status whisper_vocab_add(whisper_vocab *v, int32_t id, const char *text, uint32_t bytes, error *err) {
  TRY(check_size(v, err));
  if (id != v->n_tokens) {
    return fail(err, SOTTO_ERR_FORMAT, "token %d came where %d was due: the file is damaged, fetch it again", (int)id,
                (int)v->n_tokens);
  }
  if (bytes > WHISPER_MAX_TOKEN_BYTES) {
    return fail(err, SOTTO_ERR_FORMAT,
                "token %d has %u bytes, more than any real one: the file is damaged, fetch it again", (int)id,
                (unsigned)bytes);
  }
  v->n_tokens++;
  if (id >= v->special.eot) return SOTTO_OK; /* some files carry names of the special tokens too: ours are used */
  if (bytes > v->longest) v->longest = bytes;
  return append(v, text, bytes, err);
}

int32_t whisper_vocab_find(const whisper_vocab *v, const char *text, size_t bytes) {
  if (bytes > v->longest) return -1;
  for (uint32_t slot = hash_key(text, bytes) & v->slot_mask; v->slots[slot] >= 0; slot = (slot + 1) & v->slot_mask) {
    int32_t id = v->slots[slot];
    size_t length = v->starts[id + 1] - v->starts[id] - 1;
    if (length == bytes && !memcmp(v->arena + v->starts[id], text, bytes)) return id;
  }
  return -1;
}

/* Writes "<|name|>". */
static void special_text(const whisper_special *s, int32_t id, char out[32]) {
  static const char *const after[] = {"translate",   "transcribe", "startoflm",
                                      "startofprev", "nospeech",   "notimestamps"};
  char time[] = "00.00";
  const char *name = time;
  if (id >= s->first_timestamp) {
    int32_t hundredths = 2 * (id - s->first_timestamp);
    time[0] = (char)('0' + hundredths / 1000);
    time[1] = (char)('0' + hundredths / 100 % 10);
    time[3] = (char)('0' + hundredths / 10 % 10);
    time[4] = (char)('0' + hundredths % 10);
    if (time[0] == '0') name++;
  } else if (id >= s->translate) {
    name = after[id - s->translate];
  } else if (id >= s->first_language) {
    whisper_language(id - s->first_language, &name, NULL);
  } else {
    name = id == s->eot ? "endoftext" : "startoftranscript";
  }
  size_t length = strlen(name);
  memcpy(out, "<|", 2);
  memcpy(out + 2, name, length);
  memcpy(out + 2 + length, "|>", 3);
}

sotto_status whisper_vocab_seal(whisper_vocab *v, error *err) {
  TRY(check_size(v, err));
  int32_t n_ranked = v->n_texts; /* tokens of the file that are in use */
  while (v->n_texts < v->special.eot) TRY(append(v, "", 0, err));
  while (v->n_texts < v->n_vocab) {
    char text[32];
    special_text(&v->special, v->n_texts, text);
    TRY(append(v, text, (uint32_t)strlen(text), err));
  }

  uint32_t n_slots = 1u << 17; /* at most half full */
  v->slots = mem_alloc(n_slots, sizeof *v->slots);
  if (!v->slots) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the vocabulary");
  v->slot_mask = n_slots - 1;
  for (uint32_t i = 0; i < n_slots; i++) v->slots[i] = -1;
  for (int32_t id = 0; id < n_ranked; id++) {
    const char *text = v->arena + v->starts[id];
    size_t bytes = v->starts[id + 1] - v->starts[id] - 1;
    if (bytes == 0 || whisper_vocab_find(v, text, bytes) >= 0) continue; /* of equal ones the first counts */
    uint32_t slot = hash_key(text, bytes) & v->slot_mask;
    while (v->slots[slot] >= 0) slot = (slot + 1) & v->slot_mask;
    v->slots[slot] = id;
  }
  return SOTTO_OK;
}

int32_t whisper_vocab_size(const whisper_vocab *v) { return v->n_vocab; }
const whisper_special *whisper_vocab_special(const whisper_vocab *v) { return &v->special; }
uint32_t whisper_vocab_longest(const whisper_vocab *v) { return v->longest; }

const char *whisper_vocab_text(const whisper_vocab *v, int32_t id, uint32_t *bytes) {
  bool known = id >= 0 && id < v->n_texts;
  if (bytes) *bytes = known ? v->starts[id + 1] - v->starts[id] - 1 : 0;
  return known ? v->arena + v->starts[id] : "";
}
