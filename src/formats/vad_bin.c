#include "vad_bin.h"

#include <math.h>

#include "../quant/quant.h"
#include "foreign.h"

#define KIND "silero-16k"

enum { N_VERSION = 3, MAX_WANTS = 32, MAX_RANK = 3 };

typedef struct input {
  const uint8_t *at;
  size_t left;
  error *err;
} input;

/* The next n bytes; NULL: there are fewer. */
static const uint8_t *take(input *in, size_t n) {
  if (n > in->left) return NULL;
  const uint8_t *p = in->at;
  in->at += n;
  in->left -= n;
  return p;
}

static sotto_status truncated(const input *in, const char *where) {
  return fail(in->err, SOTTO_ERR_FORMAT,
              "the voice activity file ends inside %s: it is truncated; take a whole ggml-silero-*.bin", where);
}

static sotto_status corrupt(const input *in, const char *what, const char *name) {
  return fail(in->err, SOTTO_ERR_FORMAT, "%s %.63s in the voice activity file: it is corrupt; take another copy", what,
              name);
}

static sotto_status read_header(input *in, const int32_t *header, size_t n_header) {
  const uint8_t *p = take(in, 8);
  if (p == NULL) return truncated(in, "the header");
  if (memcmp(p, "lmgg", 4) != 0)
    return foreign_refuse(p, 8, "ggml", "voice activity is read from whisper.cpp's ggml-silero-*.bin files", in->err);
  const size_t n_kind = load_u32(p + 4);
  p = n_kind == strlen(KIND) ? take(in, n_kind) : in->at;
  if (p == NULL) return truncated(in, "the header");
  if (n_kind != strlen(KIND) || memcmp(p, KIND, n_kind) != 0)
    return fail(in->err, SOTTO_ERR_UNSUPPORTED,
                "this ggml file holds no voice activity network for 16 kHz; take a ggml-silero-*.bin");
  p = take(in, 4 * (N_VERSION + n_header));
  if (p == NULL) return truncated(in, "the header");
  p += 4 * N_VERSION;
  for (size_t i = 0; i < n_header; i++) {
    if (load_u32(p + 4 * i) != (uint32_t)header[i])
      return fail(in->err, SOTTO_ERR_UNSUPPORTED,
                  "this voice activity network has another shape (number %d of its header is %d, not %d); take version "
                  "5 or 6 of Silero VAD",
                  (int)i, (int)load_u32(p + 4 * i), (int)header[i]);
  }
  return SOTTO_OK;
}

static const vad_bin_want *find(const vad_bin_want *wants, size_t n, const uint8_t *name, size_t n_name) {
  for (size_t i = 0; i < n; i++)
    if (strlen(wants[i].name) == n_name && memcmp(wants[i].name, name, n_name) == 0) return &wants[i];
  return NULL;
}

/* One tensor: head, dimensions (innermost first), name, data. */
static sotto_status read_tensor(input *in, const vad_bin_want *wants, size_t n_wants, uint32_t *seen) {
  const uint8_t *p = take(in, 12);
  if (p == NULL) return truncated(in, "the head of a tensor");
  const uint32_t rank = load_u32(p), n_name = load_u32(p + 4), type = load_u32(p + 8);
  if (rank > MAX_RANK || n_name > 63 || (type != DTYPE_F32 && type != DTYPE_F16))
    return corrupt(in, "there is an impossible tensor", "");
  const uint8_t *dims = take(in, 4 * (size_t)rank), *name = dims != NULL ? take(in, n_name) : NULL;
  if (name == NULL) return truncated(in, "the head of a tensor");
  const vad_bin_want *want = find(wants, n_wants, name, n_name);
  if (want == NULL) return corrupt(in, "there is a tensor that does not belong", "");
  const uint32_t bit = 1u << (want - wants);
  if (*seen & bit) return corrupt(in, "there is twice the tensor", want->name);
  *seen |= bit;

  size_t n = 1;
  for (uint32_t i = 0; i < MAX_RANK; i++) { /* wanted without the dimensions of 1 in front */
    const uint32_t have = i < rank ? load_u32(dims + 4 * i) : 1;
    if (have != (uint32_t)want->dims[MAX_RANK - 1 - i]) return corrupt(in, "there is another shape of", want->name);
    n *= have;
  }
  const size_t width = dtype_block_bytes(type);
  const uint8_t *data = take(in, n * width);
  if (data == NULL) return truncated(in, want->name);
  for (size_t i = 0; i < n; i++) {
    want->out[i] = type == DTYPE_F32 ? load_f32(data + i * width) : f16_to_f32(load_u16(data + i * width));
    if (!isfinite(want->out[i])) return corrupt(in, "a value is no number in", want->name);
  }
  return SOTTO_OK;
}

sotto_status vad_bin_read(const void *bytes, size_t size, const int32_t *header, size_t n_header,
                          const vad_bin_want *wants, size_t n, error *err) {
  input in = {bytes, size, err};
  uint32_t seen = 0;
  if (n > MAX_WANTS) return fail(err, SOTTO_ERR_ARGUMENT, "%d tensors are too many", (int)n);
  TRY(read_header(&in, header, n_header));
  while (in.left > 0) TRY(read_tensor(&in, wants, n, &seen));
  for (size_t i = 0; i < n; i++)
    if (!(seen >> i & 1)) return truncated(&in, "the tensors");
  return SOTTO_OK;
}
