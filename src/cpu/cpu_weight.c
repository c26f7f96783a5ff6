/* Weights: taking rows from the file, and giving rows back. */
#include "cpu_linear.h"

weight *cpu_weight_open(backend *be, uint32_t type, int32_t out, int32_t in) {
  cpu *c = (cpu *)be;
  if (out < 1 || in < 1 || in > MAX_WEIGHT_COLUMNS || out > INT32_MAX - 64) return NULL;
  size_t row_bytes = dtype_row_bytes(type, (size_t)in);
  if (row_bytes == 0) return NULL;
  /* Scratch of a thread: the tiles' results, and for blocks four panels with their scales and one row as f32. */
  const int32_t nr = c->k->nr;
  const size_t pairs = (size_t)divide_up(in, 2), columns = (size_t)nr * MAX_BLOCK_PANELS;
  const size_t few_bytes = max_size(FEW_BYTES, MAX_FEW_ROWS * few_row_bytes(in));
  const size_t panels_bytes =
      (pairs * 4 + 8) * 4 * (size_t)nr + (size_t)in * 4 + columns * (MAX_TILE_ROWS + 1) * 4 + 1024;
  if (!cpu_grow_scratch(c, max_size(panels_bytes, cpu_bytes_scratch(c, in)))) return NULL;
  if (dtype_block_elements(type) > 1 && few_bytes > c->few_bytes) {
    mem_free(c->few);
    c->few = mem_alloc(few_bytes, 1);
    c->few_bytes = c->few ? few_bytes : 0;
    if (!c->few) return NULL;
  }
  weight *w = mem_alloc(1, sizeof *w);
  if (!w) return NULL;
  *w = (weight){.type = type, .out = out, .in = in, .row_bytes = row_bytes};
  w->form = packing_of(type, &w->packing) ? FORM_PACKED : dtype_block_elements(type) == 1 ? FORM_PANELS : FORM_ROWS;
  if (w->form == FORM_PANELS) {
    const size_t n_panels = (size_t)divide_up(out, nr);
    w->panels = mem_alloc(n_panels, pairs * (size_t)nr * 4);
    w->scales = mem_alloc(n_panels, (size_t)nr * sizeof(float));
    w->bytes = n_panels * (size_t)nr * (pairs * 4 + sizeof(float));
  } else {
    if (w->form == FORM_PACKED) {
      const size_t groups = (size_t)divide_up(out, c->k->group),
                   group = packed_group_bytes(w->packing, in, (size_t)c->k->group),
                   units = (size_t)c->k->group * sizeof *w->units;
      w->data = mem_alloc(groups, group);
      w->units = mem_alloc(groups, units);
      w->bytes = groups * (group + units);
    } else {
      w->data = mem_alloc((size_t)out, row_bytes);
      w->bytes = (size_t)out * row_bytes;
    }
  }
  const bool whole = w->form == FORM_PANELS ? w->panels && w->scales : w->data && (w->units || w->form == FORM_ROWS);
  if (!whole) {
    cpu_weight_close(be, w);
    return NULL;
  }
  return w;
}

void cpu_weight_rows(backend *be, weight *w, int32_t first, int32_t n, const void *rows) {
  const cpu *c = (cpu *)be;
  const uint8_t *row = rows;
  if (w->form == FORM_ROWS) {
    memcpy(w->data + (size_t)first * w->row_bytes, rows, (size_t)n * w->row_bytes);
    return;
  }
  if (w->form == FORM_PACKED) {
    for (int32_t i = first; i < first + n; i++, row += w->row_bytes)
      pack_row(w->packing, row, w->in, weight_group(c, w, i), (size_t)c->k->group, (size_t)(i % c->k->group));
    return;
  }
  const size_t nr = (size_t)c->k->nr, pairs = (size_t)weight_pairs(w);
  float *values = cpu_scratch(c, 0);
  for (int32_t i = first; i < first + n; i++, row += w->row_bytes) {
    dequantize_row(w->type, row, values, (size_t)w->in);
    int16_t *panel = w->panels + (size_t)i / nr * pairs * nr * 2;
    w->scales[i] = quantize_right(c->k, values, w->in, panel + (size_t)i % nr * 2, nr);
  }
}

void cpu_weight_seal(backend *be, weight *w) { (void)be, (void)w; }

void cpu_weight_close(backend *be, weight *w) {
  (void)be;
  if (!w) return;
  mem_free(w->panels);
  mem_free(w->scales);
  mem_free(w->units);
  mem_free(w->data);
  mem_free(w);
}

size_t cpu_weight_bytes(const weight *w) { return w->bytes; }

/* Threads that meet here make the same; each unit says for itself whether it is there. */
bool cpu_weight_units(const cpu *c, const weight *w, int32_t row, float *units) {
  const int32_t group = c->k->group;
  float *known = w->units + row / group * group;
  bool all = true;
  for (int32_t i = 0; i < group; i++) {
    __atomic_load(known + i, units + i, __ATOMIC_RELAXED);
    all = all && units[i] != 0;
  }
  if (all) return units[0] > 0;
  const bool made = c->k->group_units[w->packing](weight_group(c, w, row), w->in / 32, units);
  for (int32_t i = 0; i < group; i++) {
    float unit = made ? units[i] : -1.0f;
    __atomic_store(known + i, &unit, __ATOMIC_RELAXED);
  }
  return made;
}

void cpu_weight_row(const cpu *c, const weight *w, int32_t row, float *out) {
  if (w->form == FORM_ROWS) {
    dequantize_row(w->type, w->data + (size_t)row * w->row_bytes, out, (size_t)w->in);
    return;
  }
  if (w->form == FORM_PACKED) {
    unpack_row(w->packing, weight_group(c, w, row), w->in, (size_t)c->k->group, (size_t)(row % c->k->group), out);
    return;
  }
  const size_t nr = (size_t)c->k->nr, pairs = (size_t)weight_pairs(w);
  const int16_t *p = w->panels + (size_t)row / nr * pairs * nr * 2 + (size_t)row % nr * 2;
  for (int32_t i = 0; i < w->in; i++) out[i] = (float)p[(size_t)(i / 2) * nr * 2 + (size_t)(i & 1)] * w->scales[row];
}
