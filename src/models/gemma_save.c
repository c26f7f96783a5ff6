/* A state as bytes, little-endian:
 *
 *     "SOTTOKV\0"
 *     u32 version      u32 storage of keys and values      u64 fingerprint of the model
 *     u32 n_tokens     u32 kept: local layers hold the positions from there on
 *     i32 tokens [n_tokens]
 *     for each layer, its places in the order of their positions: n_tokens of them, or n_tokens - kept
 *     u64 hash of all before
 *
 * Places are saved by position, so that the rings of the state that they go to may be of another length. */
#include "gemma_state.h"

enum { HEADER_BYTES = 32, HASH_BYTES = 8, SAVE_VERSION = 1 };

static const char magic[8] = "SOTTOKV";

/* Bytes of what holds n tokens, those from `kept` on in local layers. */
static uint64_t saved_bytes(const gemma_state *s, uint32_t n, uint32_t kept) {
  const gemma_config *c = &s->g->c;
  const uint64_t place = s->be->ops->kv_place_bytes(s->past[0]);
  uint64_t places = 0;
  for (int32_t i = 0; i < c->n_layer; i++) places += gemma_layer_is_global(c, i) ? n : n - kept;
  return HEADER_BYTES + sizeof(int32_t) * (uint64_t)n + places * place + HASH_BYTES;
}

size_t gemma_save_bytes(const gemma_state *s) { return (size_t)saved_bytes(s, (uint32_t)s->length, (uint32_t)s->kept); }

sotto_status gemma_save(gemma_state *s, const int32_t *tokens, void *bytes) {
  const ops *o = s->be->ops;
  uint8_t *at = bytes;
  const uint32_t numbers[] = {SAVE_VERSION, (uint32_t)s->type}, counts[] = {(uint32_t)s->length, (uint32_t)s->kept};
  const uint64_t fingerprint = gemma_fingerprint(s->g);
  memcpy(at, magic, 8);
  memcpy(at + 8, numbers, 8);
  memcpy(at + 16, &fingerprint, 8);
  memcpy(at + 24, counts, 8);
  at += HEADER_BYTES;
  if (s->length > 0) memcpy(at, tokens, (size_t)s->length * sizeof *tokens);
  at += (size_t)s->length * sizeof *tokens;
  bool whole = true; /* all are asked for before any is waited for */
  for (int32_t layer = 0; layer < s->g->c.n_layer; layer++) {
    int32_t n;
    const int32_t *places = gemma_places(s, layer, &n);
    whole &= o->kv_get(s->be, s->past[layer], places, n, at);
    at += (size_t)n * o->kv_place_bytes(s->past[layer]);
  }
  if (!whole) return SOTTO_AGAIN;
  const uint64_t hash = hash_bytes(HASH_START, bytes, (size_t)(at - (uint8_t *)bytes));
  memcpy(at, &hash, sizeof hash);
  return SOTTO_OK;
}

/* What is wrong with saved bytes, if anything. */
static sotto_status check(const gemma_state *s, const uint8_t *p, size_t size, error *err) {
  const gemma_config *c = &s->g->c;
  if (size < HEADER_BYTES + HASH_BYTES || memcmp(p, magic, 8) != 0)
    return fail(err, SOTTO_ERR_FORMAT, "these bytes are no saved session: give what a session was saved to");
  const uint32_t version = load_u32(p + 8), type = load_u32(p + 12), n = load_u32(p + 24), kept = load_u32(p + 28);
  if (version != SAVE_VERSION)
    return fail(err, SOTTO_ERR_FORMAT, "the session was saved in version %u of the form, and this program reads %d",
                version, SAVE_VERSION);
  if (load_u64(p + 16) != gemma_fingerprint(s->g))
    return fail(err, SOTTO_ERR_FORMAT, "the session was saved from another model: load that one");
  if (type != (uint32_t)s->type)
    return fail(err, SOTTO_ERR_FORMAT,
                "the session was saved with keys and values of another storage: open the session with that kv_type");
  if (n > (uint32_t)s->n_ctx)
    return fail(err, SOTTO_ERR_FORMAT,
                "the saved session holds %u tokens, more than the %d of this context: open a larger one", n,
                (int)s->n_ctx);
  /* The next token, at n, looks back to n + 1 - window. */
  const bool enough =
      kept <= n && (c->window == 0 || n == 0 || (int32_t)kept <= max_i32((int32_t)n + 1 - c->window, 0));
  if (!enough || saved_bytes(s, n, kept) != size ||
      hash_bytes(HASH_START, p, size - HASH_BYTES) != load_u64(p + size - HASH_BYTES))
    return fail(err, SOTTO_ERR_FORMAT, "the saved session is damaged or cut short: save it again");
  for (uint32_t i = 0; i < n; i++)
    if (load_u32(p + HEADER_BYTES + 4 * (size_t)i) >= (uint32_t)c->n_vocab)
      return fail(err, SOTTO_ERR_FORMAT, "the saved session holds a token that the model does not have: save it again");
  return SOTTO_OK;
}

sotto_status gemma_restore(gemma_state *s, int32_t *tokens, const void *bytes, size_t n, error *err) {
  const ops *o = s->be->ops;
  const uint8_t *at = bytes;
  TRY(check(s, at, n, err));
  const int32_t length = (int32_t)load_u32(at + 24), kept = (int32_t)load_u32(at + 28);
  s->length = length;
  s->kept = max_i32(kept, length - s->ring);
  s->logits.rows = 0;
  at += HEADER_BYTES;
  if (length > 0) memcpy(tokens, at, (size_t)length * sizeof *tokens);
  at += (size_t)length * sizeof *tokens;
  for (int32_t layer = 0; layer < s->g->c.n_layer; layer++) {
    int32_t n_held;
    const int32_t *places = gemma_places(s, layer, &n_held);
    const size_t place = o->kv_place_bytes(s->past[layer]);
    if (!gemma_layer_is_global(&s->g->c, layer))
      at += (size_t)(s->kept - kept) * place; /* what a shorter ring has no place for */
    o->kv_put(s->be, s->past[layer], places, n_held, at);
    at += (size_t)n_held * place;
  }
  return SOTTO_OK;
}
