/* SentencePiece vocabularies of the byte-pair kind with byte fallback: Gemma's, Llama's.
 *
 *     tokenizer.model, GGUF arrays, tokenizer.json ──> spm_vocab ──> spm_encode: text ─> ids
 *                                                                └─> spm_piece, spm_decode: ids ─> text
 *
 * Inside, a space is a space: the U+2581 that stands for it in files is replaced as tokens are added. So text needs no
 * escaping, and a U+2581 of the text itself goes through byte tokens and comes back as it was.
 * Text to ids and back is exact for any bytes. */
#ifndef SOTTO_SPM_VOCAB_H
#define SOTTO_SPM_VOCAB_H

#include "id_list.h"

#define SPM_MAX_TOKENS      (1 << 22)
#define SPM_MAX_TOKEN_BYTES 1024 /* Gemma's have at most 93 */

/* Numbers as in tokenizer.model and in GGUF. */
typedef enum spm_type {
  SPM_NORMAL = 1, /* made by merging */
  SPM_UNKNOWN = 2,
  SPM_CONTROL = 3,      /* begins a turn, ends a text: found in text only where the caller asks, and shown so */
  SPM_USER_DEFINED = 4, /* always found in text, before any merging: runs of newlines, tags */
  SPM_UNUSED = 5,
  SPM_BYTE = 6 /* one byte of a character that has no token */
} spm_type;

typedef struct spm_settings {
  int32_t bos, eos, unk, pad; /* ids; -1: none */
  bool add_bos;               /* the model wants texts to begin with bos; encoding does so when the caller asks */
  bool dummy_prefix;          /* a space is put before every text, and taken away again (not Gemma) */
} spm_settings;

typedef struct spm_vocab spm_vocab;

/* ---- making one: add all tokens, seal ---- */

spm_vocab *spm_vocab_open(void); /* NULL: no memory */
void spm_vocab_close(spm_vocab *v);

/* Adds the token with the next id. `text` as in files: U+2581 for a space, "<0x41>" for a byte token. Tokens with
 * higher scores are merged first; -INFINITY: merged only by spm_vocab_merge. A user-defined token that steers the
 * chat (<start_of_turn>, <|...>) counts as control, so that no text can hold it by accident. Errors: FORMAT, MEMORY. */
sotto_status spm_vocab_add(spm_vocab *v, const char *text, size_t bytes, float score, int32_t type, error *err);

/* Instead of scores: the tokens `left` and `right` (texts as in files) make a token, and those of lower rank are
 * merged first. Of several merges that make the same token the first counts, as in SentencePiece, where tokens have
 * ranks, not merges. Errors: FORMAT. */
sotto_status spm_vocab_merge(spm_vocab *v, const char *left, size_t left_bytes, const char *right, size_t right_bytes,
                             int32_t rank, error *err);

/* The byte that "<0x41>" stands for; -1: the text does not read like that. For files that do not mark their byte
 * tokens. */
int32_t spm_byte_value(const char *text, size_t bytes);

void spm_vocab_set(spm_vocab *v, const spm_settings *settings); /* ids that do not exist become -1 */
/* Builds the indices. Errors: FORMAT (no tokens, or none for unknown characters), MEMORY. */
sotto_status spm_vocab_seal(spm_vocab *v, error *err);

/* ---- readers: each makes a sealed vocabulary; on failure *out is NULL. The bytes are copied. ---- */

/* tokenizer.model (spm_model.c). Errors: FORMAT, UNSUPPORTED (unigram, normalization), MEMORY. */
sotto_status spm_read_model(spm_vocab **out, const void *bytes, size_t size, error *err);

/* tokenizer.json (spm_json.c): byte-pair encoding with byte fallback. Errors: FORMAT, UNSUPPORTED, MEMORY. */
sotto_status spm_read_json(spm_vocab **out, const char *bytes, size_t size, error *err);

/* What a GGUF file says of its tokenizer (spm_gguf.c), once the reader has its header. Errors: FORMAT, UNSUPPORTED,
 * MEMORY. */
struct gguf;
sotto_status spm_read_gguf(spm_vocab **out, const struct gguf *g, error *err);

/* Arrays as in the metadata of a GGUF file (spm_arrays.c). A list of strings is what the file has behind type and
 * count: for each a u64 length and its bytes; numbers are little-endian and need no alignment. */
typedef struct spm_arrays {
  size_t n_tokens;
  const void *tokens; /* tokenizer.ggml.tokens */
  size_t tokens_bytes;
  const void *scores; /* [n_tokens] f32; NULL: by merges */
  const void *types;  /* [n_tokens] i32; NULL: all normal but those that read <0x41> */
  size_t n_merges;    /* tokenizer.ggml.merges, "left right"; 0: by scores */
  const void *merges;
  size_t merges_bytes;
  spm_settings settings;
} spm_arrays;
/* Errors: FORMAT, MEMORY. */
sotto_status spm_read_arrays(spm_vocab **out, const spm_arrays *a, error *err);

/* ---- looking things up ---- */

int32_t spm_vocab_size(const spm_vocab *v);
const spm_settings *spm_vocab_settings(const spm_vocab *v);
spm_type spm_vocab_type(const spm_vocab *v, int32_t id); /* SPM_UNUSED for an id that does not exist */

/* Bytes of a token, NUL-terminated: a byte token's byte, a control token's name; *bytes (may be NULL) their number.
 * "" for an id that does not exist. */
const char *spm_vocab_text(const spm_vocab *v, int32_t id, size_t *bytes);

/* The score of a normal token as files have it: higher ones are merged first, -INFINITY is never merged; of merges: their rank, negative.
 * 0 for other tokens. */
float spm_vocab_score(const spm_vocab *v, int32_t id);

/* Id of the control or user-defined token with this name, else of the normal one; -1: there is none. */
int32_t spm_vocab_find(const spm_vocab *v, const char *text, size_t bytes);

/* For spm_encode.c: the normal token with these bytes or -1; its merge priority (merge.h); the longest control (only
 * with `control`) or user-defined token that text[n], n >= 1, begins with, or -1; the token of a byte or -1; whether
 * two bytes are neighbours in any normal token. */
int32_t spm_vocab_find_normal(const spm_vocab *v, const char *text, size_t bytes);
uint32_t spm_vocab_priority(const void *v, const char *text, size_t bytes);
int32_t spm_vocab_special_at(const spm_vocab *v, const char *text, size_t n, bool control, size_t *bytes);
int32_t spm_vocab_byte(const spm_vocab *v, unsigned char byte);
bool spm_vocab_joins(const spm_vocab *v, unsigned char left, unsigned char right);

/* ---- text to ids and back (spm_encode.c) ---- */

#define SPM_ADD_BOS        1u /* bos first */
#define SPM_PARSE_CONTROL  2u /* names of control tokens in the text become those tokens */
#define SPM_NO_DUMMY_SPACE 4u /* the text goes on after another: no dummy prefix whatever the settings */

/* Appends the ids of text[bytes]; any bytes are allowed. Near linear time. Errors: ARGUMENT (2 GB and more), MEMORY;
 * then the list has the tokens so far. */
sotto_status spm_encode(const spm_vocab *v, const char *text, size_t bytes, unsigned flags, id_list *out, error *err);

/* What a token adds to a text, for streaming: control, unknown and unused tokens nothing unless `show_control`. May
 * be part of a character (text_stream.h puts them together). */
const char *spm_piece(const spm_vocab *v, int32_t id, bool show_control, size_t *bytes);

/* Writes at most `capacity` bytes of the text of the ids, returns the number that it has. */
size_t spm_decode(const spm_vocab *v, const int32_t *ids, size_t n, bool show_control, char *out, size_t capacity);

#endif
