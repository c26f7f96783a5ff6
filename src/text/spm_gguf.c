/* Makes a vocabulary of what a GGUF file says of its tokenizer.
 *
 *     tokenizer.ggml.{tokens, scores, token_type, merges} ─> spm_arrays
 *     tokenizer.ggml.{bos, eos, unknown, padding}_token_id, add_bos_token, add_space_prefix ─> settings */
#include "../formats/gguf.h"
#include "spm_vocab.h"

/* Bytes of an array of strings in the file. */
static size_t strings_bytes(const gguf_array *a) {
  size_t last = 0;
  if (a->count == 0) return 0;
  gguf_array_string(a, a->count - 1, &last);
  return a->strings[a->count - 1] + 8 + last;
}

/* An array of 4-byte numbers, one for each token; *bytes is NULL when the file has none. */
static sotto_status read_numbers(const gguf *g, const char *key, gguf_type type, gguf_type other, size_t n_tokens,
                                 const void **bytes, error *err) {
  gguf_array a;
  *bytes = NULL;
  if (!gguf_array_of(g, key, &a)) return SOTTO_OK;
  if ((a.type != type && a.type != other) || a.count != n_tokens) {
    return fail(err, SOTTO_ERR_FORMAT,
                "%s does not fit the %zu tokens of this GGUF file: it is damaged, fetch it again", key, n_tokens);
  }
  *bytes = a.bytes;
  return SOTTO_OK;
}

static int32_t id_of(const gguf *g, const char *key) {
  uint32_t id;
  return gguf_u32(g, key, &id) && id < SPM_MAX_TOKENS ? (int32_t)id : -1;
}

static void read_settings(const gguf *g, spm_settings *s) {
  const char *architecture = "";
  size_t n = 0;
  s->bos = id_of(g, "tokenizer.ggml.bos_token_id");
  s->eos = id_of(g, "tokenizer.ggml.eos_token_id");
  s->unk = id_of(g, "tokenizer.ggml.unknown_token_id");
  s->pad = id_of(g, "tokenizer.ggml.padding_token_id");
  s->add_bos = s->bos >= 0;
  gguf_bool(g, "tokenizer.ggml.add_bos_token", &s->add_bos);
  /* The first Gemma files have no such key, and Gemma never had the space. */
  gguf_string(g, "general.architecture", &architecture, &n);
  s->dummy_prefix = n < 5 || memcmp(architecture, "gemma", 5) != 0;
  gguf_bool(g, "tokenizer.ggml.add_space_prefix", &s->dummy_prefix);
}

sotto_status spm_read_gguf(spm_vocab **out, const gguf *g, error *err) {
  const char *model = "";
  size_t n = 0;
  gguf_array tokens, merges;
  spm_arrays a = {0};
  *out = NULL;
  if (!gguf_array_of(g, "tokenizer.ggml.tokens", &tokens) || tokens.type != GGUF_STRING) {
    return fail(err, SOTTO_ERR_FORMAT, "this GGUF file has no tokenizer: use one of a whole language model");
  }
  if (!gguf_string(g, "tokenizer.ggml.model", &model, &n) || n != 5 || memcmp(model, "llama", 5) != 0) {
    return fail(
        err, SOTTO_ERR_UNSUPPORTED,
        "this GGUF file has a tokenizer of the kind \"%.*s\", and only SentencePiece's (\"llama\") is supported: use a "
        "Gemma model",
        (int)min_size(n, 40), model);
  }
  a.n_tokens = tokens.count;
  a.tokens = tokens.bytes;
  a.tokens_bytes = strings_bytes(&tokens);
  TRY(read_numbers(g, "tokenizer.ggml.scores", GGUF_F32, GGUF_F32, a.n_tokens, &a.scores, err));
  TRY(read_numbers(g, "tokenizer.ggml.token_type", GGUF_I32, GGUF_U32, a.n_tokens, &a.types, err));
  if (!a.scores && gguf_array_of(g, "tokenizer.ggml.merges", &merges) && merges.type == GGUF_STRING) {
    a.n_merges = merges.count;
    a.merges = merges.bytes;
    a.merges_bytes = strings_bytes(&merges);
  }
  read_settings(g, &a.settings);
  return spm_read_arrays(out, &a, err);
}
