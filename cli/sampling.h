/* How tokens are chosen: options of the commands that write text, and settings of a chat. */
#ifndef CLI_SAMPLING_H
#define CLI_SAMPLING_H

#include "../include/sotto.h"
#include "args.h"
#include "json.h"

enum { SAMPLING_MOST_BIASES = 1024 };

typedef struct sampling {
  sotto_sampler_options options; /* its logit_bias is `bias` */
  sotto_logit_bias bias[SAMPLING_MOST_BIASES];
  bool seeded; /* a seed was given */
} sampling;

enum {
  SAMPLING_TEMPERATURE = 1100,
  SAMPLING_TOP_K,
  SAMPLING_TOP_P,
  SAMPLING_MIN_P,
  SAMPLING_TYPICAL_P,
  SAMPLING_REPETITION_PENALTY,
  SAMPLING_PRESENCE_PENALTY,
  SAMPLING_FREQUENCY_PENALTY,
  SAMPLING_PENALTY_WINDOW,
  SAMPLING_LOGIT_BIAS,
  SAMPLING_SEED
};

#define SAMPLING_OPTIONS                                                                                        \
  {"temperature", 0, true, SAMPLING_TEMPERATURE}, {"top-k", 0, true, SAMPLING_TOP_K},                           \
      {"top-p", 0, true, SAMPLING_TOP_P}, {"min-p", 0, true, SAMPLING_MIN_P},                                   \
      {"typical-p", 0, true, SAMPLING_TYPICAL_P}, {"repetition-penalty", 0, true, SAMPLING_REPETITION_PENALTY}, \
      {"presence-penalty", 0, true, SAMPLING_PRESENCE_PENALTY},                                                 \
      {"frequency-penalty", 0, true, SAMPLING_FREQUENCY_PENALTY},                                               \
      {"penalty-window", 0, true, SAMPLING_PENALTY_WINDOW}, {"logit-bias", 0, true, SAMPLING_LOGIT_BIAS}, {     \
    "seed", 0, true, SAMPLING_SEED                                                                              \
  }

#define SAMPLING_HELP                                                                               \
  "Sampling\n"                                                                                      \
  "      --temperature F     0: always the likeliest token (default: 1)\n"                          \
  "      --top-k N           among the N likeliest tokens; 0: all (default: 64)\n"                  \
  "      --top-p F           among the likeliest with this much probability together (0.95)\n"      \
  "      --min-p F           among those with this share of the likeliest one's probability (0)\n"  \
  "      --typical-p F       among the most typical with this much probability together (1: all)\n" \
  "      --repetition-penalty F  divides logits of tokens that were there (default: 1, none)\n"     \
  "      --presence-penalty F    is taken from logits of tokens that were there (0)\n"              \
  "      --frequency-penalty F   the same, for each time that they were there (0)\n"                \
  "      --penalty-window N  the penalties look at the last N tokens (256)\n"                       \
  "      --logit-bias ID=F[,ID=F]...  is added to the logit of a token; -inf: never chosen\n"

void sampling_default(sampling *s);

/* Takes the option that args_next found, when it is one of these: *taken. False after printing what is wrong with it. */
bool sampling_option(sampling *s, const args *a, int id, bool *taken);

/* The id of a setting by its name, "temperature" or "top_k"; 0: there is none. */
int sampling_find(const char *name, size_t size);
/* Appends a line "name value" for each setting. */
void sampling_list(const sampling *s, text *out);

#endif
