#include "sampling.h"

#include <stdlib.h>
#include <string.h>

void sampling_default(sampling *s) {
  *s = (sampling){.seeded = false};
  sotto_sampler_options_default(&s->options);
}

/* ID=F[,ID=F]..., added to those given before; of one id the last counts. */
static bool read_biases(sampling *s, const args *a) {
  sotto_sampler_options *o = &s->options;
  const char *at = a->value;
  while (true) {
    char *end;
    const long id = strtol(at, &end, 10);
    bool ok = end != at && *end == '=' && id >= 0 && id <= INT32_MAX;
    at = ok ? end + 1 : at;
    const float bias = ok ? strtof(at, &end) : 0;
    ok = ok && end != at && (*end == '\0' || *end == ',') && (bias == bias && !(bias > 1e4f));
    if (!ok)
      return args_wrong(a, "option '%s' needs ID=NUMBER, several with commas between, not '%s'", a->shown, a->value),
             false;
    size_t i = 0;
    while (i < o->n_logit_bias && s->bias[i].id != (int32_t)id) i++;
    if (i == SAMPLING_MOST_BIASES)
      return args_wrong(a, "option '%s' takes %d tokens at most", a->shown, SAMPLING_MOST_BIASES), false;
    s->bias[i] = (sotto_logit_bias){(int32_t)id, bias};
    if (i == o->n_logit_bias) o->n_logit_bias++;
    o->logit_bias = s->bias;
    if (*end == '\0') return true;
    at = end + 1;
  }
}

bool sampling_option(sampling *s, const args *a, int id, bool *taken) {
  sotto_sampler_options *o = &s->options;
  int64_t n = 0;
  *taken = true;
  switch (id) {
    case SAMPLING_TEMPERATURE:
      return args_number(a, 0, 100, &o->temperature);
    case SAMPLING_TOP_K:
      if (!args_integer(a, 0, INT32_MAX, &n)) return false;
      o->top_k = (int32_t)n;
      return true;
    case SAMPLING_TOP_P:
      return args_number(a, 0.0001, 1, &o->top_p);
    case SAMPLING_MIN_P:
      return args_number(a, 0, 1, &o->min_p);
    case SAMPLING_TYPICAL_P:
      return args_number(a, 0.0001, 1, &o->typical_p);
    case SAMPLING_REPETITION_PENALTY:
      return args_number(a, 0.01, 100, &o->repetition_penalty);
    case SAMPLING_PRESENCE_PENALTY:
      return args_number(a, -100, 100, &o->presence_penalty);
    case SAMPLING_FREQUENCY_PENALTY:
      return args_number(a, -100, 100, &o->frequency_penalty);
    case SAMPLING_PENALTY_WINDOW:
      if (!args_integer(a, 0, 1 << 20, &n)) return false;
      o->penalty_window = (int32_t)n;
      return true;
    case SAMPLING_LOGIT_BIAS:
      return read_biases(s, a);
    case SAMPLING_SEED:
      if (!args_integer(a, 0, INT64_MAX, &n)) return false;
      o->seed = (uint64_t)n;
      s->seeded = true;
      return true;
    default:
      *taken = false;
      return true;
  }
}

/* ---- settings by name ---- */

int sampling_find(const char *name, size_t size) {
  static const option_spec options[] = {SAMPLING_OPTIONS};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    size_t at = 0;
    while (at < size && options[i].name[at] != '\0' &&
           (options[i].name[at] == name[at] || (options[i].name[at] == '-' && name[at] == '_')))
      at++;
    if (at == size && options[i].name[at] == '\0') return options[i].id;
  }
  return 0;
}

void sampling_list(const sampling *s, text *out) {
  const sotto_sampler_options *o = &s->options;
  const struct {
    const char *name;
    double value;
  } settings[] = {{"temperature", (double)o->temperature},
                  {"top-k", o->top_k},
                  {"top-p", (double)o->top_p},
                  {"min-p", (double)o->min_p},
                  {"typical-p", (double)o->typical_p},
                  {"repetition-penalty", (double)o->repetition_penalty},
                  {"presence-penalty", (double)o->presence_penalty},
                  {"frequency-penalty", (double)o->frequency_penalty},
                  {"penalty-window", o->penalty_window}};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    text_format(out, "  %-20s %g\n", settings[i].name, settings[i].value);
  for (size_t i = 0; i < o->n_logit_bias; i++)
    text_format(out, "  %-20s %d=%g\n", "logit-bias", (int)s->bias[i].id, (double)s->bias[i].bias);
  text_format(out, "  %-20s %llu\n", "seed", (unsigned long long)o->seed);
}
