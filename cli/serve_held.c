#include "serve_held.h"

#include <stdlib.h>
#include <string.h>

bool held_open(held *h, sotto_model *model, const sotto_session_options *options, int n) {
  *h = (held){.n = 0};
  for (; h->n < n; h->n++) {
    held_conversation *c = &h->all[h->n];
    if (sotto_session_open(&c->session, model, options) < 0) return false;
    h->capacity = (size_t)sotto_session_capacity(c->session);
    c->ids = malloc((h->capacity + 1) * sizeof *c->ids);
    if (c->ids != NULL) continue;
    sotto_session_close(c->session);
    return false;
  }
  return true;
}

void held_close(held *h) {
  for (int i = 0; i < h->n; i++) {
    sotto_session_close(h->all[i].session);
    free(h->all[i].ids);
  }
  *h = (held){.n = 0};
}

static size_t common(const held_conversation *c, const int32_t *ids, size_t n) {
  size_t i = 0;
  while (i < n && i < c->n_ids && c->ids[i] == ids[i]) i++;
  return i;
}

held_conversation *held_for(held *h, const int32_t *ids, size_t n) {
  held_conversation *nearest = NULL, *oldest = &h->all[0];
  size_t most = 0;
  for (int i = 0; i < h->n; i++) {
    held_conversation *c = &h->all[i];
    const size_t shared = common(c, ids, n);
    if (shared > most) {
      most = shared;
      nearest = c;
    }
    if (c->used < oldest->used) oldest = c;
  }
  /* The beginning alone, a system text or a mark of turns, does not make it the same conversation. */
  held_conversation *chosen = nearest != NULL && 2 * most >= nearest->n_ids ? nearest : oldest;
  chosen->used = ++h->n_uses;
  return chosen;
}

void held_note(held_conversation *c, const int32_t *ids, size_t n) {
  memcpy(c->ids, ids, n * sizeof *ids);
  c->n_ids = n;
}
