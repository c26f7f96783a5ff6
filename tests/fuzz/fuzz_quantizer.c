/* Fuzzes the plan of a quantizer with heads of files from strangers, and the rows of what it planned. An input is [seed of the sizes given][kind][type][u16: bytes
 * of the first file][files, one behind the other]. What may not happen: a range outside of a file, pieces and tensors that are not the whole
 * output or overlap, an error without words, and all that the sanitizers see. */
#include "../../include/sotto.h"
#include "require.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 5, MAX_ROW = 1 << 20 };

typedef struct part {
  const char *name;
  const uint8_t *bytes;
  size_t size;
} part;

static sotto_engine *the_engine(void) {
  static sotto_engine *engine;
  const sotto_engine_options options = {.n_threads = 1};
  if (engine == NULL) REQUIRE(sotto_engine_open(&engine, &options) == SOTTO_OK);
  return engine;
}

static sotto_status make_plan(sotto_quantizer *q, const part *parts, uint32_t seed) {
  for (int32_t i = 0; i < 2 && parts[i].name != NULL; i++)
    REQUIRE(sotto_quantizer_file(q, parts[i].name, parts[i].size) == i);
  int32_t file;
  uint64_t offset, bytes;
  sotto_status status;
  while ((status = sotto_quantizer_wants(q, &file, &offset, &bytes)) == SOTTO_AGAIN) {
    REQUIRE(file >= 0 && file < 2 && bytes > 0 && bytes <= parts[file].size && offset <= parts[file].size - bytes);
    seed = seed * 1664525 + 1013904223;
    size_t n = seed >> 31 ? (size_t)bytes : 1 + (seed >> 8) % 300;
    if (n > bytes) n = (size_t)bytes;
    status = sotto_quantizer_give(q, file, offset, parts[file].bytes + offset, n);
    if (status < 0) return status;
  }
  return status;
}

/* Pieces and tensors, each in order, meet each other's ends. */
static void check_cover(const sotto_quantizer *q, const part *parts, uint64_t out_bytes) {
  uint64_t at = 0;
  int32_t piece = 0, tensor = 0;
  while (at < out_bytes) {
    uint64_t begin;
    size_t n;
    sotto_quantize_tensor t;
    const uint8_t *bytes = sotto_quantizer_piece(q, piece, &begin, &n);
    if (bytes != NULL && begin == at) {
      REQUIRE(n > 0 && bytes[0] + bytes[n - 1] >= 0);
      piece++;
      at += n;
    } else {
      REQUIRE(sotto_quantizer_tensor(q, tensor++, &t) && t.out_offset == at && t.out_bytes > 0);
      REQUIRE(t.rows > 0 && t.cols > 0 && t.file >= 0 && t.file < 2);
      REQUIRE(t.bytes <= parts[t.file].size && t.offset <= parts[t.file].size - t.bytes);
      at += t.out_bytes;
    }
  }
  REQUIRE(at == out_bytes && sotto_quantizer_piece(q, piece, NULL, NULL) == NULL);
}

static void convert_rows(sotto_quantizer *q, const part *parts) {
  sotto_quantize_tensor t;
  for (int32_t i = 0; i < 64 && sotto_quantizer_tensor(q, i, &t); i++) {
    const size_t in = (size_t)(t.bytes / (uint64_t)t.rows), out = (size_t)(t.out_bytes / (uint64_t)t.rows);
    if (in > MAX_ROW || out > MAX_ROW) continue;
    uint8_t *from = malloc(in), *to = malloc(out);
    REQUIRE(from != NULL && to != NULL);
    memcpy(from, parts[t.file].bytes + t.offset + (size_t)(t.rows - 1) * in, in);
    const sotto_status status = sotto_quantizer_rows(q, i, t.rows - 1, 1, from, to);
    REQUIRE(status == SOTTO_OK ||
            (status == SOTTO_ERR_FORMAT && strstr(sotto_engine_error(the_engine()), t.name) != NULL));
    free(from);
    free(to);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const char *const names[][2] = {{"model.gguf", NULL},
                                         {"a.gguf", "b.gguf"},
                                         {"config.json", "model.safetensors"},
                                         {"ggml.bin", NULL},
                                         {"tokenizer.json", "model.gguf"}};
  if (size < HEAD) return 0;
  const char *const *name = names[bytes[1] % (sizeof names / sizeof *names)];
  const char *type = NULL;
  int32_t n_types = 0;
  while (sotto_quantize_type(n_types, NULL, NULL)) n_types++;
  REQUIRE(sotto_quantize_type(bytes[2] % n_types, &type, NULL));
  size_t first = (size_t)(bytes[3] | bytes[4] << 8);
  if (first > size - HEAD || name[1] == NULL) first = size - HEAD;
  const part parts[2] = {{name[0], bytes + HEAD, first}, {name[1], bytes + HEAD + first, size - HEAD - first}};

  sotto_engine *engine = the_engine();
  sotto_quantizer *q = NULL;
  sotto_quantize_options options = {.type = type, .imatrix = bytes + HEAD, .imatrix_bytes = size - HEAD};
  sotto_status status = sotto_quantizer_open(&q, engine, &options); /* hardly ever are these importances */
  REQUIRE((status < 0) == (q == NULL));
  sotto_quantizer_close(q);
  options.imatrix = NULL;
  REQUIRE(sotto_quantizer_open(&q, engine, &options) == SOTTO_OK);
  status = make_plan(q, parts, bytes[0] * 2654435761u);
  sotto_quantize_info info;
  sotto_quantizer_describe(q, &info);
  if (status == SOTTO_OK) {
    REQUIRE(info.out_bytes > 0 && info.n_tensors > 0 && info.format != NULL);
    check_cover(q, parts, info.out_bytes);
    convert_rows(q, parts);
  } else {
    REQUIRE(status < 0 && sotto_engine_error(engine)[0] != 0 && info.n_tensors == 0);
    int32_t file;
    uint64_t offset, n;
    REQUIRE(sotto_quantizer_wants(q, &file, &offset, &n) == status);
  }
  sotto_quantizer_close(q);
  return 0;
}
