/* The plan as it is put together: tensors and literal bytes, one behind the other. */
#include "quantizer.h"

sotto_status plan_no_memory(error *err) {
  return fail(err, SOTTO_ERR_MEMORY, "out of memory for the plan of the quantization; close other programs or tabs");
}

/* ---- types ---- */

/* `*` stands for any characters, `?` for one. On a mismatch the last star takes one more: linear in both for each star. */
static bool matches(const char *pattern, const char *text) {
  const char *star = NULL, *from = NULL;
  while (*text != '\0') {
    if (*pattern == '*') {
      star = pattern++;
      from = text;
    } else if (*pattern == '?' || *pattern == *text) {
      pattern++;
      text++;
    } else if (star != NULL) {
      pattern = star + 1;
      text = ++from;
    } else {
      return false;
    }
  }
  while (*pattern == '*') pattern++;
  return *pattern == '\0';
}

uint32_t plan_type(const quantizer *q, const char *name, int64_t cols, uint32_t otherwise) {
  for (size_t i = q->n_overrides; i-- > 0;)
    if (matches(q->patterns[i], name)) return recipe_fit(q->types[i], cols);
  return otherwise;
}

/* ---- tensors and pieces ---- */

static sotto_status set_importance(quantizer *q, planned_tensor *p, const char *name, error *err) {
  if (q->importances == NULL || dtype_block_elements(p->type) == 1) return SOTTO_OK;
  return imatrix_find(q->importances, name, p->cols, &p->importance, err);
}

sotto_status plan_tensor(quantizer *q, const planned_tensor *t, error *err) {
  planned_tensor p = *t;
  const char *name = t->name;
  const uint64_t in = p.cols > 0 && p.cols <= INT32_MAX ? dtype_row_bytes(p.source_type, (size_t)p.cols) : 0;
  const uint64_t out = p.cols > 0 && p.cols <= INT32_MAX ? dtype_row_bytes(p.type, (size_t)p.cols) : 0;
  if (in == 0 || out == 0 || p.rows < 1 || (uint64_t)p.rows > (uint64_t)INT64_MAX / in ||
      (uint64_t)p.rows > (uint64_t)INT64_MAX / out)
    return fail(err, SOTTO_ERR_FORMAT, "the tensor %.100s has %lld rows of %lld elements, which %s cannot hold", name,
                (long long)p.rows, (long long)p.cols, dtype_name(p.type));
  p.bytes = (uint64_t)p.rows * in;
  p.out_bytes = (uint64_t)p.rows * out;
  p.out_offset = q->out_bytes;
  if (p.out_bytes > INT64_MAX - q->out_bytes - 64)
    return fail(err, SOTTO_ERR_FORMAT, "the tensors of the model are larger than a file can be: it is corrupt");
  planned_tensor *tensors = mem_grow(q->tensors, sizeof *tensors, q->n_tensors, &q->tensor_capacity, q->n_tensors + 1);
  if (tensors == NULL) return plan_no_memory(err);
  q->tensors = tensors;
  TRY(set_importance(q, &p, name, err));
  p.name = NULL; /* until plan_end: the list of names may still move */
  p.name_at = q->names.size;
  if (!byte_list_add(&q->names, name, strlen(name) + 1)) return plan_no_memory(err);
  q->tensors[q->n_tensors++] = p;
  q->out_bytes += p.out_bytes;
  return SOTTO_OK;
}

sotto_status plan_piece(quantizer *q, const void *bytes, size_t n, error *err) {
  planned_piece *last = q->n_pieces > 0 ? &q->pieces[q->n_pieces - 1] : NULL;
  const size_t at = q->literal.size;
  if (n == 0) return SOTTO_OK;
  if (!byte_list_add(&q->literal, bytes, n)) return plan_no_memory(err);
  if (last != NULL && last->out_offset + last->n == q->out_bytes) {
    last->n += n;
  } else {
    planned_piece *pieces = mem_grow(q->pieces, sizeof *pieces, q->n_pieces, &q->piece_capacity, q->n_pieces + 1);
    if (pieces == NULL) return plan_no_memory(err);
    q->pieces = pieces;
    pieces[q->n_pieces++] = (planned_piece){q->out_bytes, at, n};
  }
  q->out_bytes += n;
  return SOTTO_OK;
}

sotto_status plan_padding(quantizer *q, size_t alignment, error *err) {
  static const uint8_t zeros[64];
  const size_t over = (size_t)(q->out_bytes % alignment);
  return over > 0 ? plan_piece(q, zeros, alignment - over, err) : SOTTO_OK;
}

/* ---- the end ---- */

static void warn_of_requantizing(quantizer *q) {
  uint64_t n = 0;
  uint32_t type = 0;
  for (size_t i = 0; i < q->n_tensors; i++) {
    const planned_tensor *t = &q->tensors[i];
    if (dtype_block_elements(t->source_type) == 1 || t->source_type == t->type) continue;
    type = t->source_type;
    n++;
  }
  if (n > 0)
    quantizer_warn(q,
                   "%llu tensors are quantized already (%s): what was lost then stays lost; a model in bf16, f16 or "
                   "f32 gives better results",
                   (unsigned long long)n, dtype_name(type));
}

static void warn_of_patterns(quantizer *q) {
  for (size_t i = 0; i < q->n_overrides; i++) {
    bool found = false;
    for (size_t j = 0; j < q->n_tensors && !found; j++) found = matches(q->patterns[i], q->tensors[j].name);
    if (!found) quantizer_warn(q, "no tensor has a name like %.100s", q->patterns[i]);
  }
}

static void warn_of_importances(quantizer *q) {
  size_t with = 0, without = 0;
  for (size_t i = 0; i < q->n_tensors && q->importances != NULL; i++) {
    if (dtype_block_elements(q->tensors[i].type) == 1) continue;
    if (q->tensors[i].importance != NULL)
      with++;
    else
      without++;
  }
  if (without > 0 && with == 0)
    quantizer_warn(q, "the importances name none of the model's tensors: they are of another model");
}

sotto_status plan_end(quantizer *q, error *err) {
  if (q->n_tensors == 0) return fail(err, SOTTO_ERR_FORMAT, "the model has no tensors: get its files again");
  for (size_t i = 0; i < q->n_tensors; i++) q->tensors[i].name = (const char *)q->names.at + q->tensors[i].name_at;
  if (q->mixed_bin)
    quantizer_warn(q, "the matrices have several types: this program reads such a file, whisper.cpp does not");
  warn_of_requantizing(q);
  warn_of_patterns(q);
  warn_of_importances(q);
  return SOTTO_OK;
}
