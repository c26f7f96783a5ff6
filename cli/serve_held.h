/* The conversations that a language model holds, so that the next request of one reads only what is new.
 *
 *     ids of a request ─> the conversation that they go on with, else the one that was used longest ago */
#ifndef CLI_SERVE_HELD_H
#define CLI_SERVE_HELD_H

#include <stdbool.h>

#include "../include/sotto.h"

enum { HELD_MOST = 16 };

typedef struct held_conversation {
  sotto_session *session;
  int32_t *ids; /* [n_ids] with room for the context and one: what the session was to hold last */
  size_t n_ids;
  uint64_t used; /* the larger, the later; 0: never */
} held_conversation;

typedef struct held {
  held_conversation all[HELD_MOST];
  int n;
  size_t capacity; /* tokens of a context */
  uint64_t n_uses;
} held;

/* Opens `n` sessions, all memory at once; false: the engine says why. Close it in either case. */
bool held_open(held *h, sotto_model *model, const sotto_session_options *options, int n);
void held_close(held *h);

/* The conversation to answer these ids with. */
held_conversation *held_for(held *h, const int32_t *ids, size_t n);
/* Says what its session holds now; up to the capacity and one. */
void held_note(held_conversation *c, const int32_t *ids, size_t n);

#endif
