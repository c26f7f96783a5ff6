/* Voice activity: the network against its definition in float64, its file's reader against damage, stretches of speech against their rules
 * on whole lists, and a filter of silence against those stretches. */
#include "check.h"

#include "../../src/models/speech.h"
#include "../../src/models/speech_only.h"
#include "../../src/models/vad.h"

#define ASSET "assets/silero-vad-v6.2.0.bin"

static char *file;
static size_t n_file;

/* Samples of a 16-bit mono WAV file with a header of 44 bytes or more; to be freed. */
static float *read_wav(const char *path, size_t *n) {
  size_t size = 0;
  char *bytes = read_file(path, &size);
  size_t at = 12;
  while (bytes != NULL && at + 8 <= size && memcmp(bytes + at, "data", 4) != 0) at += 8 + load_u32(bytes + at + 4);
  if (bytes == NULL || at + 8 > size) {
    free(bytes);
    return NULL;
  }
  *n = (size - at - 8) / 2;
  float *samples = malloc((*n + 1) * sizeof *samples);
  for (size_t i = 0; i < *n; i++) samples[i] = (float)(int16_t)load_u16(bytes + at + 8 + 2 * i) / 32768;
  free(bytes);
  return samples;
}

static vad *open_network(void) {
  vad *v = NULL;
  error err = {{0}};
  CHECK(vad_open(&v, file, n_file, &err) == SOTTO_OK && err.text[0] == 0);
  return v;
}

/* ---- the network ---- */

/* The reference has the same weights, and computes in float64. */
static void probabilities_are_the_reference(const char *clip) {
  char path[128];
  size_t n = 0;
  snprintf(path, sizeof path, "tests/fixtures/audio/%s.wav", clip);
  float *samples = read_wav(path, &n);
  snprintf(path, sizeof path, "tests/fixtures/golden/silero-vad/%s.npy", clip);
  npy expected = npy_read(path);
  vad *v = open_network();
  if (CHECK(samples != NULL && expected.data != NULL && v != NULL)) {
    double worst = 0, sum = 0;
    for (size_t i = 0; i < expected.count; i++) {
      float frame[VAD_FRAME] = {0};
      memcpy(frame, samples + i * VAD_FRAME, min_size(VAD_FRAME, n - i * VAD_FRAME) * sizeof *frame);
      const double d = fabs((double)vad_frame(v, frame) - (double)expected.data[i]);
      worst = fmax(worst, d);
      sum += d;
    }
    printf("%s: %d frames, largest difference %.2g, mean %.2g\n", clip, (int)expected.count, worst,
           sum / (double)expected.count);
    CHECK((n + VAD_FRAME - 1) / VAD_FRAME == expected.count);
    CHECK(worst < 1e-5);
  }
  vad_close(v);
  npy_free(&expected);
  free(samples);
}

static void resets_and_bears_anything(void) {
  vad *v = open_network();
  float frame[VAD_FRAME], first[3];
  random_state random = {7};
  for (int run = 0; run < 2; run++, vad_reset(v)) {
    random.state = 7;
    for (int i = 0; i < 3; i++) {
      random_fill(&random, frame, VAD_FRAME, -1, 1);
      const float p = vad_frame(v, frame);
      CHECK(p >= 0 && p <= 1 && (run == 0 || p == first[i]));
      first[i] = p;
    }
  }
  for (int i = 0; i < VAD_FRAME; i++) frame[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -1e38f;
  CHECK(vad_frame(v, frame) >= 0);
  random_fill(&random, frame, VAD_FRAME, -1, 1);
  CHECK(vad_frame(v, frame) >= 0); /* false where a NaN stayed in the state */
  vad_close(v);
}

static void refuse(char *bytes, size_t n, sotto_status expected) {
  vad *v = NULL;
  error err = {{0}};
  char *copy = malloc(n + 1); /* of its exact size, so that reading past it is seen */
  memcpy(copy, bytes, n);
  char *exact = realloc(copy, n > 0 ? n : 1);
  CHECK(vad_open(&v, exact, n, &err) == expected && v == NULL && err.text[0] != 0);
  free(exact);
}

static void damage_is_refused(void) {
  random_state random = {11};
  const size_t ends[] = {0, 3, 4, 7, 8, 17, 18, 60, 130, 131, 200, n_file / 2, n_file - 1};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) refuse(file, ends[i], SOTTO_ERR_FORMAT);
  for (int i = 0; i < 40; i++) refuse(file, 20 + random_below(&random, (uint32_t)n_file - 20), SOTTO_ERR_FORMAT);
  char *changed = malloc(n_file + 200);
  memcpy(changed, file, n_file);
  changed[9] ^= 1; /* the kind */
  refuse(changed, n_file, SOTTO_ERR_UNSUPPORTED);
  changed[9] ^= 1;
  changed[30] ^= 1; /* samples of a frame */
  refuse(changed, n_file, SOTTO_ERR_UNSUPPORTED);
  changed[30] ^= 1;
  memcpy(changed + n_file, file + 106, 200); /* a tensor twice */
  refuse(changed, n_file + 200, SOTTO_ERR_FORMAT);
  memcpy(changed + n_file - 4, "\xff\xff\xff\x7f", 4); /* the basis' last two values: no numbers */
  refuse(changed, n_file, SOTTO_ERR_FORMAT);
  memcpy(changed, "GGUF", 4);
  refuse(changed, n_file, SOTTO_ERR_FORMAT);
  free(changed);
}

/* ---- stretches ---- */

enum { MAX_STRETCHES = 300 };

/* The rules on a list that is whole: first the speech, then the padding. */
static int whole_list(const float *p, int n, int64_t n_samples, const sotto_vad_options *o, sotto_speech *out) {
  int count = 0;
  int64_t start = -1, silence = -1;
  for (int i = 0; i < n; i++) {
    const int64_t at = (int64_t)i * VAD_FRAME;
    if (p[i] >= o->threshold) {
      silence = -1;
      if (start < 0) start = at;
    } else if (start >= 0 && p[i] < o->end_threshold) {
      if (silence < 0) silence = at;
      if (at - silence < o->min_silence_ms * 16) continue;
      if (silence - start > o->min_speech_ms * 16) out[count++] = (sotto_speech){start, silence};
      start = silence = -1;
    }
  }
  if (start >= 0 && n_samples - start > o->min_speech_ms * 16) out[count++] = (sotto_speech){start, n_samples};
  const int64_t pad = o->pad_ms * 16;
  for (int i = 0; i < count; i++) {
    if (i == 0) out[i].start = out[i].start > pad ? out[i].start - pad : 0;
    if (i + 1 == count) {
      out[i].end = out[i].end + pad < n_samples ? out[i].end + pad : n_samples;
    } else {
      const int64_t between = out[i + 1].start - out[i].end, half = between < 2 * pad ? between / 2 : pad;
      out[i].end += half;
      out[i + 1].start -= half;
    }
  }
  return count;
}

/* Random probabilities that stay for a while on one side. */
static void make_probabilities(random_state *r, float *p, int n) {
  float level = 0.1f;
  for (int i = 0; i < n; i++) {
    if (random_below(r, 8) == 0) level = random_uniform(r, 0, 1);
    p[i] = fminf(fmaxf(level + random_uniform(r, -0.15f, 0.15f), 0), 1);
  }
}

static void stretches_follow_the_rules(void) {
  enum { N = 400 };
  static const sotto_vad_options all[] = {{0.5f, 0.35f, 250, 100, 30},
                                          {0.5f, 0.35f, 0, 0, 0},
                                          {0.3f, 0.3f, 64, 32, 400},
                                          {0.7f, 0.2f, 100, 1000, 200},
                                          {0.5f, 0.4f, 500, 64, 250}};
  random_state random = {3};
  int n_all = 0;
  for (int round = 0; round < 200; round++) {
    const sotto_vad_options *o = &all[round % 5];
    float p[N];
    sotto_speech expected[MAX_STRETCHES], found[MAX_STRETCHES], now;
    make_probabilities(&random, p, N);
    const int64_t last = 1 + random_below(&random, VAD_FRAME), n_samples = (int64_t)(N - 1) * VAD_FRAME + last;
    const int n_expected = whole_list(p, N, n_samples, o, expected);
    speech s;
    CHECK(speech_open(&s, o, NULL) == SOTTO_OK);
    int n = 0;
    for (int i = 0; i <= N; i++) {
      if (i < N)
        speech_frame(&s, p[i], i + 1 < N ? VAD_FRAME : last);
      else
        speech_end(&s);
      while (speech_next(&s, &found[n])) n++;
      if (speech_now(&s, &now)) CHECK(now.start < now.end && (n == 0 || now.start >= found[n - 1].end));
    }
    CHECK(n == n_expected && memcmp(found, expected, (size_t)n * sizeof *found) == 0);
    n_all += n;
  }
  CHECK(n_all > 1000);
}

static void options_are_checked(void) {
  static const sotto_vad_options wrong[] = {{0, 0, 0, 0, 0},        {1, 0, 0, 0, 0},    {0.5f, 0.6f, 0, 0, 0},
                                            {0.5f, -1, 0, 0, 0},    {NAN, 0, 0, 0, 0},  {0.5f, 0, -1, 0, 0},
                                            {0.5f, 0, 0, 60001, 0}, {0.5f, 0, 0, 0, -1}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    speech s;
    error err = {{0}};
    CHECK(speech_open(&s, &wrong[i], &err) == SOTTO_ERR_ARGUMENT && err.text[0] != 0);
  }
}

/* ---- without silence ---- */

/* What the filter gives of a clip, pushed and taken in pieces of random sizes, is the stretches' samples with the gaps between them. */
static void silence_is_left_out(const char *clip, const sotto_vad_options *o) {
  size_t n = 0;
  float *samples = read_wav(clip, &n);
  vad *network = open_network();
  speech s;
  CHECK(samples != NULL && speech_open(&s, o, NULL) == SOTTO_OK);
  sotto_speech found[MAX_STRETCHES];
  int n_found = 0;
  for (size_t at = 0; at < n; at += VAD_FRAME) {
    float frame[VAD_FRAME] = {0};
    const size_t count = min_size(VAD_FRAME, n - at);
    memcpy(frame, samples + at, count * sizeof *frame);
    speech_frame(&s, vad_frame(network, frame), (int64_t)count);
    while (speech_next(&s, &found[n_found])) n_found++;
  }
  speech_end(&s);
  while (speech_next(&s, &found[n_found])) n_found++;

  float *expected = calloc(n + 1600 * (size_t)n_found + 1, sizeof *expected);
  size_t n_expected = 0;
  for (int i = 0; i < n_found; i++) {
    if (i > 0 && found[i].start > found[i - 1].end) n_expected += 1600;
    const size_t count = (size_t)(found[i].end - found[i].start);
    memcpy(expected + n_expected, samples + found[i].start, count * sizeof *expected);
    n_expected += count;
  }

  speech_reset(&s);
  vad_reset(network);
  speech_only *only = speech_only_open(network, &s);
  random_state random = {n};
  size_t at = 0, taken = 0, wrong = 0, ready;
  for (bool ended = false; !ended;) {
    ended = at == n;
    if (!ended)
      at += speech_only_push(only, samples + at, min_size(1 + random_below(&random, 3000), n - at));
    else
      speech_only_end(only);
    const float *p;
    while ((p = speech_only_ready(only, &ready)) != NULL) {
      const size_t count = 1 + random_below(&random, (uint32_t)ready);
      for (size_t i = 0; i < count; i++) wrong += taken + i >= n_expected || p[i] != expected[taken + i];
      CHECK(speech_only_take(only, count));
      for (size_t i = 0; i < count; i++) {
        const float x = taken + i < n_expected ? expected[taken + i] : 0;
        wrong += x != 0 && x != samples[speech_only_origin(only, (int64_t)(taken + i), true)];
      }
      taken += count;
    }
  }
  printf("%s: %d stretches, %.2f of %.2f s\n", clip, n_found, (double)taken / 16000, (double)n / 16000);
  CHECK(wrong == 0 && taken == n_expected && speech_only_heard(only) == (int64_t)n);
  /* Times of what was given out are times of the audio: the ends of the stretches. */
  size_t place = 0;
  for (int i = 0; i < n_found; i++) {
    if (i > 0 && found[i].start > found[i - 1].end) place += 1600;
    CHECK(speech_only_origin(only, (int64_t)place, true) == found[i].start);
    place += (size_t)(found[i].end - found[i].start);
    CHECK(speech_only_origin(only, (int64_t)place, false) == found[i].end ||
          (i + 1 < n_found && found[i + 1].start == found[i].end));
    if (i + 1 < n_found && found[i + 1].start > found[i].end)
      CHECK(speech_only_origin(only, (int64_t)place + 800, true) == found[i + 1].start &&
            speech_only_origin(only, (int64_t)place + 800, false) == found[i].end);
  }
  speech_only_close(only);
  vad_close(network);
  free(expected);
  free(samples);
}

int main(void) {
  file = read_file(ASSET, &n_file);
  if (!CHECK(file != NULL)) return check_end();
  probabilities_are_the_reference("jfk");
  probabilities_are_the_reference("de");
  probabilities_are_the_reference("birds_no_speech");
  resets_and_bears_anything();
  damage_is_refused();
  stretches_follow_the_rules();
  options_are_checked();
  const sotto_vad_options plain = {0.5f, 0.35f, 250, 100, 30}, wide = {0.5f, 0.35f, 64, 32, 400};
  const sotto_vad_options dense = {0.5f, 0.35f, 0, 0, 0};
  silence_is_left_out("tests/fixtures/audio/jfk.wav", &plain);
  silence_is_left_out("tests/fixtures/audio/jfk.wav", &wide);
  silence_is_left_out("tests/fixtures/audio/jfk.wav", &dense);
  silence_is_left_out("tests/fixtures/audio/birds_no_speech.wav", &plain);
  free(file);
  return check_end();
}
