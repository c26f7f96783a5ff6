/* The whole network on real weights (f16 tiny) against references in float64: mel, encoder, decoder logits, language,
 * no-speech probability, greedy tokens with their log-probabilities. See tests/fixtures/README.md for where they come from. */
#include "../../src/base/pool.h"
#include "../../src/models/whisper.h"
#include "../../src/text/whisper_vocab.h"
#include "check.h"

enum { N_FRAMES = WHISPER_WINDOW_FRAMES, MAX_TOKENS = 64 };

static const char model_path[] = "models/ggml-tiny.bin";
static const char golden_path[] = "tests/fixtures/golden/whisper-tiny";

/* One clip's entry of vectors.json: fields are looked up by name within it. */
typedef struct entry {
  const char *begin, *end;
} entry;

static const char *field(entry e, const char *name) {
  char key[64];
  snprintf(key, sizeof key, "\"%s\":", name);
  const char *p = strstr(e.begin, key);
  if (!CHECK(p != NULL && p < e.end)) exit(check_end());
  return p + strlen(key);
}

static double field_number(entry e, const char *name) { return strtod(field(e, name), NULL); }

static int field_numbers(entry e, const char *name, double *out, int capacity) {
  const char *p = strchr(field(e, name), '[') + 1;
  int n = 0;
  while (n < capacity) {
    char *after;
    const double v = strtod(p, &after);
    if (after == p) break;
    out[n++] = v;
    p = after + strspn(after, ", \n");
  }
  return n;
}

/* A clip of at most 30 s, followed by zeros, as log-mel of 3000 frames [3000, n_mel]: normalised over the whole window. */
static float *window_of(const char *clip, const whisper *w) {
  char path[256];
  snprintf(path, sizeof path, "tests/fixtures/audio/%s", clip);
  size_t n_bytes = 0, taken = 0, n_samples = 0;
  char *bytes = read_file(path, &n_bytes);
  if (!CHECK(bytes != NULL)) exit(check_end());
  const size_t capacity = (size_t)N_FRAMES * MEL_HOP, n_mel = (size_t)whisper_header(w)->n_mel;
  float *samples = calloc(capacity, sizeof *samples), *frames = malloc(N_FRAMES * n_mel * sizeof *frames);
  sotto_wav *wav = NULL;
  CHECK(sotto_wav_open(&wav) == SOTTO_OK);
  for (size_t at = 0; at < n_bytes && n_samples < capacity; at += taken) {
    size_t written = 0;
    CHECK(sotto_wav_read(wav, bytes + at, n_bytes - at, &taken, samples + n_samples, capacity - n_samples, &written) ==
          SOTTO_OK);
    n_samples += written;
    if (taken == 0 && written == 0) break;
  }
  sotto_wav_close(wav);
  free(bytes);
  mel *m = mel_open(whisper_filters(w), (int32_t)n_mel);
  size_t n = mel_run(m, samples, capacity, &taken, frames, N_FRAMES);
  while (n < N_FRAMES) {
    const size_t more = mel_run(m, NULL, 0, &taken, frames + n * n_mel, N_FRAMES - n);
    if (!CHECK(more > 0)) break;
    n += more;
  }
  mel_close(m);
  free(samples);
  float maximum = -1e9f;
  for (size_t i = 0; i < N_FRAMES * n_mel; i++) maximum = frames[i] > maximum ? frames[i] : maximum;
  mel_normalize(frames, N_FRAMES * n_mel, maximum);
  return frames;
}

static npy golden(const char *clip, const char *what) {
  char path[256];
  snprintf(path, sizeof path, "%s/%.*s.%s.npy", golden_path, (int)strcspn(clip, "."), clip, what);
  npy a = npy_read(path);
  if (!CHECK(a.data != NULL)) exit(check_end());
  return a;
}

static void check_mel(const char *clip, const float *frames) { /* [3000, 80] against [80, 1200] */
  npy a = golden(clip, "mel");
  double worst = 0;
  for (size_t m = 0; m < a.shape[0]; m++)
    for (size_t t = 0; t < a.shape[1]; t++)
      worst = fmax(worst, fabs((double)frames[t * a.shape[0] + m] - a.data[m * a.shape[1] + t]));
  printf("%s: mel within %.2g\n", clip, worst);
  CHECK(worst <= 1e-4);
  npy_free(&a);
}

static void encode(whisper_state *s, const float *frames) {
  whisper_encode_begin(s, frames);
  while (whisper_encode(s, NULL) == SOTTO_AGAIN) continue;
}

static void check_encoder(const char *clip, whisper_state *s) {
  npy a = golden(clip, "encoder_rows"); /* rows 0, 50, ... of [1500, d] */
  const float *rows = whisper_encoder_output(s);
  double worst = 0;
  for (size_t i = 0; i < a.shape[0]; i++)
    worst = fmax(worst, relative_error(rows + i * 50 * a.shape[1], a.data + i * a.shape[1], a.shape[1]));
  printf("%s: encoder rows within %.2g (relative)\n", clip, worst);
  CHECK(worst <= 2e-3);
  npy_free(&a);
}

static void check_logits(const char *clip, entry e, whisper_state *s) {
  npy a = golden(clip, "decoder_logits");
  double numbers[16];
  int32_t ids[16], want[16];
  const int n = field_numbers(e, "decoder_logits_input", numbers, 16);
  CHECK(n == (int)a.shape[0]);
  for (int i = 0; i < n; i++) ids[i] = (int32_t)numbers[i], want[i] = i;
  whisper_decode_reset(s);
  CHECK(whisper_decode_prompt(s, ids, n, want, n) == SOTTO_OK);
  double worst = 0;
  for (int i = 0; i < n; i++)
    worst = fmax(worst, relative_error(whisper_logits(s, i), a.data + (size_t)i * a.shape[1], a.shape[1]));
  printf("%s: decoder logits within %.2g (relative)\n", clip, worst);
  CHECK(worst <= 2e-3);
  npy_free(&a);
}

/* Log-probability of `id` among [first, first + n). */
static double log_probability(const float *logits, int32_t first, int32_t n, int32_t id) {
  double maximum = -INFINITY, sum = 0;
  for (int32_t i = first; i < first + n; i++) maximum = fmax(maximum, (double)logits[i]);
  for (int32_t i = first; i < first + n; i++) sum += exp((double)logits[i] - maximum);
  return (double)logits[id] - maximum - log(sum);
}

static int32_t argmax(const float *x, int32_t first, int32_t n) {
  int32_t best = first;
  for (int32_t i = first; i < first + n; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

static void check_greedy(const char *clip, entry e, const whisper *w, whisper_state *s) {
  const whisper_special *sp = whisper_vocab_special(whisper_vocabulary(w));
  const int32_t n_vocab = whisper_header(w)->n_vocab, zero = 0, last = 3;
  whisper_decode_reset(s);
  CHECK(whisper_decode_prompt(s, &sp->sot, 1, &zero, 1) == SOTTO_OK);
  const float *logits = whisper_logits(s, 0);
  const int32_t language = argmax(logits, sp->first_language, sp->n_languages);
  CHECK(language == (int32_t)field_number(e, "language_token"));
  CHECK_NEAR(exp(log_probability(logits, sp->first_language, sp->n_languages, language)),
             field_number(e, "language_prob"), 2e-3);
  CHECK_NEAR(exp(log_probability(logits, 0, n_vocab, sp->no_speech)), field_number(e, "no_speech_prob"), 2e-3);

  double tokens[MAX_TOKENS], logprobs[MAX_TOKENS];
  const int n = field_numbers(e, "tokens_notimestamps", tokens, MAX_TOKENS);
  CHECK(field_numbers(e, "logprobs", logprobs, MAX_TOKENS) == n + 1);
  const int32_t prompt[] = {sp->sot, language, sp->transcribe, sp->no_timestamps};
  whisper_decode_reset(s);
  CHECK(whisper_decode_prompt(s, prompt, 4, &last, 1) == SOTTO_OK);
  double worst = 0;
  int same = 0;
  for (int i = 0; i <= n; i++) {
    logits = whisper_logits(s, 0);
    const int32_t id = argmax(logits, 0, n_vocab), expected = i < n ? (int32_t)tokens[i] : sp->eot;
    if (!CHECK(id == expected)) break;
    same++;
    worst = fmax(worst, fabs(log_probability(logits, 0, n_vocab, id) - logprobs[i]));
    CHECK(whisper_decode_next(s, &id, &zero, 1) == SOTTO_OK);
  }
  printf("%s: %d of %d greedy tokens, log-probabilities within %.2g\n", clip, same, n + 1, worst);
  CHECK(worst <= 5e-2); /* of unlikely tokens, as for the birds; of the others it is within 1e-2 */
}

int main(void) {
  size_t n_bytes = 0;
  char *bytes = read_file(model_path, &n_bytes);
  if (bytes == NULL) {
    skip("models/ggml-tiny.bin is not there (make models)");
    return check_end();
  }
  char path[256];
  snprintf(path, sizeof path, "%s/vectors.json", golden_path);
  char *json = read_file(path, NULL);
  if (!CHECK(json != NULL)) return check_end();

  pool *threads = pool_open(2);
  backend *be = cpu_backend_open(threads);
  whisper *w = whisper_open(be);
  whisper_state *s = NULL;
  error err = {""};
  for (size_t at = 0; at < n_bytes; at += 100003) /* pieces that end anywhere */
    CHECK(whisper_feed(w, bytes + at, min_size(100003, n_bytes - at), &err) == SOTTO_OK);
  free(bytes);
  CHECK(whisper_finish(w, &err) == SOTTO_OK);
  CHECK(whisper_state_open(&s, w, 16, 0, &err) == SOTTO_OK);
  if (err.text[0] != 0) fprintf(stderr, "%s\n", err.text);

  static const char *clips[] = {"jfk.wav", "de.wav",        "en_quilter.wav",     "fr.wav",
                                "ja.wav",  "crocodile.wav", "birds_no_speech.wav"};
  for (size_t i = 0; s != NULL && i < sizeof clips / sizeof clips[0]; i++) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\": {", clips[i]);
    entry e = {strstr(json, key), NULL};
    if (!CHECK(e.begin != NULL)) continue;
    e.end = strstr(e.begin + strlen(key), ".wav\": {");
    if (e.end == NULL) e.end = json + strlen(json);
    float *frames = window_of(clips[i], w);
    encode(s, frames);
    if (i < 2) {
      check_mel(clips[i], frames);
      check_encoder(clips[i], s);
      check_logits(clips[i], e, s);
    }
    check_greedy(clips[i], e, w, s);
    free(frames);
  }
  whisper_state_close(s);
  whisper_close(w);
  cpu_backend_close(be);
  pool_close(threads);
  free(json);
  return check_end();
}
