#include "gguf_file.h"

#include <errno.h>

#include "output.h"

enum { CHUNK_BYTES = 1 << 20 };

bool gguf_file_option(gguf_file_options *o, const args *a, int id, bool *taken) {
  *taken = id == GGUF_FILE_OUTPUT || id == GGUF_FILE_TYPE;
  if (id == GGUF_FILE_OUTPUT) o->path = a->value;
  if (id != GGUF_FILE_TYPE) return true;
  o->recipe = recipe_find(a->value);
  if (o->recipe == NULL) args_wrong(a, "unknown type '%s': the types are " RECIPE_NAMES, a->value);
  return o->recipe != NULL;
}

static sotto_status no_file(error *err) {
  return fail(err, SOTTO_ERR_ARGUMENT, "it cannot be written: %s", strerror(errno));
}

static sotto_status write_bytes(void *context, const void *bytes, size_t size, error *err) {
  output *o = context;
  return fwrite(bytes, 1, size, o->file) == size ? SOTTO_OK : no_file(err);
}

static sotto_status write_rows(gguf_writer *w, const gemma_gguf *f, const gemma_rows *rows, uint8_t *chunk,
                               error *err) {
  for (int32_t i = 0; i < f->model->n_slots; i++) {
    const gemma_slot *s = &f->model->slots[i];
    const uint32_t type = gemma_gguf_type(f, s);
    const size_t row_bytes = dtype_row_bytes(type, (size_t)s->in);
    const int32_t most = (int32_t)(CHUNK_BYTES / row_bytes); /* a row has at most 262144 floats: one fits */
    for (int32_t row = 0; row < s->out; row += most) {
      const int32_t n = min_i32(most, s->out - row);
      TRY(rows->read(rows->context, s, type, row, n, chunk, err));
      TRY(gguf_write_data(w, chunk, (size_t)n * row_bytes, err));
    }
  }
  return gguf_write_end(w, err);
}

static sotto_status write_model(const gguf_output *out, const gemma_gguf *f, const gemma_rows *rows, error *err) {
  gguf_writer *w = gguf_write_open(out);
  uint8_t *chunk = mem_alloc(CHUNK_BYTES, 1);
  sotto_status status =
      w != NULL && chunk != NULL ? gemma_gguf_metadata(f, w, err) : fail(err, SOTTO_ERR_MEMORY, "out of memory");
  if (status >= 0) {
    for (int32_t i = 0; i < f->model->n_slots; i++)
      gemma_gguf_announce(w, &f->model->slots[i], gemma_gguf_type(f, &f->model->slots[i]));
    status = write_rows(w, f, rows, chunk, err);
  }
  mem_free(chunk);
  gguf_write_close(w);
  return status;
}

sotto_status gguf_file_write(const char *path, const gemma_gguf *model, const gemma_rows *rows, error *err) {
  output o;
  if (!output_open(&o, path)) return no_file(err);
  const gguf_output out = {&o, write_bytes};
  sotto_status status = write_model(&out, model, rows, err);
  if (status >= 0 && !output_commit(&o)) status = no_file(err);
  output_discard(&o);
  return status;
}
