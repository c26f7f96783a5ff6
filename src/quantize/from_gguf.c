/* A GGUF file, or the parts of a split one, to one GGUF file of other types: metadata and the order of tensors stay.
 *
 * Matrices named *.weight are quantized, but not those of norms, routers and other small parts, as llama.cpp's quantize has it. */
#include <stdio.h>

#include "../formats/gguf_write.h"
#include "quantizer.h"

/* ---- the parts, in their order ---- */

static const source_file *part_at(const quantizer *q, uint32_t part, int32_t *index) {
  for (size_t i = 0; i < q->n_files; i++) {
    if (q->files[i].gguf == NULL || gguf_split_of(q->files[i].gguf).part != part) continue;
    *index = (int32_t)i;
    return &q->files[i];
  }
  return NULL;
}

static sotto_status check_parts(const quantizer *q, uint32_t *n_parts, error *err) {
  uint32_t n_files = 0, n_tensors = 0, announced = 0;
  for (size_t i = 0; i < q->n_files; i++) {
    const gguf *g = q->files[i].gguf;
    if (g == NULL) continue;
    const gguf_split split = gguf_split_of(g);
    if (n_files++ == 0) *n_parts = split.n_parts, announced = split.n_tensors;
    if (split.n_parts != *n_parts)
      return fail(err, SOTTO_ERR_ARGUMENT,
                  "%.100s is no part of the same model as the other GGUF files: give one model", q->files[i].name);
    n_tensors += gguf_n_tensors(g);
  }
  if (n_files > *n_parts)
    return fail(err, SOTTO_ERR_ARGUMENT, "there are %u GGUF files: give one model", (unsigned)n_files);
  for (uint32_t part = 0; part < *n_parts; part++) {
    int32_t index;
    if (part_at(q, part, &index) == NULL)
      return fail(err, SOTTO_ERR_ARGUMENT, "part %u of %u of the model is missing: get all its files",
                  (unsigned)part + 1, (unsigned)*n_parts);
  }
  if (n_tensors != announced && *n_parts > 1)
    return fail(err, SOTTO_ERR_FORMAT, "the parts have %u tensors and not %u: they do not belong together",
                (unsigned)n_tensors, (unsigned)announced);
  return SOTTO_OK;
}

/* ---- metadata ---- */

static bool is_own_key(const char *key) {
  static const char *const keys[] = {"general.file_type", "general.quantization_version",
                                     "general.alignment", "split.no",
                                     "split.count",       "split.tensors.count"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (strcmp(key, keys[i]) == 0) return true;
  return false;
}

static void write_metadata(const quantizer *q, const gguf *g, gguf_writer *w) {
  for (uint32_t i = 0; i < gguf_n_values(g); i++) {
    gguf_type type;
    const char *key = gguf_key(g, i, &type);
    const gguf_value value = gguf_value_at(g, i);
    if (!is_own_key(key)) gguf_write_value(w, key, &value);
  }
  gguf_write_u32(w, "general.file_type", q->recipe->file_type);
  if (dtype_block_elements(q->recipe->type) > 1) gguf_write_u32(w, "general.quantization_version", 2);
}

static void describe(quantizer *q, const gguf *g) {
  const char *text;
  size_t n;
  q->format = "gguf";
  if (gguf_string(g, "general.architecture", &text, &n))
    snprintf(q->architecture, sizeof q->architecture, "%.*s", (int)min_size(n, 31), text);
  snprintf(q->model_name, sizeof q->model_name, "%s", q->name);
  if (gguf_string(g, "general.name", &text, &n))
    snprintf(q->model_name, sizeof q->model_name, "%.*s", (int)min_size(n, 127), text);
}

/* ---- tensors ---- */

static bool is_matrix(const file_tensor *t) {
  static const char *const kept[] = {"_norm.weight",
                                     "ffn_gate_inp.weight",
                                     "ssm_conv1d",
                                     "shortconv.conv",
                                     "time_mix_",
                                     "attn_rel_b.weight",
                                     "altup",
                                     "laurel",
                                     "per_layer_model_proj",
                                     "position_embd.weight",
                                     "token_types.weight",
                                     "rope_freqs"};
  const size_t n = strlen(t->name);
  if (t->rank < 2 || n < 7 || strcmp(t->name + n - 7, ".weight") != 0) return false;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    if (strstr(t->name, kept[i]) != NULL) return false;
  return true;
}

typedef struct sizes {
  int32_t n_layer;
  bool own_head;
} sizes;

static uint32_t type_of(const quantizer *q, const sizes *s, const file_tensor *t) {
  if (!is_matrix(t)) return t->type;
  const int64_t cols = t->dims[t->rank - 1];
  return plan_type(q, t->name, cols, recipe_type(q->recipe, t->name, cols, s->n_layer, s->own_head));
}

static sizes sizes_of(const quantizer *q, const gguf *first) {
  sizes s = {0};
  char key[64];
  uint32_t n = 0;
  snprintf(key, sizeof key, "%s.block_count", q->architecture);
  gguf_u32(first, key, &n);
  s.n_layer = n < 100000 ? (int32_t)n : 0;
  for (size_t i = 0; i < q->n_files; i++)
    for (uint32_t j = 0; q->files[i].gguf != NULL && j < gguf_n_tensors(q->files[i].gguf); j++)
      s.own_head |= strcmp(gguf_tensor(q->files[i].gguf, j)->name, "output.weight") == 0;
  return s;
}

static sotto_status plan_part(quantizer *q, int32_t index, const sizes *s, error *err) {
  const gguf *g = q->files[index].gguf;
  for (uint32_t i = 0; i < gguf_n_tensors(g); i++) {
    const file_tensor *t = gguf_tensor(g, i);
    planned_tensor p = {.name = t->name,
                        .file = index,
                        .offset = t->offset,
                        .source_type = t->type,
                        .type = type_of(q, s, t),
                        .rows = 1,
                        .cols = t->dims[t->rank - 1]};
    for (int32_t d = 0; d + 1 < t->rank; d++) p.rows *= t->dims[d]; /* fits: the reader computed the bytes */
    TRY(plan_tensor(q, &p, err));
    TRY(plan_padding(q, 32, err));
  }
  return SOTTO_OK;
}

static sotto_status to_literal(void *context, const void *bytes, size_t size, error *err) {
  return plan_piece(context, bytes, size, err);
}

static sotto_status plan_parts(quantizer *q, uint32_t n_parts, gguf_writer *w, error *err) {
  int32_t index;
  const gguf *first = part_at(q, 0, &index)->gguf;
  describe(q, first);
  const sizes s = sizes_of(q, first);
  write_metadata(q, first, w);
  for (uint32_t part = 0; part < n_parts; part++) {
    const gguf *g = part_at(q, part, &index)->gguf;
    for (uint32_t i = 0; i < gguf_n_tensors(g); i++) {
      const file_tensor *t = gguf_tensor(g, i);
      gguf_write_tensor(w, t->name, type_of(q, &s, t), t->rank, t->dims);
    }
  }
  TRY(gguf_write_head(w, err));
  for (uint32_t part = 0; part < n_parts; part++) {
    part_at(q, part, &index);
    TRY(plan_part(q, index, &s, err));
  }
  return SOTTO_OK;
}

sotto_status plan_from_gguf(quantizer *q, error *err) {
  uint32_t n_parts = 1;
  TRY(check_parts(q, &n_parts, err));
  const gguf_output out = {q, to_literal};
  gguf_writer *w = gguf_write_open(&out);
  const sotto_status status = w != NULL ? plan_parts(q, n_parts, w, err) : plan_no_memory(err);
  gguf_write_close(w);
  return status;
}
