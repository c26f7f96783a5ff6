#include "foreign.h"

typedef struct foreign {
  size_t at, n;
  const char *bytes, *what;
  bool advise; /* the sentence goes on with what to give instead */
} foreign;

static const foreign foreigners[] = {
    {0, 4, "GGUF", "this is a GGUF file", true},
    {0, 4, "lmgg", "this is a ggml .bin file, as of a Whisper model", true},
    {0, 4, "tjgg", "this is a language model in an old llama.cpp format", true},
    {0, 4, "fmgg", "this is a language model in an old llama.cpp format", true},
    {0, 4, "ggml", "this ggml file has its bytes in big-endian order", true},
    {0, 4, "FUGG", "this GGUF file has its bytes in big-endian order", true},
    {0, 4, "PK\3\4", "this is a zip archive, perhaps a PyTorch checkpoint (.pt, pytorch_model.bin)", true},
    {0, 2, "\x80\2", "this is a PyTorch checkpoint", true},
    {4, 4, "TFL3", "this is a TensorFlow Lite model", true},
    {0, 7, "\x89HDF\r\n\x1a", "this is an HDF5 file", true},
    {0, 2, "\x1f\x8b", "this file is compressed with gzip; unpack it and give what was inside", false},
    {0, 4, "\x28\xb5\x2f\xfd", "this file is compressed with zstd; unpack it and give what was inside", false},
    {0, 12, "version http", "this is a Git LFS pointer, not the model itself; run `git lfs pull`, or download the file",
     false},
    {0, 4, "RIFF", "this is a sound file, not a model; were the two swapped?", false},
    {0, 4, "OggS", "this is a sound file, not a model; were the two swapped?", false},
    {0, 4, "fLaC", "this is a sound file, not a model; were the two swapped?", false},
    {0, 3, "ID3", "this is a sound file, not a model; were the two swapped?", false},
    {4, 4, "ftyp", "this is a sound or video file, not a model; were the two swapped?", false},
};

sotto_status foreign_refuse(const void *bytes, size_t n, const char *wanted, const char *advice, error *err) {
  const uint8_t *p = bytes;
  if (n == 0) return fail(err, SOTTO_ERR_FORMAT, "the model file is empty; download it again");
  for (size_t i = 0; i < sizeof foreigners / sizeof *foreigners; i++) {
    const foreign *f = &foreigners[i];
    if (n >= f->at + f->n && memcmp(p + f->at, f->bytes, f->n) == 0)
      return fail(err, SOTTO_ERR_FORMAT, "%s%s%s", f->what, f->advise ? "; " : "", f->advise ? advice : "");
  }

  size_t i = n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* byte order mark */
  while (i < n && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t')) i++;
  if (i < n && p[i] == '<')
    return fail(err, SOTTO_ERR_FORMAT,
                "this is a web page, not a model; the address led to a page or an error: download the file itself");
  if (i < n && (p[i] == '{' || p[i] == '['))
    return fail(err, SOTTO_ERR_FORMAT, "this is JSON text, not a model; %s", advice);
  if (n >= 10 && p[8] == '{' && p[5] == 0 && p[6] == 0 && p[7] == 0) /* length of the JSON that follows */
    return fail(err, SOTTO_ERR_FORMAT, "this is a safetensors file; %s", advice);
  if (n >= 4 && p[0] == 8 && p[1] > 0 && p[1] < 32 && (p[2] == 0x12 || p[2] == 0x1a || p[2] == 0x3a))
    return fail(err, SOTTO_ERR_FORMAT, "this is an ONNX model; %s", advice); /* protobuf: IR version, then a string */

  size_t zeros = 0;
  while (zeros < n && p[zeros] == 0) zeros++;
  if (zeros == n)
    return fail(err, SOTTO_ERR_FORMAT,
                "the model file begins with zeros: its download did not finish; download it again");
  uint8_t head[4] = {0};
  memcpy(head, p, min_size(n, 4));
  return fail(err, SOTTO_ERR_FORMAT, "this is not a %s file (it begins with %02x %02x %02x %02x); %s", wanted, head[0],
              head[1], head[2], head[3], advice);
}
