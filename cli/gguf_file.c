#include "gguf_file.h"

#include <errno.h>

#include "output.h"

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

sotto_status gguf_file_write(const char *path, const gemma_gguf *model, const gemma_rows *rows, error *err) {
  output o;
  if (!output_open(&o, path)) return no_file(err);
  const gguf_output out = {&o, write_bytes};
  sotto_status status = gemma_gguf_write(model, rows, &out, err);
  if (status >= 0 && !output_commit(&o)) status = no_file(err);
  output_discard(&o);
  return status;
}
