#include "whisper_rules.h"

#include "logits.h"

/* ---- suppressed tokens ---- */

static void add_unique(int32_t *ids, int32_t *n, int32_t id) {
  for (int32_t i = 0; i < *n; i++) {
    if (ids[i] == id) return;
  }
  ids[(*n)++] = id;
}

/* Adds the token of `symbol`, and of " symbol"; one that takes several tokens counts by its first, or not at all. */
static void add_symbol(const whisper_vocab *v, const char *symbol, bool by_first, int32_t *out, int32_t *n) {
  char text[16] = " ";
  size_t bytes = strlen(symbol);
  memcpy(text + 1, symbol, bytes);
  for (int32_t space = 0; space <= 1; space++) {
    int32_t id;
    size_t count = whisper_vocab_encode(v, text + 1 - space, bytes + (size_t)space, &id, 1);
    if (count == 1 || (count > 1 && by_first)) add_unique(out, n, id);
  }
}

int32_t whisper_non_speech_tokens(const whisper_vocab *v, int32_t out[128]) {
  static const char *const symbols[] = {
      "\"",  "#",  "(",  ")",  "*",   "+",  "/",  ":",   ";",   "<",  "=",  ">",  "@",  "[",   "\\",  "]",
      "^",   "_",  "`",  "{",  "|",   "}",  "~",  "「",  "」",  "『", "』", "<<", ">>", "<<<", ">>>", "--",
      "---", "-(", "-[", "('", "(\"", "((", "))", "(((", ")))", "[[", "]]", "{{", "}}", "♪♪",  "♪♪♪",
  };
  /* Of one Unicode block, U+2640 to U+267F, whose first two bytes they share: the first token of several may go. */
  static const char *const notes[] = {"♩", "♪", "♫", "♬", "♭", "♮", "♯"};
  int32_t n = 0, id;
  /* Hyphen and apostrophe are fine within words, not at the start of one. */
  if (whisper_vocab_encode(v, " -", 2, &id, 1) > 0) add_unique(out, &n, id);
  if (whisper_vocab_encode(v, " '", 2, &id, 1) > 0) add_unique(out, &n, id);
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) add_symbol(v, symbols[i], false, out, &n);
  for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) add_symbol(v, notes[i], true, out, &n);
  return n;
}

sotto_status whisper_rules_open(whisper_rules *r, const whisper_vocab *v, const sotto_transcribe_options *options,
                                double seconds_per_timestamp, error *err) {
  const whisper_special *s = whisper_vocab_special(v);
  *r = (whisper_rules){.special = s, .n_vocab = whisper_vocab_size(v), .timestamps = options->timestamps != 0};
  if (options->n_suppress_tokens < 0 || (options->n_suppress_tokens > 0 && options->suppress_tokens == NULL)) {
    return fail(err, SOTTO_ERR_ARGUMENT, "suppress_tokens and n_suppress_tokens do not fit together");
  }
  for (int32_t i = 0; i < options->n_suppress_tokens; i++) {
    int32_t id = options->suppress_tokens[i];
    if (id < 0 || id >= r->n_vocab) {
      return fail(err, SOTTO_ERR_ARGUMENT, "suppress_tokens names token %d, but the model has tokens 0 to %d", (int)id,
                  (int)r->n_vocab - 1);
    }
  }

  r->suppressed = mem_alloc((size_t)options->n_suppress_tokens + 128 + 16, sizeof *r->suppressed);
  if (r->suppressed == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for a transcription");
  const int32_t always[] = {s->transcribe, s->translate, s->sot, s->start_of_prev, s->start_of_lm, s->no_speech};
  int32_t n = options->suppress_symbols ? whisper_non_speech_tokens(v, r->suppressed) : 0;
  for (size_t i = 0; i < sizeof always / sizeof *always; i++) r->suppressed[n++] = always[i];
  if (r->timestamps) r->suppressed[n++] = s->no_timestamps;
  for (int32_t i = 0; i < options->n_suppress_tokens; i++) r->suppressed[n++] = options->suppress_tokens[i];
  r->n_suppressed = n;

  if (options->suppress_blank) {
    int32_t *blanks = r->suppressed + n;
    r->n_blanks = (int32_t)min_size(whisper_vocab_encode(v, " ", 1, blanks, 1), 1);
    blanks[r->n_blanks++] = s->eot;
  }
  double latest = rint(options->max_initial_timestamp / seconds_per_timestamp);
  r->max_initial_timestamp = options->max_initial_timestamp > 0 && latest < WHISPER_N_TIMESTAMPS ? (int32_t)latest : -1;
  return SOTTO_OK;
}

void whisper_rules_close(whisper_rules *r) {
  mem_free(r->suppressed);
  r->suppressed = NULL;
}

/* ---- a row of logits ---- */

static void forbid(float *logits, int32_t first, int32_t end) {
  for (int32_t i = first; i < end; i++) logits[i] = -INFINITY;
}

/* Timestamps come in pairs (end of a segment, start of the next), except directly before the end; they do not go back, and a segment
 * has a length. Returns the first token that is no timestamp and may be allowed. */
static int32_t timestamp_rules(const whisper_rules *r, float *logits, const int32_t *sampled, int32_t n) {
  const whisper_special *s = r->special;
  if (n == 0) {
    forbid(logits, 0, s->first_timestamp);
    if (r->max_initial_timestamp >= 0) forbid(logits, s->first_timestamp + r->max_initial_timestamp + 1, r->n_vocab);
    return s->first_timestamp;
  }
  bool after_timestamp = sampled[n - 1] >= s->first_timestamp;
  bool after_pair = after_timestamp && (n < 2 || sampled[n - 2] >= s->first_timestamp);
  bool closing = after_timestamp && !after_pair; /* the end of a segment: its twin, or the end of all */
  if (after_pair) forbid(logits, s->first_timestamp, r->n_vocab);
  if (closing) forbid(logits, 0, s->eot);
  for (int32_t i = n - 1; i >= 0; i--) {
    if (sampled[i] < s->first_timestamp) continue;
    forbid(logits, s->first_timestamp, min_i32(closing ? sampled[i] : sampled[i] + 1, r->n_vocab));
    break;
  }
  return closing ? s->eot : 0;
}

/* log(exp(a) + exp(b)) */
static float log_add(float a, float b) {
  float high = a > b ? a : b, low = a > b ? b : a;
  return low == -INFINITY ? high : high + logf(1 + expf(low - high));
}

whisper_choice whisper_rules_apply(const whisper_rules *r, float *logits, const int32_t *sampled, int32_t n) {
  const whisper_special *s = r->special;
  const int32_t n_text = s->first_timestamp, n_times = r->n_vocab - n_text;
  float *times = logits + n_text;
  whisper_choice c = {.best = s->eot, .end = r->n_vocab};

  /* One pass over the text serves both sums: the model's is the one of what is left and of what the lists suppress. */
  const float max = row_max(logits, r->n_vocab);
  float hidden = 0;
  for (int32_t i = 0; i < r->n_suppressed + (n == 0 ? r->n_blanks : 0); i++) {
    float *logit = &logits[r->suppressed[i]];
    hidden += row_sum_exp(logit, 1, max, 1);
    *logit = -INFINITY;
  }
  float text_sum = row_sum_exp(logits, n_text, max, 1);
  c.model_log_sum = max + logf(hidden + text_sum + row_sum_exp(times, n_times, max, 1));

  int32_t from = r->timestamps ? timestamp_rules(r, logits, sampled, n) : 0;
  const float text_max = row_max(logits + from, n_text - from), times_max = row_max(times, n_times);
  const float times_log_sum = log_sum_exp(times, n_times);
  if (r->timestamps && times_log_sum > text_max) { /* together they are likelier than any word: a timestamp it is */
    c.first = n_text;
    c.log_sum = times_log_sum;
    c.best_logit = times_max;
  } else {
    bool in_sight = from == 0 && max - text_max < 20; /* else the sum above is another one, or has lost its digits */
    float text_log_sum = in_sight ? max + logf(text_sum) : log_sum_exp(logits + from, n_text - from);
    c.first = from;
    c.log_sum = log_add(text_log_sum, times_log_sum);
    c.best_logit = text_max >= times_max ? text_max : times_max;
  }
  if (c.best_logit == -INFINITY) { /* nothing is allowed (or the logits are no numbers): the end */
    c.log_sum = 0;
    c.best_logit = 0;
    c.first = c.end = s->eot;
    return c;
  }
  c.best = c.first + row_find(logits + c.first, r->n_vocab - c.first, c.best_logit);
  return c;
}

speech_rules whisper_rules_told(const whisper_rules *r, bool first) {
  const whisper_special *s = r->special;
  return (speech_rules){.end = s->eot,
                        .first_time = s->first_timestamp,
                        .max_first = r->max_initial_timestamp < 0
                                         ? r->n_vocab - 1
                                         : min_i32(s->first_timestamp + r->max_initial_timestamp, r->n_vocab - 1),
                        .timed = r->timestamps,
                        .suppressed = r->suppressed,
                        .n_suppressed = r->n_suppressed + (first ? r->n_blanks : 0)};
}

/* ---- choosing ---- */

enum { BLOCK = 256 }; /* tokens whose maximum or sum is kept, so that one of them is found without going over all */

int32_t whisper_choice_top(const whisper_choice *c, float *logits, int32_t k, whisper_candidate *out) {
  float maxima[(52000 + BLOCK - 1) / BLOCK];
  int32_t n_blocks = 0, found = 0;
  for (int32_t i = c->first; i < c->end; i += BLOCK)
    maxima[n_blocks++] = row_max(logits + i, min_i32(BLOCK, c->end - i));
  for (; found < k; found++) {
    float max = row_max(maxima, n_blocks);
    if (max == -INFINITY) break;
    int32_t block = row_find(maxima, n_blocks, max), begin = c->first + block * BLOCK,
            n = min_i32(BLOCK, c->end - begin);
    int32_t token = begin + row_find(logits + begin, n, max);
    out[found] = (whisper_candidate){token, max};
    logits[token] = -INFINITY;
    maxima[block] = row_max(logits + begin, n);
  }
  return found;
}

int32_t whisper_choice_sample(const whisper_choice *c, const float *logits, float temperature, float u) {
  float sums[(52000 + BLOCK - 1) / BLOCK], scale = 1 / temperature;
  int32_t n_blocks = 0;
  double total = 0;
  if (c->end <= c->first) return c->best;
  for (int32_t i = c->first; i < c->end; i += BLOCK) {
    sums[n_blocks] = row_sum_exp(logits + i, min_i32(BLOCK, c->end - i), c->best_logit, scale);
    total += sums[n_blocks++];
  }
  double rest = u * total;
  for (int32_t block = 0; block < n_blocks; block++) {
    if (rest >= sums[block]) {
      rest -= sums[block];
      continue;
    }
    int32_t begin = c->first + block * BLOCK, end = min_i32(begin + BLOCK, c->end), last = c->best;
    for (int32_t i = begin; i < end; i++) {
      double part = float4_exp(float4_of((logits[i] - c->best_logit) * scale))[0];
      if (part > 0) last = i;
      if (rest < part) return i;
      rest -= part;
    }
    return last; /* rounding */
  }
  return c->best;
}

/* ---- loops ---- */

int32_t whisper_loop_cut(const whisper_special *s, const int32_t *tokens, int32_t n, int32_t *text) {
  enum { LONGEST_CYCLE = 32, TURNS = 6, LEAST_TOKENS = 32 };
  int32_t n_text = 0; /* text[i]: place of the i-th text token; times between them do not matter */
  for (int32_t i = 0; i < n; i++) {
    if (tokens[i] < s->eot) text[n_text++] = i;
  }
  for (int32_t cycle = 1; cycle <= LONGEST_CYCLE && cycle * TURNS <= n_text; cycle++) {
    int32_t run = cycle; /* tokens at the end that belong to the loop */
    while (run < n_text && tokens[text[n_text - 1 - run]] == tokens[text[n_text - 1 - run + cycle]]) run++;
    if (run < max_i32(TURNS * cycle, LEAST_TOKENS)) continue;
    int32_t keep = text[n_text - run + 2 * cycle - 1] + 1;
    return keep < n && tokens[keep] >= s->first_timestamp ? keep + 1 : keep;
  }
  return n;
}
