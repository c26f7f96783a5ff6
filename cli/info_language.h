/* sotto info for language models: GGUF and safetensors files, and folders as on Hugging Face.
 *
 *     files ─> info_language.c: sizes, tensors ─────────────────┐
 *           ─> info_metadata.c: whatever else the files say ────┼─> description ─> info_print.c: text or JSON
 *           ─> info_engine.c: vocabulary, template, memory ─────┘ */
#ifndef CLI_INFO_LANGUAGE_H
#define CLI_INFO_LANGUAGE_H

#include "../src/formats/gguf.h"
#include "../src/formats/json.h"
#include "mapped_file.h"
#include "tensor_tally.h"

typedef struct info_request {
  bool json, tensors, metadata;
  int32_t n_ctx; /* 0: of the usual contexts */
} info_request;

enum { INFO_CONTEXTS = 3, INFO_ENDS = 8 };

typedef struct description { /* what is not said stays 0 or "" */
  const info_request *request;
  char format[24], architecture[64], name[128], quantization[32], tokenizer[48];
  uint64_t n_layer, d_model, d_ff, n_head, n_head_kv, head_dim, n_vocab, n_ctx, sliding_window;
  gguf_split split;    /* n_parts 0: does not apply */
  uint32_t n_files;    /* described here */
  uint64_t file_bytes; /* of these */
  struct {
    int64_t bos, eos, unk, pad; /* -1: not said */
  } tokens;
  uint64_t chat_template_bytes;
  tensor_tally tally;
  text metadata; /* lines, or members of a JSON object */
  /* of the engine */
  char problem[512];               /* why it does not run the model; "": it does */
  bool chats;                      /* it knows the template */
  int32_t ends[INFO_ENDS], n_ends; /* tokens that end a text or a turn */
  char end_names[INFO_ENDS][32];
  struct {
    int32_t n_ctx;
    uint64_t f16_bytes, q8_0_bytes;
  } contexts[INFO_CONTEXTS]; /* n_ctx 0: not this many */
} description;

/* Text from a file, fit to be shown: one line, cut to the room there is. */
void info_copy_text(char *to, size_t room, const char *from, size_t size);

/* ---- the parts ---- */

/* Lists what a GGUF file, or config.json, says. */
void info_gguf_metadata(description *d, const gguf *g);
void info_config_metadata(description *d, const json *config);

/* Asks the engine. `head`: the bytes of a GGUF file before its tensors. */
void info_ask_gguf(description *d, const char *head, size_t size);
/* `config`, `tokenizer`: may be NULL. */
void info_ask_folder(description *d, const mapped_file *config, const mapped_file *tokenizer,
                     const char *tokenizer_name);

/* Appends the description. */
void info_put_text(const char *path, const description *d, text *out);
void info_put_json(const char *path, const description *d, text *out);

/* ---- the whole ---- */

/* Whether the bytes begin as such a file does. */
bool info_is_language(const mapped_file *f);

/* Appends the description of a file, or of all the parts of a split model where they are there; false, with a sentence, when the file cannot be
 * read as a model. */
bool info_language_file(const char *path, const mapped_file *f, const info_request *r, text *out, error *err);
bool info_language_folder(const char *path, const info_request *r, text *out, error *err);

/* What a list of models tells of one; "" or 0 where its files do not say it. */
typedef struct model_about {
  char kind[64]; /* "whisper", or the architecture */
  char name[128];
  const char *weights; /* type of most of them; a constant */
  int32_t n_languages;
  uint64_t n_ctx;
} model_about;

/* Of a Whisper file, a GGUF file (of a split one the first part), or a folder; false, with a sentence, also for what the engine does not run.
 * It is in info.c, and asks the other, which is for language models; `f` NULL: a folder. */
bool info_about(const char *path, model_about *about, error *err);
bool info_language_about(const char *path, const mapped_file *f, model_about *about, error *err);

#endif
