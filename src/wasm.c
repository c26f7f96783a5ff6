/* The engine's face towards JavaScript, in WebAssembly builds only.
 *
 *     bytes, samples  ──> wasm_alloc'd buffers ──> sotto_* calls
 *     structs         ──> rows of doubles in a buffer of the caller, so that the host never knows a layout
 *     options         <── set one by one, by name
 *     threads         <── host workers over the same memory, each inside sotto_wasm_thread
 *
 * Every pointer that is handed out is an opaque number for the host; 0 means failure, and sotto_wasm_error says why.
 * SHA-256 is here too: with it the host checks downloads as they stream (the web platform only hashes whole buffers). */
#include "base/base.h"
#include "base/pool.h"
#include "base/sha256.h"
#include "sotto_internal.h"
#include "text/sampler_select.h"
#include "text/text_stream.h"

#include <math.h>
#include <stddef.h>

#ifdef __wasm__

#define EXPORT(name) __attribute__((export_name(#name))) name

/* ---- memory ---- */

void *EXPORT(sotto_wasm_alloc)(size_t size) { return mem_alloc(size, 1); }
void EXPORT(sotto_wasm_free)(void *p) { mem_free(p); }

/* ---- engine and threads ---- */

sotto_engine *EXPORT(sotto_wasm_engine_open)(int32_t n_threads, int32_t backend_) {
  sotto_engine *engine;
  const sotto_engine_options options = {.n_threads = n_threads, .backend = backend_};
  return sotto_engine_open(&engine, &options) == SOTTO_OK ? engine : NULL;
}

void EXPORT(sotto_wasm_engine_close)(sotto_engine *engine) { sotto_engine_close(engine); }
int32_t EXPORT(sotto_wasm_engine_threads)(const sotto_engine *engine) { return sotto_engine_threads(engine); }
const char *EXPORT(sotto_wasm_engine_backend)(const sotto_engine *engine) { return sotto_engine_backend(engine); }
const char *EXPORT(sotto_wasm_engine_isa)(const sotto_engine *engine) { return sotto_engine_isa(engine); }
const char *EXPORT(sotto_wasm_error)(const sotto_engine *engine) { return sotto_engine_error(engine); }
const char *EXPORT(sotto_wasm_version)(void) { return sotto_version(); }

/* The life of worker `index` of [1, threads): returns when the engine is closed. */
void EXPORT(sotto_wasm_thread)(sotto_engine *engine, int32_t index) { pool_worker(sotto_engine_pool(engine), index); }

/* ---- model ---- */

sotto_model *EXPORT(sotto_wasm_model_open)(sotto_engine *engine) {
  sotto_model *model;
  return sotto_model_open(&model, engine) == SOTTO_OK ? model : NULL;
}

/* The next bytes are those of file `name`; returns the status. */
int32_t EXPORT(sotto_wasm_model_file)(sotto_model *model, const char *name) { return sotto_model_file(model, name); }

int32_t EXPORT(sotto_wasm_model_feed)(sotto_model *model, const void *bytes, size_t size) {
  return sotto_model_feed(model, bytes, size);
}

int32_t EXPORT(sotto_wasm_model_finish)(sotto_model *model) { return sotto_model_finish(model); }
void EXPORT(sotto_wasm_model_close)(sotto_model *model) { sotto_model_close(model); }

/* out[21]: architecture, name, weight type (strings or 0), then the numbers in the order of sotto_model_info. */
void EXPORT(sotto_wasm_model_describe)(const sotto_model *model, double *out) {
  sotto_model_info info;
  sotto_model_describe(model, &info);
  const double row[] = {
      (double)(size_t)info.architecture,
      (double)(size_t)info.name,
      (double)(size_t)info.weight_type,
      info.n_vocab,
      info.n_mel,
      info.n_audio_ctx,
      info.n_audio_state,
      info.n_audio_head,
      info.n_audio_layer,
      info.n_text_ctx,
      info.n_text_state,
      info.n_text_head,
      info.n_text_layer,
      info.multilingual,
      info.n_tensors,
      (double)info.n_parameters,
      (double)info.weight_bytes,
      info.n_kv_head,
      info.head_dim,
      info.n_ff,
      info.window,
  };
  memcpy(out, row, sizeof row);
}

/* out[6]: name, type, and the four dimensions. Returns the rank; 0: there is no such tensor. */
int32_t EXPORT(sotto_wasm_model_tensor)(const sotto_model *model, int32_t index, double *out) {
  const char *name = NULL, *type = NULL;
  int64_t dims[4] = {0};
  int32_t rank = sotto_model_tensor(model, index, &name, &type, dims);
  const double row[] = {(double)(size_t)name, (double)(size_t)type, (double)dims[0],
                        (double)dims[1],      (double)dims[2],      (double)dims[3]};
  memcpy(out, row, sizeof row);
  return rank;
}

/* out[2]: code and English name. Returns 0 when there is no such language. */
int32_t EXPORT(sotto_wasm_language)(int32_t index, double *out) {
  const char *code = NULL, *name = NULL;
  int32_t found = sotto_language(index, &code, &name);
  out[0] = (double)(size_t)code;
  out[1] = (double)(size_t)name;
  return found;
}

/* ---- options ---- */

typedef enum option_kind { OPTION_I32, OPTION_F32, OPTION_U64, OPTION_SIZE, OPTION_POINTER } option_kind;

typedef struct option {
  const char *name;
  size_t offset;
  option_kind kind;
} option;

#define OPTION(field, kind) \
  { #field, offsetof(sotto_transcribe_options, field), kind }

static const option option_table[] = {
    OPTION(language, OPTION_POINTER),
    OPTION(task, OPTION_I32),
    OPTION(timestamps, OPTION_I32),
    OPTION(beam_size, OPTION_I32),
    OPTION(patience, OPTION_F32),
    OPTION(best_of, OPTION_I32),
    OPTION(length_penalty, OPTION_F32),
    OPTION(max_tokens, OPTION_I32),
    OPTION(audio_ctx, OPTION_I32),
    OPTION(fast_encoder, OPTION_I32),
    OPTION(seed, OPTION_U64),
    OPTION(temperature, OPTION_F32),
    OPTION(temperature_increment, OPTION_F32),
    OPTION(compression_ratio_threshold, OPTION_F32),
    OPTION(logprob_threshold, OPTION_F32),
    OPTION(no_speech_threshold, OPTION_F32),
    OPTION(suppress_blank, OPTION_I32),
    OPTION(suppress_symbols, OPTION_I32),
    OPTION(suppress_tokens, OPTION_POINTER),
    OPTION(n_suppress_tokens, OPTION_I32),
    OPTION(max_initial_timestamp, OPTION_F32),
    OPTION(condition_on_previous_text, OPTION_I32),
    OPTION(initial_prompt, OPTION_POINTER),
    OPTION(prefix, OPTION_POINTER),
};

#define SAMPLER_OPTION(field, kind) \
  { #field, offsetof(sotto_sampler_options, field), kind }

static const option sampler_option_table[] = {
    SAMPLER_OPTION(temperature, OPTION_F32),
    SAMPLER_OPTION(top_k, OPTION_I32),
    SAMPLER_OPTION(top_p, OPTION_F32),
    SAMPLER_OPTION(min_p, OPTION_F32),
    SAMPLER_OPTION(typical_p, OPTION_F32),
    SAMPLER_OPTION(repetition_penalty, OPTION_F32),
    SAMPLER_OPTION(presence_penalty, OPTION_F32),
    SAMPLER_OPTION(frequency_penalty, OPTION_F32),
    SAMPLER_OPTION(penalty_window, OPTION_I32),
    SAMPLER_OPTION(seed, OPTION_U64),
    SAMPLER_OPTION(logit_bias, OPTION_POINTER),
    SAMPLER_OPTION(n_logit_bias, OPTION_SIZE),
};

#define SESSION_OPTION(field, kind) \
  { #field, offsetof(sotto_session_options, field), kind }

static const option session_option_table[] = {
    SESSION_OPTION(n_ctx, OPTION_I32),     SESSION_OPTION(n_batch, OPTION_I32), SESSION_OPTION(all_logits, OPTION_I32),
    SESSION_OPTION(kv_type, OPTION_I32),   SESSION_OPTION(lookup, OPTION_I32),  SESSION_OPTION(n_draft, OPTION_I32),
    SESSION_OPTION(draft, OPTION_POINTER),
};

#define VAD_OPTION(field, kind) \
  { #field, offsetof(sotto_vad_options, field), kind }

static const option vad_option_table[] = {
    VAD_OPTION(threshold, OPTION_F32),     VAD_OPTION(end_threshold, OPTION_F32),
    VAD_OPTION(min_speech_ms, OPTION_I32), VAD_OPTION(min_silence_ms, OPTION_I32),
    VAD_OPTION(pad_ms, OPTION_I32),
};

static int32_t set_option(const option *table, size_t n, void *options, const char *name, double value) {
  for (size_t i = 0; i < n; i++) {
    if (strcmp(table[i].name, name) != 0) continue;
    char *field = (char *)options + table[i].offset;
    switch (table[i].kind) {
      case OPTION_I32:
        memcpy(field, &(int32_t){(int32_t)value}, sizeof(int32_t));
        break;
      case OPTION_F32:
        memcpy(field, &(float){(float)value}, sizeof(float));
        break;
      case OPTION_U64:
        memcpy(field, &(uint64_t){(uint64_t)value}, sizeof(uint64_t));
        break;
      case OPTION_SIZE:
        memcpy(field, &(size_t){(size_t)value}, sizeof(size_t));
        break;
      case OPTION_POINTER:
        memcpy(field, &(void *){(void *)(size_t)value}, sizeof(void *));
        break;
    }
    return 1;
  }
  return 0;
}

/* The defaults, to be changed by sotto_wasm_option and freed with sotto_wasm_free. */
sotto_transcribe_options *EXPORT(sotto_wasm_options)(void) {
  sotto_transcribe_options *options = mem_alloc(1, sizeof *options);
  if (options != NULL) sotto_transcribe_options_default(options);
  return options;
}

/* Sets one option; strings and arrays by their address, which must stay until the transcription is open.
 * Returns 0 when there is no option of this name. */
int32_t EXPORT(sotto_wasm_option)(sotto_transcribe_options *options, const char *name, double value) {
  return set_option(option_table, sizeof option_table / sizeof *option_table, options, name, value);
}

/* The same for a sampler. */
sotto_sampler_options *EXPORT(sotto_wasm_sampler_options)(void) {
  sotto_sampler_options *options = mem_alloc(1, sizeof *options);
  if (options != NULL) sotto_sampler_options_default(options);
  return options;
}

int32_t EXPORT(sotto_wasm_sampler_option)(sotto_sampler_options *options, const char *name, double value) {
  return set_option(sampler_option_table, sizeof sampler_option_table / sizeof *sampler_option_table, options, name,
                    value);
}

/* Room for biases of a sampler, to be freed with sotto_wasm_free; [index]: of token `id`. */
sotto_logit_bias *EXPORT(sotto_wasm_logit_biases)(size_t n) {
  return mem_alloc(n > 0 ? n : 1, sizeof(sotto_logit_bias));
}

void EXPORT(sotto_wasm_logit_bias)(sotto_logit_bias *biases, size_t index, int32_t id, float bias) {
  biases[index] = (sotto_logit_bias){id, bias};
}

/* The same for a session. */
sotto_session_options *EXPORT(sotto_wasm_session_options)(void) { return mem_alloc(1, sizeof(sotto_session_options)); }

int32_t EXPORT(sotto_wasm_session_option)(sotto_session_options *options, const char *name, double value) {
  return set_option(session_option_table, sizeof session_option_table / sizeof *session_option_table, options, name,
                    value);
}

/* ---- transcription ---- */

sotto_transcription *EXPORT(sotto_wasm_transcription_open)(sotto_model *model,
                                                           const sotto_transcribe_options *options) {
  sotto_transcription *t;
  return sotto_transcription_open(&t, model, options) == SOTTO_OK ? t : NULL;
}

void EXPORT(sotto_wasm_transcription_close)(sotto_transcription *t) { sotto_transcription_close(t); }

size_t EXPORT(sotto_wasm_transcription_push)(sotto_transcription *t, const float *samples, size_t n) {
  return sotto_transcription_push(t, samples, n);
}

void EXPORT(sotto_wasm_transcription_end)(sotto_transcription *t) { sotto_transcription_end(t); }
int32_t EXPORT(sotto_wasm_transcription_step)(sotto_transcription *t) { return sotto_transcription_step(t); }

/* out[10]: start and end (s), text, tokens, n_tokens, window, no_speech_prob, temperature, avg_logprob,
 * compression_ratio. Returns 0 when no segment is ready. */
int32_t EXPORT(sotto_wasm_segment)(sotto_transcription *t, double *out) {
  const sotto_segment *s = sotto_transcription_segment(t);
  if (s == NULL) return 0;
  const double row[] = {
      s->start_s,        s->end_s,       (double)(size_t)s->text, (double)(size_t)s->tokens, s->n_tokens, s->window,
      s->no_speech_prob, s->temperature, s->avg_logprob,          s->compression_ratio};
  memcpy(out, row, sizeof row);
  return 1;
}

/* out[4]: id, p, text, bytes of the text; of token `index` of the array that sotto_wasm_segment gave. */
void EXPORT(sotto_wasm_token)(const sotto_token *tokens, int32_t index, double *out) {
  const sotto_token *token = &tokens[index];
  const double row[] = {token->id, token->p, (double)(size_t)token->text, token->text_bytes};
  memcpy(out, row, sizeof row);
}

/* out[0]: the probability. Returns the code of the language, "" before it is known. */
const char *EXPORT(sotto_wasm_transcription_language)(const sotto_transcription *t, double *out) {
  float p = 0;
  const char *code = sotto_transcription_language(t, &p);
  out[0] = p;
  return code;
}

float EXPORT(sotto_wasm_transcription_language_p)(const sotto_transcription *t, int32_t index) {
  return sotto_transcription_language_p(t, index);
}

/* out[3]: audio received and transcribed (s), fraction done. */
void EXPORT(sotto_wasm_transcription_progress)(const sotto_transcription *t, double *out) {
  sotto_progress progress;
  sotto_transcription_progress(t, &progress);
  const double row[] = {progress.pushed_s, progress.done_s, progress.fraction};
  memcpy(out, row, sizeof row);
}

/* out[5]: mel, encode and decode ms, windows encoded, decoder steps. */
void EXPORT(sotto_wasm_transcription_timings)(const sotto_transcription *t, double *out) {
  sotto_timings timings;
  sotto_transcription_timings(t, &timings);
  const double row[] = {timings.mel_ms, timings.encode_ms, timings.decode_ms, timings.n_encode, timings.n_decode};
  memcpy(out, row, sizeof row);
}

/* ---- text: a language model ---- */

/* Ids of a text; `flags` as in sotto.h. out[0]: how many it has. Returns the status. */
int32_t EXPORT(sotto_wasm_tokenize)(sotto_model *model, const char *bytes, size_t size, uint32_t flags, int32_t *ids,
                                    size_t capacity, double *out) {
  size_t n = 0;
  const sotto_status status = sotto_tokenize(model, bytes, size, flags, ids, capacity, &n);
  out[0] = (double)n;
  return status;
}

/* out[0]: bytes. Returns what the token adds to a text; control tokens nothing, or their names. */
const char *EXPORT(sotto_wasm_token_piece)(const sotto_model *model, int32_t id, int32_t show_control, double *out) {
  size_t n = 0;
  const char *piece = sotto_token_piece(model, id, show_control, &n);
  out[0] = (double)n;
  return piece;
}

int32_t EXPORT(sotto_wasm_token_ends)(const sotto_model *model, int32_t id) { return sotto_token_ends(model, id); }

/* Room for the turns of a conversation, to be freed with sotto_wasm_free. */
sotto_turn *EXPORT(sotto_wasm_turns)(size_t n) { return mem_alloc(n > 0 ? n : 1, sizeof(sotto_turn)); }

/* Turn `index`; the text must stay until the tokens are made. */
void EXPORT(sotto_wasm_turn)(sotto_turn *turns, size_t index, int32_t role, const char *bytes, size_t size) {
  turns[index] = (sotto_turn){role, bytes, size};
}

/* Ids of a conversation. out[0]: how many it has. Returns the status. */
int32_t EXPORT(sotto_wasm_chat_tokens)(sotto_model *model, const sotto_turn *turns, size_t n_turns, int32_t *ids,
                                       size_t capacity, double *out) {
  size_t n = 0;
  const sotto_status status = sotto_chat_tokens(model, turns, n_turns, ids, capacity, &n);
  out[0] = (double)n;
  return status;
}

/* The same without the oldest turns, so that at most max_tokens remain. out[2]: ids, turns left out. Returns the status. */
int32_t EXPORT(sotto_wasm_chat_fit)(sotto_model *model, const sotto_turn *turns, size_t n_turns, size_t max_tokens,
                                    int32_t *ids, size_t capacity, double *out) {
  size_t n = 0, n_dropped = 0;
  const sotto_status status = sotto_chat_fit(model, turns, n_turns, max_tokens, ids, capacity, &n, &n_dropped);
  out[0] = (double)n;
  out[1] = (double)n_dropped;
  return status;
}

/* Memory that such a session would take. */
double EXPORT(sotto_wasm_session_bytes)(const sotto_model *model, const sotto_session_options *options) {
  return (double)sotto_session_bytes(model, options);
}

/* out[0]: the session. Returns the status. */
int32_t EXPORT(sotto_wasm_session_open)(sotto_model *model, const sotto_session_options *options, double *out) {
  sotto_session *s = NULL;
  const sotto_status status = sotto_session_open(&s, model, options);
  out[0] = (double)(size_t)s;
  return status;
}

int32_t EXPORT(sotto_wasm_session_fork)(sotto_session *session, double *out) {
  sotto_session *s = NULL;
  const sotto_status status = sotto_session_fork(&s, session);
  out[0] = (double)(size_t)s;
  return status;
}

double EXPORT(sotto_wasm_session_save_bytes)(sotto_session *s) { return (double)sotto_session_save_bytes(s); }

/* out[0]: bytes written. Returns the status. */
int32_t EXPORT(sotto_wasm_session_save)(sotto_session *s, void *bytes, size_t capacity, double *out) {
  size_t n = 0;
  const sotto_status status = sotto_session_save(s, bytes, capacity, &n);
  out[0] = (double)n;
  return status;
}

int32_t EXPORT(sotto_wasm_session_restore)(sotto_session *s, const void *bytes, size_t n) {
  return sotto_session_restore(s, bytes, n);
}

void EXPORT(sotto_wasm_session_close)(sotto_session *s) { sotto_session_close(s); }
int32_t EXPORT(sotto_wasm_session_capacity)(const sotto_session *s) { return sotto_session_capacity(s); }
int32_t EXPORT(sotto_wasm_session_length)(const sotto_session *s) { return sotto_session_length(s); }

int32_t EXPORT(sotto_wasm_session_sync)(sotto_session *s, const int32_t *tokens, size_t n) {
  return sotto_session_sync(s, tokens, n);
}

int32_t EXPORT(sotto_wasm_session_step)(sotto_session *s) { return sotto_session_step(s); }

/* out[0]: the next token. Returns the status. */
int32_t EXPORT(sotto_wasm_session_next)(sotto_session *s, sotto_sampler *sampler, double *out) {
  int32_t id = -1;
  const sotto_status status = sotto_session_next(s, sampler, &id, NULL);
  out[0] = id;
  return status;
}

/* out[0] ... out[2]: checks of guesses, guesses, those that were right, so far. */
void EXPORT(sotto_wasm_session_speculation)(const sotto_session *s, double *out) {
  sotto_speculation so_far;
  sotto_session_speculation(s, &so_far);
  out[0] = (double)so_far.n_checks;
  out[1] = (double)so_far.n_guesses;
  out[2] = (double)so_far.n_accepted;
}

int32_t EXPORT(sotto_wasm_session_n_logits)(const sotto_session *s) { return sotto_session_n_logits(s); }

float *EXPORT(sotto_wasm_session_logits)(sotto_session *s, int32_t back) { return sotto_session_logits(s, back); }

sotto_sampler *EXPORT(sotto_wasm_sampler_open)(sotto_model *model, const sotto_sampler_options *options) {
  sotto_sampler *s;
  return sotto_sampler_open(&s, model, options) == SOTTO_OK ? s : NULL;
}

void EXPORT(sotto_wasm_sampler_close)(sotto_sampler *s) { sotto_sampler_close(s); }
void EXPORT(sotto_wasm_sampler_accept)(sotto_sampler *s, int32_t id) { sotto_sampler_accept(s, id); }

/* Returns the token, or an error below zero. `out` may be NULL; out[0]: its log-probability. */
int32_t EXPORT(sotto_wasm_sampler_sample)(sotto_sampler *s, float *logits, double *out) {
  int32_t id = 0;
  float logprob = 0;
  const sotto_status status = sotto_sampler_sample(s, logits, &id, out != NULL ? &logprob : NULL);
  if (out != NULL) out[0] = logprob;
  return status < 0 ? (int32_t)status : id;
}

/* out[2 * n]: id and log-probability of the likeliest tokens. Returns how many there are. */
int32_t EXPORT(sotto_wasm_sampler_top)(const sotto_sampler *s, const float *logits, int32_t n, double *out) {
  sotto_logprob top[SOTTO_MAX_TOP];
  const int32_t n_top = sotto_sampler_top(s, logits, top, n);
  for (int32_t i = 0; i < n_top; i++) {
    out[2 * i] = top[i].id;
    out[2 * i + 1] = top[i].logprob;
  }
  return n_top;
}

/* Log-probability of token `id` by logits [n_vocab]. */
double EXPORT(sotto_wasm_logprob)(const float *logits, int32_t n_vocab, int32_t id) {
  candidate best;
  if (select_top(logits, n_vocab, 1, &best) == 0) return 0;
  return (double)logits[id] - best.x - log(select_all(logits, n_vocab, best.x, 1, 0, NULL, NULL));
}

/* Whole characters, and no stop string. `stops`: n strings one after the other, each with a closing NUL. */
text_stream *EXPORT(sotto_wasm_text_stream_open)(const char *stops, size_t n) {
  const char *starts[TEXT_STREAM_MAX_STOPS];
  size_t bytes[TEXT_STREAM_MAX_STOPS];
  if (n > TEXT_STREAM_MAX_STOPS) return NULL;
  for (size_t i = 0; i < n; i++) {
    starts[i] = stops;
    bytes[i] = strlen(stops);
    stops += bytes[i] + 1;
  }
  error err = {.text = ""};
  text_stream *s;
  return text_stream_open(&s, starts, bytes, n, &err) == SOTTO_OK ? s : NULL;
}

void EXPORT(sotto_wasm_text_stream_close)(text_stream *s) { text_stream_close(s); }

/* Adds the bytes of a token; `bytes` NULL: no more come. out[2]: address and bytes of the text that is final now.
 * Returns 1 once a stop string was met, 0 before, or an error below zero. */
int32_t EXPORT(sotto_wasm_text_stream_push)(text_stream *s, const char *bytes, size_t size, double *out) {
  const char *shown = NULL;
  size_t n = 0;
  error err = {.text = ""};
  const sotto_status status =
      bytes != NULL ? text_stream_push(s, bytes, size, &shown, &n, &err) : text_stream_finish(s, &shown, &n, &err);
  out[0] = (double)(size_t)shown;
  out[1] = (double)n;
  return status < 0 ? (int32_t)status : text_stream_stopped(s) >= 0;
}

/* ---- quantization ---- */

#define QUANTIZE_OPTION(field, kind) \
  { #field, offsetof(sotto_quantize_options, field), kind }

static const option quantize_option_table[] = {
    QUANTIZE_OPTION(type, OPTION_POINTER),       QUANTIZE_OPTION(overrides, OPTION_POINTER),
    QUANTIZE_OPTION(n_overrides, OPTION_SIZE),   QUANTIZE_OPTION(imatrix, OPTION_POINTER),
    QUANTIZE_OPTION(imatrix_bytes, OPTION_SIZE), QUANTIZE_OPTION(name, OPTION_POINTER),
    QUANTIZE_OPTION(fast, OPTION_I32),
};

/* out[2]: name, bits of a weight. Returns 0 when there is no such type. */
int32_t EXPORT(sotto_wasm_quantize_type)(int32_t index, double *out) {
  const char *name = NULL;
  double bits = 0;
  const int32_t found = sotto_quantize_type(index, &name, &bits);
  out[0] = (double)(size_t)name;
  out[1] = bits;
  return found;
}

/* The defaults, to be changed by sotto_wasm_quantize_option and freed with sotto_wasm_free. */
sotto_quantize_options *EXPORT(sotto_wasm_quantize_options)(void) {
  return mem_alloc(1, sizeof(sotto_quantize_options));
}

/* As sotto_wasm_option; overrides: pairs of addresses, of a pattern and a type. All must stay until the quantizer is open. */
int32_t EXPORT(sotto_wasm_quantize_option)(sotto_quantize_options *options, const char *name, double value) {
  return set_option(quantize_option_table, sizeof quantize_option_table / sizeof *quantize_option_table, options, name,
                    value);
}

/* 0: sotto_wasm_error says why. */
sotto_quantizer *EXPORT(sotto_wasm_quantizer_open)(sotto_engine *engine, const sotto_quantize_options *options) {
  sotto_quantizer *q;
  return sotto_quantizer_open(&q, engine, options) == SOTTO_OK ? q : NULL;
}

void EXPORT(sotto_wasm_quantizer_close)(sotto_quantizer *q) { sotto_quantizer_close(q); }

/* Returns the file's index, or an error below zero. */
int32_t EXPORT(sotto_wasm_quantizer_file)(sotto_quantizer *q, const char *name, double bytes) {
  return sotto_quantizer_file(q, name, (uint64_t)bytes);
}

/* out[3]: file, offset, bytes. Returns the status. */
int32_t EXPORT(sotto_wasm_quantizer_wants)(sotto_quantizer *q, double *out) {
  int32_t file = 0;
  uint64_t offset = 0, bytes = 0;
  const sotto_status status = sotto_quantizer_wants(q, &file, &offset, &bytes);
  out[0] = file;
  out[1] = (double)offset;
  out[2] = (double)bytes;
  return status;
}

int32_t EXPORT(sotto_wasm_quantizer_give)(sotto_quantizer *q, int32_t file, double offset, const void *bytes,
                                          size_t n) {
  return sotto_quantizer_give(q, file, (uint64_t)offset, bytes, n);
}

/* out[11]: format, architecture, name, type (strings), n_tensors, n_pieces, n_warnings, n_parameters, source_bytes, out_bytes, most_row_bytes. */
void EXPORT(sotto_wasm_quantizer_describe)(const sotto_quantizer *q, double *out) {
  sotto_quantize_info info;
  sotto_quantizer_describe(q, &info);
  const double row[] = {(double)(size_t)info.format,
                        (double)(size_t)info.architecture,
                        (double)(size_t)info.name,
                        (double)(size_t)info.type,
                        info.n_tensors,
                        info.n_pieces,
                        info.n_warnings,
                        (double)info.n_parameters,
                        (double)info.source_bytes,
                        (double)info.out_bytes,
                        (double)info.most_row_bytes};
  memcpy(out, row, sizeof row);
}

/* 0 past the end. */
const char *EXPORT(sotto_wasm_quantizer_warning)(const sotto_quantizer *q, int32_t index) {
  return sotto_quantizer_warning(q, index);
}

/* out[12]: name, file, offset, bytes, source type (string), rows, cols, type (string), out_offset, out_bytes, plain, importance (address or 0).
 * Returns 0 when there is no such tensor. */
int32_t EXPORT(sotto_wasm_quantizer_tensor)(const sotto_quantizer *q, int32_t index, double *out) {
  sotto_quantize_tensor t;
  if (!sotto_quantizer_tensor(q, index, &t)) return 0;
  const double row[] = {(double)(size_t)t.name,
                        t.file,
                        (double)t.offset,
                        (double)t.bytes,
                        (double)(size_t)t.source_type,
                        (double)t.rows,
                        (double)t.cols,
                        (double)(size_t)t.type,
                        (double)t.out_offset,
                        (double)t.out_bytes,
                        t.plain,
                        (double)(size_t)t.importance};
  memcpy(out, row, sizeof row);
  return 1;
}

/* out[2]: out_offset, bytes. Returns their address; 0 when there is no such piece. */
const void *EXPORT(sotto_wasm_quantizer_piece)(const sotto_quantizer *q, int32_t index, double *out) {
  uint64_t at = 0;
  size_t n = 0;
  const void *bytes = sotto_quantizer_piece(q, index, &at, &n);
  out[0] = (double)at;
  out[1] = (double)n;
  return bytes;
}

int32_t EXPORT(sotto_wasm_quantizer_rows)(sotto_quantizer *q, int32_t index, double first, double n, const void *source,
                                          void *out) {
  return sotto_quantizer_rows(q, index, (int64_t)first, (int64_t)n, source, out);
}

/* ---- voice activity ---- */

sotto_vad_options *EXPORT(sotto_wasm_vad_options)(void) {
  sotto_vad_options *options = mem_alloc(1, sizeof *options);
  if (options != NULL) sotto_vad_options_default(options);
  return options;
}

int32_t EXPORT(sotto_wasm_vad_option)(sotto_vad_options *options, const char *name, double value) {
  return set_option(vad_option_table, sizeof vad_option_table / sizeof *vad_option_table, options, name, value);
}

sotto_vad *EXPORT(sotto_wasm_vad_open)(sotto_engine *engine, const void *bytes, size_t size,
                                       const sotto_vad_options *options) {
  sotto_vad *v;
  return sotto_vad_open(&v, engine, bytes, size, options) == SOTTO_OK ? v : NULL;
}

void EXPORT(sotto_wasm_vad_close)(sotto_vad *v) { sotto_vad_close(v); }
void EXPORT(sotto_wasm_vad_reset)(sotto_vad *v) { sotto_vad_reset(v); }

/* out[1]: the probability. Returns the samples taken. `samples` NULL: no more come. */
size_t EXPORT(sotto_wasm_vad_push)(sotto_vad *v, const float *samples, size_t n, double *out) {
  float p;
  size_t taken = 0;
  if (samples != NULL)
    taken = sotto_vad_push(v, samples, n, &p);
  else
    sotto_vad_end(v, &p);
  out[0] = p;
  return taken;
}

/* out[2]: start and end, in samples. Returns 0 when there is none. */
int32_t EXPORT(sotto_wasm_vad_next)(sotto_vad *v, double *out) {
  sotto_speech s = {0, 0};
  const int32_t found = sotto_vad_next(v, &s);
  out[0] = (double)s.start;
  out[1] = (double)s.end;
  return found;
}

int32_t EXPORT(sotto_wasm_vad_now)(const sotto_vad *v, double *out) {
  sotto_speech s = {0, 0};
  const int32_t on = sotto_vad_now(v, &s);
  out[0] = (double)s.start;
  out[1] = (double)s.end;
  return on;
}

int32_t EXPORT(sotto_wasm_transcription_skip_silence)(sotto_transcription *t, sotto_vad *v) {
  return sotto_transcription_skip_silence(t, v);
}

/* 0: sotto_wasm_error says why. */
sotto_imatrix *EXPORT(sotto_wasm_imatrix_open)(sotto_model *model) {
  sotto_imatrix *x;
  return sotto_imatrix_open(&x, model) == SOTTO_OK ? x : NULL;
}

void EXPORT(sotto_wasm_imatrix_close)(sotto_imatrix *x) { sotto_imatrix_close(x); }

/* out[0]: bytes of the file. Returns the status. */
int32_t EXPORT(sotto_wasm_imatrix_write)(sotto_imatrix *x, void *bytes, size_t capacity, double *out) {
  size_t n = 0;
  const sotto_status status = sotto_imatrix_write(x, bytes, capacity, &n);
  out[0] = (double)n;
  return status;
}

/* ---- audio ---- */

sotto_resampler *EXPORT(sotto_wasm_resampler_open)(double rate, int32_t channels) {
  sotto_resampler *r;
  return sotto_resampler_open(&r, rate, channels) == SOTTO_OK ? r : NULL;
}

void EXPORT(sotto_wasm_resampler_close)(sotto_resampler *r) { sotto_resampler_close(r); }

/* out[1]: frames taken. Returns the samples written. */
size_t EXPORT(sotto_wasm_resampler_run)(sotto_resampler *r, const float *frames, size_t n_frames, double *out,
                                        float *samples, size_t capacity) {
  size_t taken = 0;
  size_t written = sotto_resampler_run(r, frames, n_frames, &taken, samples, capacity);
  out[0] = (double)taken;
  return written;
}

sotto_wav *EXPORT(sotto_wasm_wav_open)(void) {
  sotto_wav *w;
  return sotto_wav_open(&w) == SOTTO_OK ? w : NULL;
}

void EXPORT(sotto_wasm_wav_close)(sotto_wav *w) { sotto_wav_close(w); }

/* out[2]: bytes taken, floats written. Returns the status. */
int32_t EXPORT(sotto_wasm_wav_read)(sotto_wav *w, const void *bytes, size_t size, double *out, float *frames,
                                    size_t capacity) {
  size_t taken = 0, written = 0;
  sotto_status status = sotto_wav_read(w, bytes, size, &taken, frames, capacity, &written);
  out[0] = (double)taken;
  out[1] = (double)written;
  return status;
}

/* out[3]: rate (Hz), channels, frames (0: unknown). Returns 0 before the header was read. */
int32_t EXPORT(sotto_wasm_wav_format)(const sotto_wav *w, double *out) {
  const sotto_wav_format *format = sotto_wav_format_of(w);
  if (format == NULL) return 0;
  out[0] = format->rate;
  out[1] = format->channels;
  out[2] = (double)format->n_frames;
  return 1;
}

const char *EXPORT(sotto_wasm_wav_error)(const sotto_wav *w) { return sotto_wav_error(w); }

/* ---- SHA-256 ---- */

sha256 *EXPORT(sotto_wasm_sha256_open)(void) {
  sha256 *h = mem_alloc(1, sizeof *h);
  if (h != NULL) sha256_begin(h);
  return h;
}

void EXPORT(sotto_wasm_sha256_update)(sha256 *h, const uint8_t *bytes, size_t size) { sha256_add(h, bytes, size); }

/* Writes the 32 bytes of the digest and frees `h`. */
void EXPORT(sotto_wasm_sha256_close)(sha256 *h, uint8_t *out) {
  sha256_end(h, out);
  mem_free(h);
}

#endif
