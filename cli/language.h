/* What the commands on language models share: the options that say which model and how, the model, loaded, and where sentences about it go. */
#ifndef CLI_LANGUAGE_H
#define CLI_LANGUAGE_H

#include "../include/sotto.h"
#include "args.h"

/* ---- options ---- */

typedef struct language_options {
  const char *model;
  int32_t n_ctx, threads; /* 0: the default */
  int32_t kv_type;        /* sotto_kv_type */
  const char *draft;      /* a model, or "lookup"; NULL: no tokens are guessed */
  int32_t n_draft;        /* 0: the default */
} language_options;

enum { LANGUAGE_MODEL = 1000, LANGUAGE_CONTEXT, LANGUAGE_THREADS, LANGUAGE_KV, LANGUAGE_DRAFT, LANGUAGE_DRAFT_TOKENS };

#define LANGUAGE_MODEL_OPTION \
  { "model", 'm', true, LANGUAGE_MODEL }
#define LANGUAGE_CONTEXT_OPTION \
  { "ctx", 0, true, LANGUAGE_CONTEXT }
#define LANGUAGE_THREADS_OPTION \
  { "threads", 't', true, LANGUAGE_THREADS }
#define LANGUAGE_KV_OPTION \
  { "kv", 0, true, LANGUAGE_KV }

#define LANGUAGE_DRAFT_OPTIONS \
  {"draft", 0, true, LANGUAGE_DRAFT}, { "draft-tokens", 0, true, LANGUAGE_DRAFT_TOKENS }

#define LANGUAGE_DRAFT_HELP                                                                                         \
  "      --draft MODEL       a smaller model with the same vocabulary guesses tokens, and several are checked at\n" \
  "                          once; lookup: what followed the same words earlier in the text is guessed. The\n"      \
  "                          text stays the same\n"                                                                 \
  "      --draft-tokens N    most tokens guessed at once, 1 to 15 (default: 4)\n"
#define LANGUAGE_THREADS_HELP "  -t, --threads N         threads to use (default: one for each core, at most 8)\n"
#define LANGUAGE_KV_HELP \
  "      --kv TYPE           of the stored keys and values: f16 (default), or q8_0: about half the memory\n"

/* Takes the option that args_next found, when it is one of these: *taken. False after printing what is wrong with it. */
bool language_option(language_options *o, const args *a, int id, bool *taken);

/* Fills in the default model where none was named; 1, or ARGS_WRONG after printing that there is none, or what does not go together. */
int language_default_model(language_options *o, const args *a);

/* ---- the model ---- */

typedef struct language {
  const char *path;
  sotto_engine *engine;
  sotto_model *model, *draft; /* draft: NULL unless language_session loaded one */
  sotto_model_info info;
  double load_ms;
} language;

/* Loads the model; with `only_text` what it takes to tokenize. False after printing why not. Close it in either case.
 * `threads` 0: one for each core, at most 8. */
bool language_open(language *l, const char *path, int32_t threads, bool only_text);
void language_close(language *l); /* after its sessions */

/* Opens a session as the options say, after loading their draft. False after printing why not. */
bool language_session(language *l, const language_options *o, sotto_session **out);

/* Prints the engine's last error; false. */
bool language_complain(const language *l);

#endif
