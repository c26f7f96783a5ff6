/* The model that comes with the project, in q8_0: its vocabulary is that of tokenizer.model, its prompts give the reference's ids, and
 * it goes on as the unquantized weights do in float64 for as long as no choice is close. */
#include "../../src/base/pool.h"
#include "../../src/formats/json.h"
#include "../../src/models/gemma.h"
#include "../../src/text/chat_template.h"
#include "check.h"

enum { N_FIRST = 10, MOST_IDS = 256 };

#define LARGE_MARGIN 0.3 /* of logits; q8_0 moves them by less */

static int32_t numbers(const json *j, uint32_t array, double *out) {
  int32_t n = 0;
  for (json_walk w = json_children(j, array); json_next(&w) && n < MOST_IDS;)
    CHECK(json_read_number(j, w.value, &out[n++]));
  return n;
}

static void check_vocabulary(const spm_vocab *v) {
  size_t size = 0, a_bytes, b_bytes;
  char *bytes = read_file("tests/fixtures/teller/tokenizer.model", &size);
  spm_vocab *original = NULL;
  if (!CHECK(bytes != NULL && spm_read_model(&original, bytes, size, NULL) == SOTTO_OK)) exit(check_end());
  CHECK(spm_vocab_size(v) == spm_vocab_size(original));
  for (int32_t i = 0; i < spm_vocab_size(original); i++) {
    const char *a = spm_vocab_text(v, i, &a_bytes), *b = spm_vocab_text(original, i, &b_bytes);
    CHECK(a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0);
    CHECK(spm_vocab_type(v, i) == spm_vocab_type(original, i) && spm_vocab_score(v, i) == spm_vocab_score(original, i));
  }
  const spm_settings *s = spm_vocab_settings(v), *t = spm_vocab_settings(original);
  CHECK(s->bos == t->bos && s->eos == t->eos && s->unk == t->unk && s->pad == t->pad);
  CHECK(s->add_bos == t->add_bos && s->dummy_prefix == t->dummy_prefix);
  spm_vocab_close(original);
  free(bytes);
}

static void check_story(gemma *g, const json *j, uint32_t story) {
  double prompt[MOST_IDS], greedy[MOST_IDS], margins[MOST_IDS];
  int32_t ids[MOST_IDS];
  const int32_t n = numbers(j, json_get(j, story, "prompt_ids"), prompt);
  const int32_t n_greedy = numbers(j, json_get(j, story, "greedy"), greedy);
  CHECK(numbers(j, json_get(j, story, "margin"), margins) == n_greedy && n_greedy >= N_FIRST);

  char text[1024];
  const size_t bytes = json_read_string(j, json_get(j, story, "prompt"), text, sizeof text);
  id_list made = {0};
  const chat_turn turn = {CHAT_USER, text, bytes};
  CHECK(chat_template_ids(chat_template_find("gemma3"), gemma_vocabulary(g), &turn, 1, CHAT_REPLY, &made, NULL) ==
        SOTTO_OK);
  CHECK(made.count == (size_t)n);
  for (int32_t i = 0; i < n; i++) {
    ids[i] = (int32_t)prompt[i];
    CHECK((size_t)i < made.count && made.ids[i] == ids[i]);
  }
  id_list_free(&made);

  gemma_state *s = NULL;
  if (!CHECK(gemma_state_open(&s, g, &(gemma_plan){n + N_FIRST, n, 1, KV_16}, NULL) == SOTTO_OK)) return;
  CHECK(gemma_eval(s, ids, n, 1) == SOTTO_OK);
  int32_t same = 0;
  for (int32_t i = 0; i < N_FIRST; i++) {
    const float *logits = gemma_logits(s, 0);
    int32_t best = 0, expected = (int32_t)greedy[i];
    for (int32_t k = 1; k < gemma_configuration(g)->n_vocab; k++)
      if (logits[k] > logits[best]) best = k;
    same += best == expected;
    CHECK(best == expected || margins[i] < LARGE_MARGIN);
    if (i + 1 < N_FIRST) CHECK(gemma_eval(s, &expected, 1, 1) == SOTTO_OK);
  }
  printf("%.*s: %d of %d tokens\n", (int)bytes, text, (int)same, N_FIRST);
  gemma_state_close(s);
}

int main(void) {
  static const char path[] = "assets/teller-q8_0.gguf";
  pool *threads = pool_open(2);
  backend *be = cpu_backend_open(threads);
  gemma *g = gemma_open(be);
  error err = {""};
  size_t size = 0, vectors_size = 0;
  char *bytes = read_file(path, &size), *vectors = read_file("tests/fixtures/teller/vectors.json", &vectors_size);
  json *j = NULL;
  if (!CHECK(bytes != NULL && vectors != NULL)) return check_end();
  CHECK(gemma_file(g, path, &err) == SOTTO_OK && gemma_feed(g, bytes, size, &err) == SOTTO_OK);
  free(bytes);
  if (CHECK(gemma_finish(g, &err) == SOTTO_OK &&
            json_parse(&j, vectors, vectors_size, "vectors.json", NULL) == SOTTO_OK)) {
    check_vocabulary(gemma_vocabulary(g));
    int stories = 0;
    for (json_walk w = json_children(j, json_get(j, json_root(j), "vectors")); json_next(&w); stories++)
      check_story(g, j, w.value);
    CHECK(stories == 5);
  } else {
    fprintf(stderr, "%s\n", err.text);
  }
  json_close(j);
  free(vectors);
  gemma_close(g);
  cpu_backend_close(be);
  pool_close(threads);
  return check_end();
}
