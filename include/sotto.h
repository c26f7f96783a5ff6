/* sotto: speech recognition and language models in C11, natively and in WebAssembly.
 *
 * The way through this header:
 *
 *     engine ──> model ────────┬─> transcription
 *     (threads)  (feed a file) │   (push audio, step, pull segments)
 *                              └─> session, sampler
 *                                  (sync tokens, step, sample)
 *
 *     sotto_engine_open(&engine, NULL);
 *     sotto_model_open(&model, engine);
 *     while (n = read(file, buf)) sotto_model_feed(model, buf, n);
 *     sotto_model_finish(model);
 *     sotto_transcription_open(&t, model, NULL);
 *     sotto_transcription_push(t, pcm, n); sotto_transcription_end(t);
 *     do { s = sotto_transcription_step(t);
 *          while ((seg = sotto_transcription_segment(t))) puts(seg->text);
 *     } while (s == SOTTO_AGAIN || s == SOTTO_SEGMENT);
 *
 * Ownership: every `open` that returns SOTTO_OK is paired with one `close`; when it fails, *out is NULL and
 * nothing is left behind. Close children before parents (transcription or session, model, engine). All strings are UTF-8,
 * NUL-terminated and owned by the library. Nothing here blocks on I/O, calls exit, or prints.
 * Threads: an engine and all that was opened on it belong to one caller at a time. */
#ifndef SOTTO_H
#define SOTTO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SOTTO_VERSION     "0.1.0"
#define SOTTO_SAMPLE_RATE 16000 /* Hz, of all audio pushed */

typedef enum sotto_status {
  SOTTO_OK = 0,
  SOTTO_AGAIN = 1,            /* a small piece of work was done: call step again */
  SOTTO_SEGMENT = 2,          /* as AGAIN, and new segments can be pulled */
  SOTTO_STARVED = 3,          /* step has nothing to do until more audio is pushed or the end is declared */
  SOTTO_DONE = 4,             /* all audio is transcribed */
  SOTTO_ERR_ARGUMENT = -1,    /* a call that makes no sense: a NULL, an option out of range, a call out of order */
  SOTTO_ERR_MEMORY = -2,      /* memory ran out */
  SOTTO_ERR_FORMAT = -3,      /* bytes that are not what they should be: foreign, corrupt, truncated */
  SOTTO_ERR_UNSUPPORTED = -4, /* well-formed, but a kind that this build does not know */
  SOTTO_ERR_DEVICE = -5, /* the GPU is gone: close the engine and all that was opened on it, and open another one */
} sotto_status;

/* ---- engine: threads, and the last error ---- */

typedef struct sotto_engine sotto_engine;

/* Where models lie and run. */
typedef enum sotto_backend {
  SOTTO_BACKEND_CPU = 0,
  SOTTO_BACKEND_WEBGPU =
      1, /* in WebAssembly, on the device that the host opened. Steps, fork and save answer AGAIN until it has
                               delivered: let the host's events run before the next call. */
} sotto_backend;

typedef struct sotto_engine_options {
  int32_t n_threads; /* kernels run on this many, the caller's included; 0: one per core, at most 8 */
  int32_t backend;   /* sotto_backend */
} sotto_engine_options;

/* Opens an engine. `options` may be NULL for the defaults.
 * Errors: ARGUMENT, MEMORY, UNSUPPORTED (this backend is not here). */
sotto_status sotto_engine_open(sotto_engine **out, const sotto_engine_options *options);
void sotto_engine_close(sotto_engine *engine); /* NULL is allowed */

/* The sentence that says what went wrong in the last call that failed on this engine or on anything opened on it,
 * and what to do. "" when nothing did. Valid until the next call. */
const char *sotto_engine_error(const sotto_engine *engine);

/* "cpu" or "webgpu". */
const char *sotto_engine_backend(const sotto_engine *engine);

/* Number of threads in use, the caller's included. */
int32_t sotto_engine_threads(const sotto_engine *engine);

/* Names of the instruction set that the kernels use: "scalar", "avx2", "neon", "wasm-simd", "wasm-relaxed-simd". */
const char *sotto_engine_isa(const sotto_engine *engine);

const char *sotto_version(void);

/* ---- model: push the bytes of a file ---- */

typedef struct sotto_model sotto_model;

/* Opens an empty model that waits for its bytes. Errors: MEMORY. */
sotto_status sotto_model_open(sotto_model **out, sotto_engine *engine);

/* Gives the next `size` bytes of the model file (whisper.cpp's ggml .bin, or GGUF), in pieces of any size. The bytes are copied or converted;
 * the caller keeps its buffer. After an error every further call fails alike.
 * Errors: FORMAT, UNSUPPORTED, MEMORY. */
sotto_status sotto_model_feed(sotto_model *model, const void *bytes, size_t size);

/* Declares the end of the file: checks that every tensor came. The model can be used after SOTTO_OK.
 * Errors: FORMAT (truncated, tensors missing). */
sotto_status sotto_model_finish(sotto_model *model);
void sotto_model_close(sotto_model *model); /* NULL is allowed */

typedef struct sotto_model_info {
  const char *architecture; /* "whisper", "gemma", "gemma2", "gemma3" */
  const char *name;         /* "tiny", "base.en", "large-v3-turbo", ..., by shape; "custom" for an unknown one */
  const char *weight_type;  /* type of most of the weights: "f16", "q5_1", ... */
  int32_t n_vocab, n_mel;
  int32_t n_audio_ctx, n_audio_state, n_audio_head, n_audio_layer;
  int32_t n_text_ctx, n_text_state, n_text_head, n_text_layer;
  int32_t multilingual; /* 1: knows languages and translation; 0: English only */
  int32_t n_tensors;
  uint64_t n_parameters;
  uint64_t weight_bytes; /* in memory */
  /* language models; n_vocab, n_text_ctx (trained for), n_text_state, n_text_head, n_text_layer count for them too */
  int32_t n_kv_head, head_dim, n_ff, window;
} sotto_model_info;

/* Describes the model as far as it has been fed: all zero and NULL before the header came. */
void sotto_model_describe(const sotto_model *model, sotto_model_info *info);

/* Tensor `index` of [0, n_tensors): its name, type name, and shape (row-major, `dims` filled, returns the rank).
 * 0 when there is no such tensor. `name` and `type` may be NULL. */
int32_t sotto_model_tensor(const sotto_model *model, int32_t index, const char **name, const char **type,
                           int64_t dims[4]);

/* Language `index` of [0, n): its code ("en") and English name ("english"). Returns 0 when there is no such language.
 * Needs no model; models older than large-v3 know the first 99. */
int32_t sotto_language(int32_t index, const char **code, const char **name);

/* ---- transcription: push audio, pull segments ---- */

typedef struct sotto_transcription sotto_transcription;

typedef enum sotto_task { SOTTO_TRANSCRIBE = 0, SOTTO_TRANSLATE = 1 } sotto_task;

typedef struct sotto_transcribe_options {
  const char *language; /* code or English name; NULL or "auto": detected in the first window */
  int32_t task;         /* sotto_task */
  int32_t timestamps;   /* 1: segments with times; 0: one segment for a window */
  /* search */
  int32_t beam_size;    /* beams at temperature 0; 0 or 1: greedy */
  float patience;       /* of the beam search; 1 is the plain one */
  int32_t best_of;      /* samples drawn at temperatures above 0 */
  float length_penalty; /* alpha of Google's NMT ranking; negative: rank by mean log-probability */
  int32_t max_tokens;   /* of a window; 0: half the text context */
  int32_t audio_ctx;    /* the window in steps of 20 ms: short audio then costs less; 0: all, 30 s */
  int32_t fast_encoder; /* 1: the encoder may round to 8 bits where that is faster, on the CPU: a little less exact */
  uint64_t seed;        /* of the sampling */
  /* fallback */
  float temperature;                 /* the first one tried */
  float temperature_increment;       /* up to 1.0; 0: no fallback */
  float compression_ratio_threshold; /* zlib ratio above which a text is taken for a loop; <= 0: off */
  float logprob_threshold;           /* mean log-probability below which a text is not trusted; >= 0: off */
  float no_speech_threshold;         /* probability above which an untrusted window is silence; >= 1: off */
  /* rules */
  int32_t suppress_blank;         /* no blank at the start */
  int32_t suppress_symbols;       /* no notes, brackets and other non-speech symbols */
  const int32_t *suppress_tokens; /* further token ids, may be NULL */
  int32_t n_suppress_tokens;
  float max_initial_timestamp; /* s */
  /* context */
  int32_t condition_on_previous_text; /* the last window's text is the prompt of the next */
  const char *initial_prompt;         /* text before the first window: names, spelling, style; may be NULL */
  const char *prefix;                 /* the first window's text begins with this; may be NULL */
} sotto_transcribe_options;

/* The defaults: those of openai/whisper's transcribe(), greedy. */
void sotto_transcribe_options_default(sotto_transcribe_options *options);

/* Opens a transcription. `options` may be NULL; strings and arrays in it are copied. All memory is taken here.
 * Errors: ARGUMENT (model not finished, unknown language, translation with an English-only model, ...), MEMORY. */
sotto_status sotto_transcription_open(sotto_transcription **out, sotto_model *model,
                                      const sotto_transcribe_options *options);
void sotto_transcription_close(sotto_transcription *t); /* NULL is allowed; this is also how to cancel */

/* Takes up to `n` samples (16 kHz, mono, [-1, 1]) and returns how many it took: fewer than n when its window is full,
 * then step until it starves. NaN and infinities count as 0. After `end` it takes none. */
size_t sotto_transcription_push(sotto_transcription *t, const float *samples, size_t n);

/* Declares that no more audio comes. */
void sotto_transcription_end(sotto_transcription *t);

/* Does one small piece of work: some mel frames, one encoder layer, one decoder step.
 * Returns AGAIN, SEGMENT, STARVED, DONE or an error. */
sotto_status sotto_transcription_step(sotto_transcription *t);

typedef struct sotto_token {
  int32_t id;
  float p;             /* probability under the model, in [0, 1] */
  const char *text;    /* bytes of the token: may be a part of a character; "<|1.00|>" for a timestamp */
  uint32_t text_bytes; /* without the closing NUL */
} sotto_token;

typedef struct sotto_segment {
  double start_s, end_s; /* from the start of the audio */
  const char *text;      /* valid UTF-8, starting with a space where the language has them */
  const sotto_token *tokens;
  int32_t n_tokens;
  int32_t window; /* counts the windows decoded; segments of one share the numbers below */
  float no_speech_prob;
  float temperature; /* at which the window was accepted */
  float avg_logprob;
  float compression_ratio;
} sotto_segment;

/* The next finished segment, in order, or NULL. Valid until the next step or close. */
const sotto_segment *sotto_transcription_segment(sotto_transcription *t);

/* Code of the language in use ("" before it is known); *p: its probability (1 where the caller chose it; may be NULL). */
const char *sotto_transcription_language(const sotto_transcription *t, float *p);

/* Probability of language `index` (see sotto_language) by the detection; 0 where none ran. */
float sotto_transcription_language_p(const sotto_transcription *t, int32_t index);

typedef struct sotto_progress {
  double pushed_s; /* audio received */
  double done_s;   /* audio transcribed */
  double fraction; /* of what was received, in [0, 1]; moves within a window too */
} sotto_progress;

void sotto_transcription_progress(const sotto_transcription *t, sotto_progress *progress);

typedef struct sotto_timings {
  double mel_ms; /* spent within step and push */
  double encode_ms,
      decode_ms;    /* wall time, waits for a GPU included; it may encode while the decoder's steps are recorded */
  int32_t n_encode; /* windows encoded */
  int32_t n_decode; /* decoder steps (a batch of beams is one step) */
} sotto_timings;

void sotto_transcription_timings(const sotto_transcription *t, sotto_timings *timings);

/* ---- text: a language model (Gemma 1, 2, 3) ----
 *
 *     sotto_model_open ─> feed a GGUF file, or sotto_model_file(name), feed ... for the files of a Hugging Face folder ─> finish
 *     sotto_session_open ─> sync(tokens) ─> step until DONE ─> sotto_sampler_sample(logits) ─> sync(tokens + it) ...
 *                                        └> sotto_session_next, sotto_session_next ... */

/* The bytes fed from here on are those of the file `name` (without folders): "model.gguf", "config.json", "tokenizer.model", "tokenizer.json",
 * "model-00001-of-00002.safetensors"... Needed only for models of several files; any order, but config.json before the weights.
 * Errors: FORMAT, UNSUPPORTED, MEMORY (of the file that ends), ARGUMENT. */
sotto_status sotto_model_file(sotto_model *model, const char *name);

#define SOTTO_TEXT_BOS     1u /* begin with the token that begins texts */
#define SOTTO_TEXT_SPECIAL 2u /* names of control tokens in the text become those tokens */

/* Ids of a text (any bytes). Writes at most `capacity`, *n is the number that it has. Errors: ARGUMENT (no language model), MEMORY. */
sotto_status sotto_tokenize(sotto_model *model, const char *text, size_t bytes, uint32_t flags, int32_t *ids,
                            size_t capacity, size_t *n);
/* What a token adds to a text; may be part of a character. Control tokens read as nothing unless show_control. "" for an id that
 * does not exist. */
const char *sotto_token_piece(const sotto_model *model, int32_t id, int32_t show_control, size_t *bytes);

typedef enum sotto_role { SOTTO_SYSTEM = 0, SOTTO_USER = 1, SOTTO_MODEL = 2 } sotto_role;
typedef struct sotto_turn {
  int32_t role; /* sotto_role */
  const char *text;
  size_t bytes;
} sotto_turn;
/* Ids of a conversation in the model's own template, ending with the beginning of the model's turn. Turns alternate, the user's first; one
 * system turn may come before. What users write cannot hold control tokens. Errors: ARGUMENT, UNSUPPORTED (no chat model), MEMORY. */
sotto_status sotto_chat_tokens(sotto_model *model, const sotto_turn *turns, size_t n_turns, int32_t *ids,
                               size_t capacity, size_t *n);
/* As sotto_chat_tokens, for conversations that outgrow the context: leaves out the oldest turns after the system's, a user's and its answer
 * together, until at most `max_tokens` ids remain; *n_dropped: the number of turns left out. The system text stays, before what is then the
 * first turn. Errors: as sotto_chat_tokens; ARGUMENT when the last turn alone does not fit. */
sotto_status sotto_chat_fit(sotto_model *m, const sotto_turn *turns, size_t n_turns, size_t max_tokens, int32_t *ids,
                            size_t capacity, size_t *n, size_t *n_dropped);
/* 1: generation stops at this token (end of text, end of turn). */
int32_t sotto_token_ends(const sotto_model *model, int32_t id);

/* One sequence of tokens with its keys and values. */
typedef struct sotto_session sotto_session;

/* How keys and values are stored. Q8_0 takes little more than half the memory of F16. */
typedef enum sotto_kv_type { SOTTO_KV_F16 = 0, SOTTO_KV_Q8_0 = 1 } sotto_kv_type;

typedef struct sotto_session_options {
  int32_t n_ctx;      /* most tokens held; 0: 4096, or what the model was trained for, if that is less */
  int32_t n_batch;    /* tokens evaluated in one step, at most n_ctx; 0: 256 */
  int32_t all_logits; /* 1: logits of every token, not only of the last: for measuring */
  int32_t kv_type;    /* sotto_kv_type */
  /* Tokens guessed ahead, and checked several at once by sotto_session_next: what a guess spares is most of a step. Texts are the same with them and without, for
   * every sampler and seed. How many guesses are made at once follows from what they bring on this machine, down to none. On the CPU alone. */
  sotto_model
      *draft; /* guesses: a smaller model of the same engine and vocabulary, which outlives the session; NULL: none */
  int32_t
      lookup; /* 1: guesses what followed the same tokens earlier in the text; costs next to nothing. Not with a draft */
  int32_t n_draft; /* most guesses checked at once, up to 15; 0: 4 */
} sotto_session_options;

/* Memory that a session takes, in bytes, all of it at open. `options` may be NULL for the defaults. Known as soon as the model's sizes are: the
 * weights need not have come. 0: they are not known, or an option is out of range. */
uint64_t sotto_session_bytes(const sotto_model *model, const sotto_session_options *options);
/* `options` may be NULL for the defaults. Errors: ARGUMENT (model not complete, an option out of range), MEMORY. */
sotto_status sotto_session_open(sotto_session **out, sotto_model *model, const sotto_session_options *options);
/* Another session with the same options, tokens, keys and values, and logits; both go on independently, and alike when given the same tokens.
 * Errors: ARGUMENT, MEMORY. AGAIN, and no session: a device has not delivered them yet, call again. */
sotto_status sotto_session_fork(sotto_session **out, sotto_session *session);
void sotto_session_close(sotto_session *s); /* NULL is allowed */
int32_t sotto_session_capacity(const sotto_session *s);

/* Says what the session is to hold. What it holds already of that, from the start, is kept; step evaluates the rest (at least the last token).
 * Errors: ARGUMENT (none, more than the capacity, an id out of range). */
sotto_status sotto_session_sync(sotto_session *s, const int32_t *tokens, size_t n);
/* Evaluates one batch: AGAIN while more are to come, DONE when the logits of the last token are there. Not calling again cancels; the
 * session can be synced anew. */
sotto_status sotto_session_step(sotto_session *s);
/* How many tokens are evaluated. */
int32_t sotto_session_length(const sotto_session *s);
/* Logits [n_vocab] of the last token after DONE; with all_logits, those of token `back` before the last of the batch of the last step
 * (0: the last). NULL: there are none. The caller's to change until the next step. */
float *sotto_session_logits(sotto_session *s, int32_t back);
/* Tokens whose logits the last step made. */
int32_t sotto_session_n_logits(const sotto_session *s);

/* A session as bytes, to go on with later or elsewhere: the tokens evaluated, their keys and values; no logits. What a session restored from
 * them is synced to goes on as in the session that was saved, bit for bit where the instruction set is the same.
 * The form: "SOTTOKV" and a version, a fingerprint of the model, the storage of keys and values, tokens, keys and values by layer, a checksum. */
/* The bytes that save would write now. */
size_t sotto_session_save_bytes(sotto_session *session);
/* Writes them to bytes [capacity]; *n: how many they are. Errors: ARGUMENT (capacity too small; *n says what is needed). AGAIN: a device has
 * not delivered them yet, call again. */
sotto_status sotto_session_save(sotto_session *session, void *bytes, size_t capacity, size_t *n);
/* Puts saved bytes in the place of what the session holds; sync and step come next. The session may have another n_ctx and n_batch than the one
 * saved. After an error it is as it was.
 * Errors: FORMAT (no saved session, damaged, of another model or storage, or longer than this session's context). */
sotto_status sotto_session_restore(sotto_session *session, const void *bytes, size_t n);

/* ---- choosing the next token ----
 *
 *     logits ─> bias ─> penalties ─> temperature ─> top-k ─> top-p ─> min-p ─> typical ─> draw
 *
 * Given the same logits, options and seed, choices are the same on every machine. */

typedef struct sotto_logit_bias {
  int32_t id;
  float bias; /* added to the token's logit; -INFINITY: never chosen */
} sotto_logit_bias;

typedef struct sotto_sampler sotto_sampler;
typedef struct sotto_sampler_options {
  float temperature;        /* 0: the likeliest token; up to 100 */
  int32_t top_k;            /* the k likeliest; 0: all */
  float top_p;              /* the fewest likeliest with this much of the probability, (0, 1]; 1: all */
  float min_p;              /* those with at least this share of the likeliest one's probability, [0, 1]; 0: all */
  float typical_p;          /* as top_p, those whose surprise is nearest to the expected one first; 1: all */
  float repetition_penalty; /* divides the logits of tokens accepted before, multiplies negative ones; 1: none */
  float presence_penalty;   /* taken from the logits of tokens accepted before; 0: none */
  float frequency_penalty;  /* the same for each time that they were accepted; 0: none */
  int32_t penalty_window;   /* the penalties are for the last so many tokens accepted */
  uint64_t seed;
  const sotto_logit_bias *logit_bias; /* [n_logit_bias], copied; may be NULL */
  size_t n_logit_bias;
} sotto_sampler_options;
/* The defaults that Gemma is published with: temperature 1, top-k 64, top-p 0.95. The others do nothing until they are set. */
void sotto_sampler_options_default(sotto_sampler_options *options);
/* `options` may be NULL for the defaults. Errors: ARGUMENT (an option out of range), MEMORY. */
sotto_status sotto_sampler_open(sotto_sampler **out, sotto_model *model, const sotto_sampler_options *options);
/* Another that goes on alike from here. Errors: ARGUMENT, MEMORY. */
sotto_status sotto_sampler_fork(sotto_sampler **out, const sotto_sampler *sampler);
void sotto_sampler_close(sotto_sampler *s); /* NULL is allowed */
/* Tells of a token of the text, for the penalties. */
void sotto_sampler_accept(sotto_sampler *s, int32_t id);
/* Chooses from logits [n_vocab] (changed and changed back); *logprob (may be NULL): of the choice, under the model itself, before bias,
 * penalties, temperature and filters. Errors: FORMAT: no logit is a number. */
sotto_status sotto_sampler_sample(sotto_sampler *s, float *logits, int32_t *id, float *logprob);

/* The next token, of a session and a sampler together: evaluates what the session was synced to, a batch a call; then chooses the token after it, tells
 * the sampler of it, and adds it to what the session holds. Called again and again it writes a text; the last token may be one more than the
 * context holds. *logprob (may be NULL) is that of sotto_sampler_sample.
 * Returns OK with *id, AGAIN while there is none yet. Where `logprob` is NULL, a GPU chooses by itself, some tokens ahead of those that were returned;
 * everything else is answered as if it had not, and texts are the same up to rounding.
 * Errors: ARGUMENT (nothing was synced, the context is full), FORMAT (no logit is a number), DEVICE. */
sotto_status sotto_session_next(sotto_session *s, sotto_sampler *sampler, int32_t *id, float *logprob);

/* What guesses of tokens brought a session so far; all zero without them. */
typedef struct sotto_speculation {
  int64_t n_checks;   /* steps that checked guesses */
  int64_t n_guesses;  /* guesses checked */
  int64_t n_accepted; /* of these, those that were the next token: so many steps were spared */
} sotto_speculation;
void sotto_session_speculation(const sotto_session *s, sotto_speculation *out);

#define SOTTO_MAX_TOP 20

typedef struct sotto_logprob {
  int32_t id;
  float logprob;
} sotto_logprob;

/* The likeliest `n` tokens (at most SOTTO_MAX_TOP) of logits [n_vocab] to top [n], likeliest first, with their log-probabilities under the model
 * itself. Returns how many there are. */
int32_t sotto_sampler_top(const sotto_sampler *s, const float *logits, sotto_logprob *top, int32_t n);

/* ---- quantization: the files of a model to one file with smaller weights ----
 *
 *     quantizer_open ─> quantizer_file(name, size) for each file ─> while (quantizer_wants == AGAIN) read the range, quantizer_give
 *       ─> plan: quantizer_describe, quantizer_piece (bytes as they are), quantizer_tensor (where its rows lie, and where they go)
 *       ─> quantizer_rows(tensor, rows of the source) ─> rows of the output
 *
 * From a Gemma's folder as on Hugging Face (config.json, *.safetensors, tokenizer) or a GGUF file of any kind (all its metadata are kept) comes a
 * GGUF file; from a Whisper's folder, or a ggml .bin file, a ggml .bin file. The plan needs the heads of the files alone, and rows are converted without state: so
 * order, resuming, devices and memory are the caller's choice. Pieces and tensors together are the output, without holes or overlaps. */
typedef struct sotto_quantizer sotto_quantizer;

/* Type `index` of [0, n): its name ("q4_0", or of a mix "q4_K_M") and the bits of a weight in most matrices. Either may be NULL. Returns 0 when
 * there is no such type. */
int32_t sotto_quantize_type(int32_t index, const char **name, double *bits);

typedef struct sotto_quantize_override {
  const char *pattern; /* of names of tensors in the output: * stands for any characters, ? for one */
  const char *type;    /* of tensors, no mix: "q6_K" */
} sotto_quantize_override;

typedef struct sotto_quantize_options {
  const char *type;                         /* NULL: "q8_0"; in upper or lower case */
  const sotto_quantize_override *overrides; /* [n_overrides]; the last one that matches a tensor is its type */
  size_t n_overrides;
  const void *imatrix; /* [imatrix_bytes]: a file of importances, as `sotto imatrix` writes; NULL: none */
  size_t imatrix_bytes;
  const char *name; /* of the model, where the files do not say it; NULL: "model" */
  int32_t fast;     /* 1: k-quants are rounded with scales from the range alone; 0: better scales are searched for */
} sotto_quantize_options;

/* `options` may be NULL for the defaults; all in it is copied. Errors: ARGUMENT (an unknown type), FORMAT (of the importances), MEMORY.
 * Sentences of errors are the engine's: sotto_engine_error. */
sotto_status sotto_quantizer_open(sotto_quantizer **out, sotto_engine *engine, const sotto_quantize_options *options);
void sotto_quantizer_close(sotto_quantizer *q); /* NULL is allowed */

/* Announces a file of the model, of `bytes` bytes: config.json, tokenizer.model, tokenizer.json, vocab.json, *.safetensors and the like; one .gguf or all its parts; one .bin.
 * Files that are not needed are passed over. Returns its index, from 0 on, or an error below zero: ARGUMENT (too late), MEMORY. */
int32_t sotto_quantizer_file(sotto_quantizer *q, const char *name, uint64_t bytes);

/* AGAIN: the plan needs `*bytes` bytes of file `*file` from `*offset` on: give them. OK: the plan is made.
 * Errors, as of give: FORMAT, UNSUPPORTED, MEMORY, ARGUMENT (a file is missing). After an error every further call fails alike. */
sotto_status sotto_quantizer_wants(sotto_quantizer *q, int32_t *file, uint64_t *offset, uint64_t *bytes);
/* Gives the range that was wanted, or the beginning of it (then the rest is wanted next), or more than that. The bytes are copied. */
sotto_status sotto_quantizer_give(sotto_quantizer *q, int32_t file, uint64_t offset, const void *bytes, size_t n);

/* The plan; all zero and NULL before it is made. */
typedef struct sotto_quantize_info {
  const char *format;       /* "gguf" or "ggml": the output's */
  const char *architecture; /* "gemma3", "whisper", ... */
  const char *name;         /* of the model */
  const char *type;         /* "q4_K_M" */
  int32_t n_tensors, n_pieces, n_warnings;
  uint64_t n_parameters;
  uint64_t source_bytes;   /* of all tensors */
  uint64_t out_bytes;      /* of the whole file */
  uint64_t most_row_bytes; /* the most that one row takes, in the source or in the output */
} sotto_quantize_info;
void sotto_quantizer_describe(const sotto_quantizer *q, sotto_quantize_info *info);

/* Sentence `index` of [0, n_warnings): what the caller should know before starting. NULL past the end. */
const char *sotto_quantizer_warning(const sotto_quantizer *q, int32_t index);

/* One tensor; rows lie without gaps in the source as in the output. */
typedef struct sotto_quantize_tensor {
  const char *name;        /* in the output */
  int32_t file;            /* where the source is */
  uint64_t offset, bytes;  /* there */
  const char *source_type; /* "bf16" */
  int64_t rows, cols;      /* of a vector: 1, n */
  const char *type;        /* in the output */
  uint64_t out_offset, out_bytes;
  int32_t
      plain; /* 1: the output's values are the source's, quantized, and nothing else (of Gemma's norms they are not) */
  const float *importance; /* [cols]: weights of the errors of columns; NULL: all count alike */
} sotto_quantize_tensor;

/* Tensor `index` of [0, n_tensors), in the order of the output. Returns 0 when there is none. */
int32_t sotto_quantizer_tensor(const sotto_quantizer *q, int32_t index, sotto_quantize_tensor *tensor);

/* Piece `index` of [0, n_pieces), in the order of the output: `*n` bytes that stand at `*out_offset` as they are. Returns NULL when there is none. */
const void *sotto_quantizer_piece(const sotto_quantizer *q, int32_t index, uint64_t *out_offset, size_t *n);

/* Converts rows [first, first + n) of a tensor: `source` as in its file, `out` as in the output; both without gaps, any alignment. Runs on the engine's threads.
 * The same rows give the same bytes, however they are cut up and on every machine.
 * Errors: FORMAT (a value is no number, or too large for the type: the sentence names the tensor), ARGUMENT, MEMORY. */
sotto_status sotto_quantizer_rows(sotto_quantizer *q, int32_t index, int64_t first, int64_t n, const void *source,
                                  void *out);

/* ---- voice activity: where speech is ----
 *
 *     vad_open (bytes of ggml-silero-*.bin) ─> vad_push: a probability for every 32 ms ─> vad_next: stretches of speech
 *                                                                                    └> transcription_skip_silence */
typedef struct sotto_vad sotto_vad;

#define SOTTO_VAD_FRAME 512 /* samples that a probability is for */

typedef struct sotto_vad_options {
  float threshold;        /* probability from which on a frame is speech, (0, 1) */
  float end_threshold;    /* below it speech may be over; 0: 0.15 less than the other */
  int32_t min_speech_ms;  /* shorter speech is dropped */
  int32_t min_silence_ms; /* shorter silence is part of the speech */
  int32_t pad_ms;         /* added before and after, or half of the silence between two */
} sotto_vad_options;

/* Those of Silero VAD: 0.5, 0 (0.35), 250, 100, 30. */
void sotto_vad_options_default(sotto_vad_options *options);

/* Opens the network from the bytes of its file, which are copied. `options` may be NULL for the defaults. It runs on the caller's thread, whatever
 * the engine's backend. Errors: FORMAT, UNSUPPORTED, ARGUMENT (an option out of range), MEMORY. */
sotto_status sotto_vad_open(sotto_vad **out, sotto_engine *engine, const void *bytes, size_t size,
                            const sotto_vad_options *options);
void sotto_vad_close(sotto_vad *v); /* NULL is allowed */
/* Forgets all sound: the next sample is the first of another recording. */
void sotto_vad_reset(sotto_vad *v);

/* Takes samples (16 kHz, mono) up to the end of a frame and returns how many; none while a stretch waits to be taken by sotto_vad_next, and after the
 * end. *probability (may be NULL): of speech in the frame that they completed; -1: they completed none. */
size_t sotto_vad_push(sotto_vad *v, const float *samples, size_t n, float *probability);
/* Declares that no more audio comes: what is left counts as a frame, and speech that is on ends. *probability as of push. */
void sotto_vad_end(sotto_vad *v, float *probability);

typedef struct sotto_speech {
  int64_t start, end; /* samples from the start of the audio */
} sotto_speech;

/* The next stretch of speech that is over, in order. Returns 0 when there is none. */
int32_t sotto_vad_next(sotto_vad *v, sotto_speech *speech);
/* The stretch that is on: from where it began to where speech was heard last; it may still turn out too short. Returns 0 in silence. */
int32_t sotto_vad_now(const sotto_vad *v, sotto_speech *speech);

/* Lets a transcription hear only what `vad` takes for speech; its times remain those of the whole audio. Before the first push; the
 * network belongs to the transcription until that is closed, and is closed by the caller after it. Where speech was left out, a tenth of a second
 * of silence stands for it. Errors: ARGUMENT, MEMORY. */
sotto_status sotto_transcription_skip_silence(sotto_transcription *t, sotto_vad *vad);

/* How much the columns of each matrix matter: while it is open, the squares of what the model's matrices are multiplied with are summed, whatever is
 * evaluated. For sotto_quantize_options. */
typedef struct sotto_imatrix sotto_imatrix;

/* Of a complete language model, one at a time on an engine. Errors: ARGUMENT, MEMORY, UNSUPPORTED (not on the CPU). */
sotto_status sotto_imatrix_open(sotto_imatrix **out, sotto_model *model);
void sotto_imatrix_close(sotto_imatrix *x); /* NULL is allowed */
/* The file: GGUF, for each matrix NAME a tensor NAME.in_sum2, f32 [cols], and NAME.counts, f32 [1]. Writes it to bytes [capacity]; *n: how many they are.
 * Errors: ARGUMENT (capacity too small; *n says what is needed. Nothing was evaluated), MEMORY. */
sotto_status sotto_imatrix_write(sotto_imatrix *x, void *bytes, size_t capacity, size_t *n);

/* ---- audio: what an embedder without its own tools needs ---- */

/* Streaming resampler and downmixer to 16 kHz mono. */
typedef struct sotto_resampler sotto_resampler;

/* `rate` in Hz, 1000 to 768000; `channels` 1 to 32. Errors: ARGUMENT, MEMORY. */
sotto_status sotto_resampler_open(sotto_resampler **out, double rate, int32_t channels);
void sotto_resampler_close(sotto_resampler *r);

/* Takes `n_frames` interleaved frames and writes at most `capacity` samples to `out`; returns how many it wrote.
 * *taken: how many frames it took. `frames` NULL: no more come, drain the tail until it returns 0. */
size_t sotto_resampler_run(sotto_resampler *r, const float *frames, size_t n_frames, size_t *taken, float *out,
                           size_t capacity);

/* Streaming reader of WAV files (8, 16, 24, 32 bit integer, 32 and 64 bit float, extensible, RF64).
 * Bytes in, interleaved frames out. */
typedef struct sotto_wav sotto_wav;

typedef struct sotto_wav_format {
  int32_t rate, channels, bits; /* Hz, count, of a sample */
  int32_t is_float;
  uint64_t n_frames; /* 0 when the header does not say */
} sotto_wav_format;

sotto_status sotto_wav_open(sotto_wav **out);
void sotto_wav_close(sotto_wav *w);

/* Takes bytes (any number) and writes at most `capacity` floats of whole frames; *taken: bytes taken. `bytes` NULL: end of file.
 * Call until *taken == size and it writes nothing. *written: floats written. Errors: FORMAT, UNSUPPORTED. */
sotto_status sotto_wav_read(sotto_wav *w, const void *bytes, size_t size, size_t *taken, float *frames, size_t capacity,
                            size_t *written);

/* The format, once the header has been read; NULL before. */
const sotto_wav_format *sotto_wav_format_of(const sotto_wav *w);
const char *sotto_wav_error(const sotto_wav *w);

#ifdef __cplusplus
}
#endif

#endif
