/* A Whisper's folder as on Hugging Face to a ggml .bin file: the loader of such files says which tensors there are, and names are mapped.
 *
 *     config.json ─> header     vocab.json or tokenizer.json ─> tokens as bytes     (computed) ─> mel filters */
#include <math.h>
#include <stdio.h>

#include "../models/whisper_model.h"
#include "quantizer.h"

enum { N_FFT = 201, FFT_SIZE = 400, MOST_MELS = 128, MAX_TOKEN = 1024 };

/* ---- the header ---- */

static sotto_status read_number(const json *j, const char *key, int32_t *to, error *err) {
  int64_t n;
  if (!json_read_integer(j, json_get(j, json_root(j), key), &n) || n < 1 || n > 1000000)
    return fail(err, SOTTO_ERR_FORMAT, "config.json says no usable %s: get the model's files again", key);
  *to = (int32_t)n;
  return SOTTO_OK;
}

static sotto_status read_header(const json *j, ggml_bin_header *h, error *err) {
  const struct {
    const char *key;
    int32_t *to;
  } fields[] = {{"vocab_size", &h->n_vocab},           {"max_source_positions", &h->n_audio_ctx},
                {"d_model", &h->n_audio_state},        {"encoder_attention_heads", &h->n_audio_head},
                {"encoder_layers", &h->n_audio_layer}, {"max_target_positions", &h->n_text_ctx},
                {"d_model", &h->n_text_state},         {"decoder_attention_heads", &h->n_text_head},
                {"decoder_layers", &h->n_text_layer},  {"num_mel_bins", &h->n_mel}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) TRY(read_number(j, fields[i].key, fields[i].to, err));
  if (h->n_mel > MOST_MELS)
    return fail(err, SOTTO_ERR_UNSUPPORTED, "the model hears %d mel bands; Whisper models have 80 or 128",
                (int)h->n_mel);
  return SOTTO_OK;
}

/* ---- mel filters: Slaney's scale, linear below 1000 Hz and logarithmic above; triangles of equal area ---- */

static double to_hz(double m) { return m < 15 ? m * (200.0 / 3) : 1000 * exp((m - 15) * (log(6.4) / 27)); }

static sotto_status make_filters(quantizer *q, error *err) {
  const int32_t n_mel = q->bin_head.header.n_mel;
  const double top = 15 + log(8) / (log(6.4) / 27); /* 8000 Hz */
  byte_list *b = &q->bin_head.filters;
  bool ok = byte_list_add_u32(b, (uint32_t)n_mel) && byte_list_add_u32(b, N_FFT);
  for (int32_t i = 0; i < n_mel; i++) {
    const double low = to_hz(top * i / (n_mel + 1)), peak = to_hz(top * (i + 1) / (n_mel + 1)),
                 high = to_hz(top * (i + 2) / (n_mel + 1));
    for (int32_t k = 0; k < N_FFT; k++) {
      const double hz = (double)k * SOTTO_SAMPLE_RATE / FFT_SIZE, up = (hz - low) / (peak - low),
                   down = (high - hz) / (high - peak);
      const double height = up < down ? up : down;
      const float side = height > 0 ? (float)height : 0, w = (float)((double)side * (2 / (high - low)));
      ok = ok && byte_list_add(b, &w, sizeof w);
    }
  }
  return ok ? SOTTO_OK : plan_no_memory(err);
}

/* ---- vocabulary: bytes stand as characters in JSON, those that cannot be seen as U+0100 and up ---- */

static bool stands_for_itself(uint32_t c) {
  return (c >= '!' && c <= '~') || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

static int32_t byte_of(uint32_t c) {
  if (stands_for_itself(c)) return (int32_t)c;
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; byte++)
    if (!stands_for_itself(byte) && next++ == c) return (int32_t)byte;
  return -1;
}

/* Characters of one or two bytes of UTF-8 are all that occur. Returns the bytes, or -1. */
static int32_t decode_token(const char *text, size_t n, uint8_t *to) {
  int32_t size = 0;
  for (size_t i = 0; i < n; i++) {
    const uint8_t c = (uint8_t)text[i];
    uint32_t character = c;
    if (c >= 0x80) {
      if ((c & 0xe0) != 0xc0 || i + 1 == n) return -1;
      character = (uint32_t)(c & 31) << 6 | ((uint8_t)text[++i] & 63u);
    }
    const int32_t byte = byte_of(character);
    if (byte < 0) return -1;
    to[size++] = (uint8_t)byte;
  }
  return size;
}

/* tokens [n]: the JSON string of each, 0: none. */
static sotto_status list_tokens(const json *j, uint32_t object, uint32_t *tokens, int32_t n, error *err) {
  for (json_walk w = json_children(j, object); w.object && json_next(&w);) {
    int64_t id;
    if (!json_read_integer(j, w.value, &id) || id < 0 || id >= n) continue; /* special ones are not stored */
    tokens[id] = w.key;
  }
  for (int32_t i = 0; i + 1 < n; i++) /* of some models the last one is missing, which is empty */
    if (tokens[i] == 0)
      return fail(err, SOTTO_ERR_FORMAT, "the vocabulary has no token %d: get the model's files again", (int)i);
  return SOTTO_OK;
}

static sotto_status add_tokens(quantizer *q, const json *j, const uint32_t *tokens, int32_t n, error *err) {
  byte_list *b = &q->bin_head.vocabulary;
  bool ok = byte_list_add_u32(b, (uint32_t)n);
  for (int32_t i = 0; i < n && ok; i++) {
    char text[2 * MAX_TOKEN];
    uint8_t bytes[2 * MAX_TOKEN];
    const size_t size = tokens[i] != 0 ? json_read_string(j, tokens[i], text, sizeof text) : 0;
    const int32_t decoded = size <= sizeof text ? decode_token(text, size, bytes) : -1;
    if (decoded < 0 || decoded > MAX_TOKEN)
      return fail(err, SOTTO_ERR_FORMAT, "token %d of the vocabulary is no text of bytes: get the model's files again",
                  (int)i);
    ok = byte_list_add_u32(b, (uint32_t)decoded) && byte_list_add(b, bytes, (size_t)decoded);
  }
  return ok ? SOTTO_OK : plan_no_memory(err);
}

static sotto_status make_vocabulary(quantizer *q, error *err) {
  const source_file *f = quantizer_text(q, "vocab.json"), *whole = quantizer_text(q, "tokenizer.json");
  const int32_t n = q->bin_head.header.n_vocab > 51864 ? 50257 : 50256; /* up to the special ones */
  if (f == NULL && whole == NULL)
    return fail(err, SOTTO_ERR_ARGUMENT, "the model has no vocab.json or tokenizer.json: give one of them");
  json *j = NULL;
  const source_file *from = f != NULL ? f : whole;
  TRY(json_parse(&j, (const char *)from->text.at, from->text.size, from->name, err));
  const uint32_t object = f != NULL ? json_root(j) : json_get(j, json_get(j, json_root(j), "model"), "vocab");
  uint32_t *tokens = mem_alloc((size_t)n, sizeof *tokens);
  sotto_status status = tokens != NULL ? list_tokens(j, object, tokens, n, err) : plan_no_memory(err);
  if (status >= 0) status = add_tokens(q, j, tokens, n, err);
  mem_free(tokens);
  json_close(j);
  return status;
}

/* ---- names ---- */

/* A name of .bin files as Hugging Face has it: part by part. */
static void map_name(const char *name, char *to, size_t capacity) {
  static const struct {
    const char *from, *to;
  } parts[] = {{"encoder.positional_embedding", "encoder.embed_positions.weight"},
               {"decoder.positional_embedding", "decoder.embed_positions.weight"},
               {"decoder.token_embedding.", "decoder.embed_tokens."},
               {"encoder.ln_post.", "encoder.layer_norm."},
               {"decoder.ln.", "decoder.layer_norm."},
               {".blocks.", ".layers."},
               {".cross_attn_ln.", ".encoder_attn_layer_norm."},
               {".cross_attn.", ".encoder_attn."},
               {".attn_ln.", ".self_attn_layer_norm."},
               {".attn.", ".self_attn."},
               {".query.", ".q_proj."},
               {".key.", ".k_proj."},
               {".value.", ".v_proj."},
               {".out.", ".out_proj."},
               {".mlp_ln.", ".final_layer_norm."},
               {".mlp.0.", ".fc1."},
               {".mlp.2.", ".fc2."}};
  char now[160];
  snprintf(to, capacity, "model.%s", name);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    const char *at = strstr(to, parts[i].from);
    if (at == NULL) continue;
    snprintf(now, sizeof now, "%.*s%s%s", (int)(at - to), to, parts[i].to, at + strlen(parts[i].from));
    snprintf(to, capacity, "%s", now);
  }
}

static sotto_status plan_slot(quantizer *q, const whisper_slot *s, error *err) {
  char name[160];
  planned_tensor p = {0};
  map_name(s->name, name, sizeof name);
  const file_tensor *t = plan_find_tensor(q, name, &p.file);
  if (t == NULL) t = plan_find_tensor(q, s->name, &p.file);
  if (t == NULL) return fail(err, SOTTO_ERR_FORMAT, "the tensor %s is missing: get the model's files again", name);
  const bool conv = s->kind == KIND_CONV, vector = s->kind == KIND_VECTOR;
  const bool fits = conv     ? t->rank == 3 && t->dims[0] == s->out && t->dims[1] == s->in && t->dims[2] == 3
                    : vector ? t->rank == 1 && t->dims[0] == s->in
                             : t->rank == 2 && t->dims[0] == s->out && t->dims[1] == s->in;
  if (!fits)
    return fail(err, SOTTO_ERR_FORMAT,
                "the shape of the tensor %s does not fit config.json: the files do not belong together", t->name);
  p.offset = t->offset;
  p.source_type = t->type;
  return plan_bin_slot(q, s, &p, err);
}

sotto_status plan_from_whisper(quantizer *q, const json *config, error *err) {
  TRY(read_header(config, &q->bin_head.header, err));
  whisper *w = plan_bin_model(q, err); /* checks the header */
  if (w == NULL) return SOTTO_ERR_FORMAT;
  sotto_status status = make_filters(q, err);
  if (status >= 0) status = make_vocabulary(q, err);
  if (status >= 0) status = plan_bin_head(q, err);
  for (int32_t i = 0; i < w->n_slots && status >= 0; i++) status = plan_slot(q, &w->slots[i], err);
  whisper_close(w);
  return status;
}
