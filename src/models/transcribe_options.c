#include "transcribe_options.h"

#include <math.h>

#include "../text/unicode.h"
#include "whisper_decode.h"

void sotto_transcribe_options_default(sotto_transcribe_options *options) {
  if (options == NULL) return;
  *options = (sotto_transcribe_options){
      .task = SOTTO_TRANSCRIBE,
      .timestamps = 1,
      .beam_size = 1,
      .patience = 1,
      .best_of = 5,
      .length_penalty = -1,
      .temperature_increment = 0.2f,
      .compression_ratio_threshold = 2.4f,
      .logprob_threshold = -1,
      .no_speech_threshold = 0.6f,
      .suppress_blank = 1,
      .suppress_symbols = 1,
      .max_initial_timestamp = 1,
      .condition_on_previous_text = 1,
  };
}

float transcribe_temperature(const transcribe_settings *s, int32_t attempt) {
  double t = s->o.temperature + attempt * (double)s->o.temperature_increment;
  if (attempt == 0) return s->o.temperature;
  return s->o.temperature_increment > 0 && t <= 1 + 1e-6 ? (float)t : -1;
}

static sotto_status find_language(transcribe_settings *s, const char *name, const whisper_special *special,
                                  error *err) {
  bool automatic = name == NULL || name[0] == 0 || strcmp(name, "auto") == 0;
  s->language = automatic ? -1 : whisper_language_find(name);
  if (!automatic && s->language < 0) {
    return fail(err, SOTTO_ERR_ARGUMENT,
                "unknown language \"%.40s\": give a code such as \"en\" or \"de\", or \"auto\"", name);
  }
  if (!special->multilingual) {
    if (s->language > 0) {
      return fail(err, SOTTO_ERR_ARGUMENT, "this model knows English only, not \"%.40s\": use a model without \".en\"",
                  name);
    }
    s->language = 0;
  }
  if (s->language >= special->n_languages) {
    return fail(err, SOTTO_ERR_ARGUMENT, "this model does not know \"%.40s\": use large-v3 or turbo", name);
  }
  return SOTTO_OK;
}

static bool in_range(double x, double low, double high) { return x >= low && x <= high; /* false for NaN */ }

static sotto_status check(const sotto_transcribe_options *o, const whisper_special *special, int32_t n_ctx,
                          error *err) {
  if (o->task != SOTTO_TRANSCRIBE && o->task != SOTTO_TRANSLATE) {
    return fail(err, SOTTO_ERR_ARGUMENT, "task is neither to transcribe nor to translate");
  }
  if (o->task == SOTTO_TRANSLATE && !special->multilingual) {
    return fail(err, SOTTO_ERR_ARGUMENT,
                "this model knows English only and cannot translate: use a model without \".en\"");
  }
  if (!in_range(o->beam_size, 0, WHISPER_MAX_SEQS)) {
    return fail(err, SOTTO_ERR_ARGUMENT, "beam_size must be 0 to %d", WHISPER_MAX_SEQS);
  }
  if (!in_range(o->best_of, 0, WHISPER_MAX_SEQS)) {
    return fail(err, SOTTO_ERR_ARGUMENT, "best_of must be 0 to %d", WHISPER_MAX_SEQS);
  }
  if (o->beam_size > 1 && !in_range(rint((double)o->beam_size * o->patience), 1, WHISPER_MAX_FINISHED)) {
    return fail(err, SOTTO_ERR_ARGUMENT, "beam_size times patience must be 1 to %d", WHISPER_MAX_FINISHED);
  }
  if (!(o->length_penalty <= 1)) {
    return fail(err, SOTTO_ERR_ARGUMENT, "length_penalty must be 0 to 1, or negative for the mean log-probability");
  }
  if (!in_range(o->max_tokens, 0, n_ctx))
    return fail(err, SOTTO_ERR_ARGUMENT, "max_tokens must be 0 to %d", (int)n_ctx);
  if (!in_range(o->audio_ctx, 0, WHISPER_WINDOW_FRAMES / 2))
    return fail(err, SOTTO_ERR_ARGUMENT, "audio_ctx must be 0 to %d", WHISPER_WINDOW_FRAMES / 2);
  if (!in_range(o->temperature, 0, 2)) return fail(err, SOTTO_ERR_ARGUMENT, "temperature must be 0 to 2");
  if (o->temperature_increment != 0 && !in_range(o->temperature_increment, 0.01, 2)) {
    return fail(err, SOTTO_ERR_ARGUMENT, "temperature_increment must be 0 for no fallback, or 0.01 to 2");
  }
  return SOTTO_OK;
}

/* Ids of " text" without white space around it; none for NULL or blank text. */
static sotto_status encode(const whisper_vocab *vocab, const char *text, int32_t **ids, int32_t *n, error *err) {
  if (text == NULL) return SOTTO_OK;
  size_t bytes = strlen(text);
  if (bytes > 1 << 20)
    return fail(err, SOTTO_ERR_ARGUMENT, "the prompt is longer than 1 MiB; the model reads some 200 words");
  char *valid = mem_alloc(3 * bytes + 2, 1);
  *ids = mem_alloc(3 * bytes + 2, sizeof **ids);
  if (valid == NULL || *ids == NULL) {
    mem_free(valid);
    return fail(err, SOTTO_ERR_MEMORY, "out of memory for the prompt");
  }
  size_t length = utf8_repair(text, bytes, valid + 1);
  char *before = valid + (utf8_strip(valid + 1, &length) - (valid + 1)); /* the place before the text */
  if (length > 0) {
    *before = ' ';
    *n = (int32_t)whisper_vocab_encode(vocab, before, length + 1, *ids, 3 * bytes + 2);
  }
  mem_free(valid);
  return SOTTO_OK;
}

sotto_status transcribe_settings_open(transcribe_settings *s, const sotto_transcribe_options *options,
                                      const whisper_vocab *vocab, int32_t n_ctx, error *err) {
  *s = (transcribe_settings){.o = *options};
  const whisper_special *special = whisper_vocab_special(vocab);
  TRY(check(options, special, n_ctx, err));
  TRY(find_language(s, options->language, special, err));
  s->o.beam_size = max_i32(options->beam_size, 1);
  s->o.best_of = max_i32(options->best_of, 1);
  if (s->o.beam_size == 1) s->o.patience = 1;
  if (s->o.max_tokens == 0) s->o.max_tokens = n_ctx / 2;
  bool samples = s->o.temperature > 0 || s->o.temperature_increment > 0;
  s->n_seqs = max_i32(s->o.temperature > 0 ? 1 : s->o.beam_size, samples ? s->o.best_of : 1);

  sotto_status status = encode(vocab, options->initial_prompt, &s->initial_prompt, &s->n_initial_prompt, err);
  if (status == SOTTO_OK) status = encode(vocab, options->prefix, &s->prefix, &s->n_prefix, err);
  if (status < 0) transcribe_settings_close(s);
  s->o.language = s->o.initial_prompt = s->o.prefix = NULL;
  s->o.suppress_tokens = NULL;
  return status;
}

void transcribe_settings_close(transcribe_settings *s) {
  mem_free(s->initial_prompt);
  mem_free(s->prefix);
  s->initial_prompt = s->prefix = NULL;
}
