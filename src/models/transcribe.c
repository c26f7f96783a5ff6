/* The state machine of a transcription. Each window goes through
 *
 *     COLLECT ─> ENCODE ─> DETECT (first window, language unknown) ─> SEARCH at T = 0, 0.2, ... ─> segments ─> COLLECT
 *                                                                       ^________ not good enough
 *
 * and each step does one piece of that. */
#include "transcribe.h"

#include <math.h>

#include "../text/unicode.h"
#include "../text/zlib_size.h"
#include "logits.h"
#include "mel_window.h"
#include "transcribe_options.h"
#include "whisper_context.h"
#include "whisper_decode.h"
#include "whisper_output.h"
#include "whisper_segments.h"

#define SECONDS_PER_FRAME 0.01

typedef enum phase { COLLECT, ENCODE, DETECT, SEARCH, DONE } phase;

struct transcribe {
  whisper_state *state; /* NULL where the network is the caller's */
  whisper_net net;
  const whisper_vocab *vocab;
  const whisper_special *special;
  int32_t n_text_ctx, frames_per_step; /* a step of a timestamp token: 2 frames */
  int32_t window_frames;               /* the most of a window */
  transcribe_settings settings;
  mel_window *mel;
  whisper_rules rules;
  whisper_search *search;
  whisper_context context;
  whisper_output *output;
  zlib_sizer *sizer;
  whisper_slice *slices; /* [n_text_ctx + 1] */
  int32_t *text_places;  /* [n_text_ctx + 1] scratch */
  int32_t *prompt;       /* [n_text_ctx] */

  phase phase;
  sotto_status failed; /* the first error: every later step repeats it */
  bool ended;
  uint64_t n_samples;
  int64_t seek;     /* first frame of the window, from the start of the audio */
  int32_t n_window; /* frames of audio in it */
  int32_t n_windows, attempt;
  int32_t n_given; /* tokens of the prompt that belong to the text */
  bool detecting;  /* the step for the language is done, its logits are awaited */
  float within;    /* share of the window that is done */
  bool encoding;   /* the encoder's work is not known to be done */
  double since_ms; /* when it began, or when the decoder's did */

  int32_t language; /* index, -1: not known yet */
  float language_p[WHISPER_N_LANGUAGES];
  sotto_timings timings;
  int32_t n_detect; /* decoder steps outside the search */
};

/* ---- life ---- */

static sotto_status no_memory(error *err) {
  return fail(err, SOTTO_ERR_MEMORY, "out of memory for a transcription: use a smaller model");
}

static sotto_status open_parts(transcribe *t, const transcribe_model *m, const sotto_transcribe_options *options,
                               error *err) {
  const ggml_bin_header *h = m->header;
  if (h->n_text_ctx < 16 || h->n_audio_ctx < 1 || WHISPER_WINDOW_FRAMES % h->n_audio_ctx != 0) {
    return fail(err, SOTTO_ERR_UNSUPPORTED, "a model with %d audio and %d text positions cannot be transcribed with",
                (int)h->n_audio_ctx, (int)h->n_text_ctx);
  }
  t->net = m->net;
  t->vocab = m->vocab;
  t->special = whisper_vocab_special(m->vocab);
  t->n_text_ctx = h->n_text_ctx;
  t->frames_per_step = WHISPER_WINDOW_FRAMES / h->n_audio_ctx;
  TRY(transcribe_settings_open(&t->settings, options, m->vocab, h->n_text_ctx, err));
  t->window_frames = options->audio_ctx > 0 ? options->audio_ctx * t->frames_per_step : WHISPER_WINDOW_FRAMES;
  TRY(whisper_rules_open(&t->rules, m->vocab, options, t->frames_per_step * SECONDS_PER_FRAME, err));

  const sotto_transcribe_options *o = &t->settings.o;
  const whisper_search_options search = {.beam_size = o->beam_size,
                                         .best_of = o->best_of,
                                         .patience = o->patience,
                                         .length_penalty = o->length_penalty,
                                         .sample_len = o->max_tokens,
                                         .n_ctx = h->n_text_ctx,
                                         .seed = o->seed};
  const size_t n = (size_t)h->n_text_ctx + 1;
  t->search = whisper_search_open(&t->net, &t->rules, &search);
  t->mel = mel_window_open(m->filters, h->n_mel, t->window_frames);
  t->output = whisper_output_open(m->vocab, h->n_text_ctx);
  t->sizer = zlib_sizer_open();
  t->slices = mem_alloc(n, sizeof *t->slices);
  t->text_places = mem_alloc(n, sizeof *t->text_places);
  t->prompt = mem_alloc((size_t)h->n_text_ctx, sizeof *t->prompt);
  bool all = t->search != NULL && t->mel != NULL && t->output != NULL && t->sizer != NULL && t->slices != NULL &&
             t->text_places != NULL && t->prompt != NULL;
  if (!all || !whisper_context_open(&t->context, h->n_text_ctx / 2 - 1)) return no_memory(err);
  whisper_context_add(&t->context, t->settings.initial_prompt, t->settings.n_initial_prompt);
  t->language = t->settings.language;
  return SOTTO_OK;
}

sotto_status transcribe_open_on(transcribe **out, const transcribe_model *model,
                                const sotto_transcribe_options *options, error *err) {
  *out = NULL;
  transcribe *t = mem_alloc(1, sizeof *t);
  if (t == NULL) return no_memory(err);
  sotto_status status = open_parts(t, model, options, err);
  if (status < 0) {
    transcribe_close(t);
    return status;
  }
  *out = t;
  return SOTTO_OK;
}

sotto_status transcribe_open(transcribe **out, whisper *w, const sotto_transcribe_options *options, error *err) {
  *out = NULL;
  if (!whisper_finished(w))
    return fail(err, SOTTO_ERR_ARGUMENT, "the model is not finished: feed all of its file, then finish it");
  transcribe_settings settings; /* only for the number of sequences, and to refuse bad options before memory is taken */
  TRY(transcribe_settings_open(&settings, options, whisper_vocabulary(w), whisper_header(w)->n_text_ctx, err));
  transcribe_settings_close(&settings);
  whisper_state *state;
  TRY(whisper_state_open(&state, w, settings.n_seqs, options->audio_ctx, err));
  whisper_round_to_bytes(state, options->fast_encoder != 0);
  const transcribe_model model = {whisper_vocabulary(w), whisper_header(w), whisper_filters(w), whisper_net_of(state)};
  sotto_status status = transcribe_open_on(out, &model, options, err);
  if (status < 0)
    whisper_state_close(state);
  else
    (*out)->state = state;
  return status;
}

void transcribe_close(transcribe *t) {
  if (t == NULL) return;
  whisper_state_close(t->state);
  transcribe_settings_close(&t->settings);
  whisper_rules_close(&t->rules);
  whisper_search_close(t->search);
  mel_window_close(t->mel);
  whisper_context_close(&t->context);
  whisper_output_close(t->output);
  zlib_sizer_close(t->sizer);
  mem_free(t->slices);
  mem_free(t->text_places);
  mem_free(t->prompt);
  mem_free(t);
}

/* ---- audio in ---- */

size_t transcribe_push(transcribe *t, const float *samples, size_t n) {
  if (t->ended) return 0;
  double start = now_ms();
  size_t taken = mel_window_push(t->mel, samples, n);
  t->n_samples += taken;
  t->timings.mel_ms += now_ms() - start;
  return taken;
}

void transcribe_end(transcribe *t) { t->ended = true; }

/* Starts a window when all of its audio is there. */
static sotto_status collect(transcribe *t) {
  double start = now_ms();
  if (t->ended) mel_window_drain(t->mel);
  int64_t n = mel_window_frames(t->mel);
  if (t->ended) { /* a last frame that is not full does not count */
    int64_t left = (int64_t)(t->n_samples / MEL_HOP) - t->seek;
    n = n < left ? n : left;
  }
  if (n <= 0 && t->ended) {
    t->phase = DONE;
    return SOTTO_DONE;
  }
  if (n < t->window_frames && !t->ended) return SOTTO_STARVED;
  t->n_window = (int32_t)n;
  const float *frames = mel_window_normalized(t->mel, t->n_window);
  t->since_ms = now_ms();
  t->timings.mel_ms += t->since_ms - start;
  t->net.encode_begin(t->net.context, frames);
  t->encoding = true;
  t->phase = ENCODE;
  return SOTTO_AGAIN;
}

/* ---- prompt, language ---- */

/* Begins the search at the temperature of the attempt:
 * [start of previous, context] start of transcript, [language, task], [no timestamps], [0.00, prefix]
 * openai/whisper has no 0.00 before the prefix, asks for a timestamp after it, and leaves it out of the result; here it is the start
 * of the first segment. */
static void begin_search(transcribe *t) {
  const whisper_special *s = t->special;
  const transcribe_settings *set = &t->settings;
  int32_t n = 0;
  if (t->context.n > 0) {
    t->prompt[n++] = s->start_of_prev;
    memcpy(t->prompt + n, t->context.tokens, (size_t)t->context.n * sizeof *t->prompt);
    n += t->context.n;
  }
  const int32_t sot_index = n;
  t->prompt[n++] = s->sot;
  if (s->multilingual) {
    t->prompt[n++] = s->first_language + t->language;
    t->prompt[n++] = set->o.task == SOTTO_TRANSLATE ? s->translate : s->transcribe;
  }
  if (!set->o.timestamps) t->prompt[n++] = s->no_timestamps;
  t->n_given = 0;
  if (t->n_windows == 0 && set->n_prefix > 0) {
    /* openai's share of it, or a quarter of the positions; and room for its 0.00 and a token of text in any case. */
    int32_t most = max_i32(t->n_text_ctx / 2 - set->o.max_tokens, t->n_text_ctx / 4);
    int32_t n_prefix = min_i32(set->n_prefix, min_i32(most, t->n_text_ctx - n - 2));
    if (set->o.timestamps) t->prompt[n + t->n_given++] = s->first_timestamp;
    memcpy(t->prompt + n + t->n_given, set->prefix + set->n_prefix - n_prefix, (size_t)n_prefix * sizeof *t->prompt);
    t->n_given += n_prefix;
    n += t->n_given;
  }
  whisper_search_begin(t->search, t->prompt, n, sot_index, t->n_given, transcribe_temperature(set, t->attempt));
  t->phase = SEARCH;
}

/* What was since then belongs to the encoder or to the decoder. A GPU encodes while the decoder's steps are being recorded. */
static void take_time(transcribe *t) {
  if (t->phase == COLLECT || t->phase == DONE) return;
  if (t->encoding && (t->phase == ENCODE || !t->net.encoded(t->net.context))) return;
  const double now = now_ms();
  *(t->encoding ? &t->timings.encode_ms : &t->timings.decode_ms) += now - t->since_ms;
  t->since_ms = now;
  t->encoding = false;
}

static sotto_status encode(transcribe *t) {
  float fraction = 1;
  sotto_status status = t->net.encode(t->net.context, &fraction);
  if (status < 0) return status;
  if (status != SOTTO_OK) {
    t->within = 0.5f * fraction;
    return SOTTO_AGAIN;
  }
  t->within = 0.5f;
  t->timings.n_encode++;
  t->attempt = 0;
  t->detecting = false;
  if (t->language < 0)
    t->phase = DETECT;
  else
    begin_search(t);
  return SOTTO_AGAIN;
}

/* One decoder step from the start of transcript: the language tokens compete with each other. */
static sotto_status detect(transcribe *t) {
  const int32_t row = 0;
  if (!t->detecting) {
    t->net.reset(t->net.context);
    TRY(t->net.prompt(t->net.context, &t->special->sot, 1, &row, 1));
    t->n_detect++;
    t->detecting = true;
  }
  const float *logits = t->net.some_logits(t->net.context, 0, t->special->first_language, t->special->n_languages);
  if (logits == NULL) return SOTTO_AGAIN;
  const float log_sum = log_sum_exp(logits, t->special->n_languages);
  t->language = 0;
  for (int32_t i = 0; i < t->special->n_languages; i++) {
    t->language_p[i] = expf(logits[i] - log_sum);
    if (logits[i] > logits[t->language]) t->language = i;
  }
  begin_search(t);
  return SOTTO_AGAIN;
}

/* ---- the result of a window ---- */

/* A window's tokens with the numbers that say whether they can be trusted. */
typedef struct verdict {
  const int32_t *tokens;
  const float *p;
  int32_t n; /* without the turns of a loop */
  bool loop;
  float avg_logprob, compression_ratio, no_speech;
} verdict;

static verdict judge(transcribe *t) {
  const whisper_hypothesis *h = whisper_search_result(t->search);
  size_t bytes;
  const char *text = whisper_output_text(t->output, h->tokens, h->n, t->special->first_timestamp, &bytes);
  text = utf8_strip(text, &bytes);
  verdict v = {.tokens = h->tokens, .p = h->p, .no_speech = whisper_search_no_speech(t->search)};
  v.avg_logprob = (float)(h->sum_logprob / (h->n - t->n_given + 1));
  v.compression_ratio = (float)bytes / (float)zlib_size(t->sizer, text, bytes);
  v.n = whisper_loop_cut(t->special, h->tokens, h->n, t->text_places);
  v.loop = v.n < h->n;
  return v;
}

static bool is_trusted(const transcribe *t, const verdict *v) {
  const sotto_transcribe_options *o = &t->settings.o;
  bool unlikely = o->logprob_threshold < 0 && v->avg_logprob < o->logprob_threshold;
  bool repetitive = o->compression_ratio_threshold > 0 && v->compression_ratio > o->compression_ratio_threshold;
  bool silent = o->no_speech_threshold < 1 && v->no_speech > o->no_speech_threshold;
  if (silent && unlikely) return true; /* it is silence: no other temperature makes it better */
  return !unlikely && !repetitive && !v->loop;
}

static bool is_silence(const transcribe *t, const verdict *v) {
  const sotto_transcribe_options *o = &t->settings.o;
  if (o->logprob_threshold < 0 && v->avg_logprob > o->logprob_threshold) return false;
  return o->no_speech_threshold < 1 && v->no_speech > o->no_speech_threshold;
}

/* A letter or a number is in the tokens' text. */
static bool has_word(transcribe *t, const int32_t *tokens, int32_t n) {
  size_t bytes, used;
  const char *text = whisper_output_text(t->output, tokens, n, t->special->eot, &bytes);
  for (; bytes > 0; text += used, bytes -= used) {
    uint32_t character;
    bool valid;
    used = utf8_read(text, bytes, &character, &valid);
    const unicode_class class = unicode_class_of(character);
    if (class == UNICODE_LETTER || class == UNICODE_NUMBER) return true;
  }
  return false;
}

/* Makes the segments of an accepted window; returns whether there are any. Two kinds that openai/whisper keeps are left out: what lies behind the
 * end of the audio, and mere punctuation in a window that no temperature could make trustworthy (noise, mostly). */
static bool accept(transcribe *t, const verdict *v, float temperature) {
  const sotto_segment common = {.window = t->n_windows,
                                .no_speech_prob = v->no_speech,
                                .temperature = temperature,
                                .avg_logprob = v->avg_logprob,
                                .compression_ratio = v->compression_ratio};
  whisper_output_begin(t->output, &common);
  int32_t advance = t->n_window;
  const bool trusted = is_trusted(t, v);
  bool any = false;
  if (!is_silence(t, v)) {
    int32_t n = whisper_segments_cut(v->tokens, v->n, t->special->first_timestamp, t->frames_per_step, t->n_window,
                                     t->settings.o.timestamps, t->slices, &advance);
    bool repeats = false;
    for (int32_t i = 0; i < n; i++) {
      const whisper_slice *slice = &t->slices[i];
      if (slice->begin_frame >= t->n_window) continue;
      if (!trusted && !has_word(t, v->tokens + slice->first, slice->n)) continue;
      const int32_t end_frame = min_i32(slice->end_frame, t->n_window);
      const char *text = whisper_output_add(t->output, v->tokens + slice->first, v->p + slice->first, slice->n,
                                            (double)(t->seek + slice->begin_frame) * SECONDS_PER_FRAME,
                                            (double)(t->seek + end_frame) * SECONDS_PER_FRAME);
      if (text == NULL) continue;
      any = true;
      whisper_context_add(&t->context, v->tokens + slice->first, slice->n);
      repeats |= whisper_context_repeats(&t->context, text);
    }
    if (!t->settings.o.condition_on_previous_text || temperature > 0.5f || v->loop || repeats) {
      whisper_context_reset(&t->context);
    }
  }
  take_time(t);
  mel_window_advance(t->mel, advance);
  t->seek += advance;
  t->n_windows++;
  t->within = 0;
  t->phase = COLLECT;
  return any;
}

static sotto_status search(transcribe *t) {
  sotto_status status = whisper_search_step(t->search);
  if (status < 0) return status;
  if (status == SOTTO_AGAIN) {
    int32_t time = whisper_search_timestamp(t->search);
    float frames = time < 0 ? 0 : (float)((time - t->special->first_timestamp) * t->frames_per_step);
    float within = 0.5f + 0.5f * fminf(frames / (float)t->n_window, 1);
    if (within > t->within) t->within = within; /* another temperature starts anew: stay */
    return SOTTO_AGAIN;
  }
  const verdict v = judge(t);
  if (!is_trusted(t, &v) && transcribe_temperature(&t->settings, t->attempt + 1) >= 0) {
    t->attempt++;
    begin_search(t);
    return SOTTO_AGAIN;
  }
  return accept(t, &v, transcribe_temperature(&t->settings, t->attempt)) ? SOTTO_SEGMENT : SOTTO_AGAIN;
}

sotto_status transcribe_step(transcribe *t, error *err) {
  if (t->failed < 0) return t->failed;
  sotto_status status = SOTTO_DONE;
  take_time(t); /* of a wait for a GPU */
  switch (t->phase) {
    case COLLECT:
      status = collect(t);
      break;
    case ENCODE:
      status = encode(t);
      break;
    case DETECT:
      status = detect(t);
      break;
    case SEARCH:
      status = search(t);
      break;
    case DONE:
      break;
  }
  take_time(t);
  if (status < 0) {
    t->failed = status;
    return fail(err, status, "the network could not run: open the model again");
  }
  return status;
}

/* ---- out ---- */

const sotto_segment *transcribe_segment(transcribe *t) { return whisper_output_next(t->output); }

const char *transcribe_language(const transcribe *t, float *p) {
  const char *code = "";
  if (t->language >= 0) whisper_language(t->language, &code, NULL);
  if (p != NULL) *p = t->language < 0 ? 0 : t->settings.language >= 0 ? 1 : t->language_p[t->language];
  return code;
}

float transcribe_language_p(const transcribe *t, int32_t index) {
  return index >= 0 && index < WHISPER_N_LANGUAGES ? t->language_p[index] : 0;
}

void transcribe_progress(const transcribe *t, sotto_progress *progress) {
  double received = (double)(t->n_samples / MEL_HOP);
  double done = (double)t->seek;
  if (t->phase != COLLECT) done += t->within * t->n_window;
  if (t->phase == DONE) done = received;
  progress->pushed_s = (double)t->n_samples / SOTTO_SAMPLE_RATE;
  progress->done_s = fmin((double)t->seek * SECONDS_PER_FRAME, progress->pushed_s);
  progress->fraction = t->phase == DONE ? 1 : received > 0 ? fmin(done / received, 1) : 0;
}

void transcribe_timings(const transcribe *t, sotto_timings *timings) {
  *timings = t->timings;
  timings->n_decode = t->n_detect + whisper_search_steps(t->search);
}
