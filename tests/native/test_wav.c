/* The WAV reader against files made here: every sample type and header kind, in pieces of all sizes; lying and hostile
 * headers; truncation at every byte. */
#include "check.h"

enum { N_FRAME = 37, MOST = 8192 };

typedef struct bytes {
  uint8_t at[MOST];
  size_t n;
} bytes;

static void put(bytes *b, const void *p, size_t n) {
  memcpy(b->at + b->n, p, n);
  b->n += n;
}
static void put_uint(bytes *b, uint64_t v, size_t width) {
  for (size_t i = 0; i < width; i++) b->at[b->n++] = i < 8 ? (uint8_t)(v >> (8 * i)) : 0;
}

static uint32_t size_u32(size_t n) { return (uint32_t)n; }

/* ---- files ---- */

typedef struct kind {
  const char *name;
  int tag, bits;
  double tolerance; /* of a value in [-1, 1) */
} kind;

static const kind KINDS[] = {
    {"8 bit", 1, 8, 1.0 / 128}, {"16 bit", 1, 16, 1.0 / 32768}, {"24 bit", 1, 24, 1e-6},
    {"32 bit", 1, 32, 1e-7},    {"12 bit", 1, 12, 1.0 / 2048},  {"float", 3, 32, 0},
    {"double", 3, 64, 0},       {"A-law", 6, 8, 0.04},          {"mu-law", 7, 8, 0.04},
};
enum { N_KIND = sizeof KINDS / sizeof *KINDS };

typedef struct spec {
  kind kind;
  int channels;
  bool extensible, wide, odd_chunks, trailer;
  bool claims; /* the sizes below stand in the header instead of the true ones */
  uint32_t riff_size, data_size;
} spec;

/* The code whose meaning by G.711 is nearest: found by trying, independently of how the reader computes it. */
static double g711(int tag, int code) {
  if (tag == 7) {
    int c = ~code & 255, t = (((c & 15) << 3) + 132) << (c >> 4 & 7);
    return (c & 128 ? 132 - t : t - 132) / 32768.0;
  }
  int c = code ^ 0x55, t = (c & 15) << 4, segment = c >> 4 & 7;
  t = segment == 0 ? t + 8 : segment == 1 ? t + 0x108 : (t + 0x108) << (segment - 1);
  return (c & 128 ? t : -t) / 32768.0;
}

static void put_sample(bytes *b, kind k, float x) {
  if (k.tag == 3 && k.bits == 32) {
    put(b, &x, 4);
  } else if (k.tag == 3) {
    double d = (double)x;
    put(b, &d, 8);
  } else if (k.tag != 1) {
    int best = 0;
    for (int code = 1; code < 256; code++)
      if (fabs(g711(k.tag, code) - (double)x) < fabs(g711(k.tag, best) - (double)x)) best = code;
    put_uint(b, (uint64_t)best, 1);
  } else {
    int width = (k.bits + 7) / 8;
    int64_t v = (int64_t)floor((double)x * (double)(1LL << (k.bits - 1)));
    v *= 1 << (8 * width - k.bits); /* left-justified in its bytes */
    put_uint(b, (uint64_t)(k.bits <= 8 ? v + 128 : v), (size_t)width);
  }
}

static void make_file(bytes *b, const spec *s, const float *samples) {
  static const uint8_t TAIL[14] = {0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71};
  size_t sample_bytes = (size_t)(s->kind.bits + 7) / 8, frame_bytes = sample_bytes * (size_t)s->channels;
  size_t data_bytes = frame_bytes * N_FRAME, ds64_at = 0;
  b->n = 0;
  put(b, s->wide ? "RF64" : "RIFF", 4);
  put_uint(b, 0, 4);
  put(b, "WAVE", 4);
  if (s->wide) {
    put(b, "ds64\x1c\0\0\0", 8);
    ds64_at = b->n;
    put_uint(b, 0, 28);
  }
  if (s->odd_chunks) put(b, "JUNK\x03\0\0\0abc", 12); /* with its pad byte */
  put(b, "fmt ", 4);
  put_uint(b, s->extensible ? 40 : 16, 4);
  put_uint(b, s->extensible ? 0xFFFE : (uint64_t)s->kind.tag, 2);
  put_uint(b, (uint64_t)s->channels, 2);
  put_uint(b, 44100, 4);
  put_uint(b, 44100 * frame_bytes, 4);
  put_uint(b, frame_bytes, 2);
  put_uint(b, (uint64_t)s->kind.bits, 2);
  if (s->extensible) {
    put_uint(b, 22, 2);
    put_uint(b, (uint64_t)s->kind.bits, 2);
    put_uint(b, 0, 4);
    put_uint(b, (uint64_t)s->kind.tag, 2);
    put(b, TAIL, sizeof TAIL);
  }
  if (s->odd_chunks) put(b, "LIST\x05\0\0\0abcde", 14);
  put(b, "data", 4);
  put_uint(b, s->wide ? 0xFFFFFFFF : s->claims ? s->data_size : size_u32(data_bytes), 4);
  for (int i = 0; i < N_FRAME * s->channels; i++) put_sample(b, s->kind, samples[i]);
  if (s->trailer) {
    if (data_bytes & 1) put_uint(b, 0, 1);
    put(b, "LIST\x04\0\0\0\x7f\x7f\x7f\x7f", 12);
  }
  bytes sizes = {.n = 0};
  put_uint(&sizes, s->wide ? 0xFFFFFFFF : s->claims ? s->riff_size : size_u32(b->n - 8), 4);
  memcpy(b->at + 4, sizes.at, 4);
  if (s->wide) {
    sizes.n = 0;
    put_uint(&sizes, b->n - 8, 8);
    put_uint(&sizes, data_bytes, 8);
    put_uint(&sizes, N_FRAME, 8);
    memcpy(b->at + ds64_at, sizes.at, 24);
  }
}

/* ---- reading ---- */

/* Reads in pieces of `piece` bytes, each in memory of its own size, into at most `capacity` floats at once. */
static sotto_status read_all(const uint8_t *file, size_t n, size_t piece, size_t capacity, float *out, size_t *n_out,
                             sotto_wav_format *format, char text[512]) {
  sotto_wav *w;
  sotto_status status = sotto_wav_open(&w);
  *n_out = 0;
  memset(format, 0, sizeof *format);
  for (size_t at = 0; at < n && status == SOTTO_OK;) {
    size_t size = min_size(piece, n - at), taken, written, used = 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, file + at, size);
    do {
      float *room = malloc(capacity * sizeof *room + 1);
      status = sotto_wav_read(w, copy + used, size - used, &taken, room, capacity, &written);
      if (*n_out + written <= MOST) memcpy(out + *n_out, room, written * sizeof *room);
      *n_out += written;
      used += taken;
      free(room);
    } while (status == SOTTO_OK && (used < size || written > 0));
    at += used;
    free(copy);
  }
  size_t taken, written;
  if (status == SOTTO_OK) status = sotto_wav_read(w, NULL, 0, &taken, NULL, 0, &written);
  if (sotto_wav_format_of(w)) *format = *sotto_wav_format_of(w);
  strcpy(text, sotto_wav_error(w));
  CHECK((status < 0) == (text[0] != 0));
  sotto_wav_close(w);
  return status;
}

static float samples[N_FRAME * 32];
static bytes file;
static float got[MOST];
static size_t n_got;
static sotto_wav_format format;
static char text[512];

static sotto_status read_file_made(size_t piece, size_t capacity) {
  return read_all(file.at, file.n, piece, capacity, got, &n_got, &format, text);
}

static void reads_every_kind_in_any_pieces(void) {
  static const int CHANNELS[] = {1, 2, 3, 32};
  for (int k = 0; k < N_KIND; k++)
    for (int variant = 0; variant < 16; variant++)
      for (int c = 0; c < (variant == 0 ? 4 : 3); c++) {
        spec s = {.kind = KINDS[k],
                  .channels = CHANNELS[c],
                  .extensible = variant & 1,
                  .wide = variant & 2,
                  .odd_chunks = variant & 4,
                  .trailer = variant & 8};
        if (c == 3 && s.kind.bits > 32) continue; /* would not fit */
        make_file(&file, &s, samples);
        size_t n = (size_t)(N_FRAME * s.channels);
        if (!CHECK(read_file_made(file.n, MOST) == SOTTO_OK && n_got == n))
          printf("%s %d: %s\n", s.kind.name, variant, text);
        CHECK(format.rate == 44100 && format.channels == s.channels && format.bits == s.kind.bits);
        CHECK(format.is_float == (s.kind.tag == 3) && format.n_frames == N_FRAME);
        double worst = 0;
        for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)got[i] - (double)samples[i]));
        CHECK_NEAR(worst, 0, s.kind.tolerance);
        static float whole[MOST];
        memcpy(whole, got, n * sizeof *whole);
        for (size_t piece = 1; piece < 64; piece += piece < 20 ? 1 : 11) {
          CHECK(read_file_made(piece, piece & 1 ? MOST : (size_t)s.channels) == SOTTO_OK && n_got == n);
          CHECK(memcmp(got, whole, n * sizeof *whole) == 0);
        }
      }
}

static void knows_g711(void) {
  for (int tag = 6; tag <= 7; tag++) {
    spec s = {.kind = {"", tag, 8, 0}, .channels = 1};
    for (int code = 0; code < 256; code++) {
      make_file(&file, &s, samples);
      file.at[file.n - 1] = (uint8_t)code;
      CHECK(read_file_made(file.n, MOST) == SOTTO_OK);
      CHECK_NEAR(got[N_FRAME - 1], g711(tag, code), 1e-7);
    }
  }
}

static void reads_what_is_there(void) {
  /* sizes that are unknown, never completed, too large; with a riff size that says the same */
  static const uint32_t CLAIMS[][2] = {{0xFFFFFFFF, 0xFFFFFFFF}, {0, 0},         {36, 0}, {36, 0xFFFFFFFF},
                                       {0x7FFFFFFF, 0x7FFFFFF0}, {0xFFFFFFFF, 0}};
  for (size_t i = 0; i < sizeof CLAIMS / sizeof *CLAIMS; i++)
    for (int k = 0; k < N_KIND; k++) {
      spec s = {.kind = KINDS[k], .channels = 2, .claims = true, .riff_size = CLAIMS[i][0], .data_size = CLAIMS[i][1]};
      make_file(&file, &s, samples);
      CHECK(read_file_made(7, MOST) == SOTTO_OK && n_got == 2 * N_FRAME);
      if (i != 4) CHECK(format.n_frames == 0);
    }
  /* no samples, and chunks behind */
  spec s = {.kind = KINDS[1], .channels = 2, .trailer = true};
  make_file(&file, &s, samples);
  memset(file.at + 40, 0, 4);
  CHECK(read_file_made(file.n, MOST) == SOTTO_OK && n_got == 0);
  /* a size in the middle of a frame: whole frames only */
  file.at[40] = 7;
  CHECK(read_file_made(3, MOST) == SOTTO_OK && n_got == 2 && format.n_frames == 1);
  /* a block size of 0 is not needed */
  make_file(&file, &s, samples);
  file.at[32] = 0;
  CHECK(read_file_made(file.n, MOST) == SOTTO_OK && n_got == 2 * N_FRAME);
  /* floats that are none */
  spec f = {.kind = KINDS[5], .channels = 1};
  make_file(&file, &f, samples);
  const float none[3] = {NAN, INFINITY, -INFINITY};
  memcpy(file.at + 44, none, sizeof none);
  CHECK(read_file_made(file.n, MOST) == SOTTO_OK && got[0] == 0 && got[1] == 0 && got[2] == 0);
}

static void truncated_anywhere(void) {
  static bytes whole;
  for (int variant = 0; variant < 8; variant++) {
    spec s = {.kind = KINDS[variant],
              .channels = 2,
              .extensible = variant & 1,
              .wide = variant & 2,
              .odd_chunks = variant & 4};
    make_file(&whole, &s, samples);
    size_t frame_bytes = (size_t)(s.kind.bits + 7) / 8 * 2, data_at = whole.n - frame_bytes * N_FRAME;
    for (size_t n = 0; n < whole.n; n++) {
      sotto_status status = read_all(whole.at, n, 5, MOST, got, &n_got, &format, text);
      CHECK(status == (n < data_at ? SOTTO_ERR_FORMAT : SOTTO_OK));
      CHECK(n_got == (n < data_at ? 0 : (n - data_at) / frame_bytes * 2));
    }
  }
}

static void refuses(size_t at, uint32_t value, size_t width, sotto_status status, const char *says) {
  spec s = {.kind = KINDS[1], .channels = 2};
  make_file(&file, &s, samples);
  for (size_t i = 0; i < width; i++) file.at[at + i] = (uint8_t)(value >> (8 * i));
  if (!CHECK(read_file_made(11, MOST) == status && strstr(text, says))) printf("%zu: %s\n", at, text);
}

static void refuses_damaged_and_foreign_files(void) {
  refuses(22, 0, 2, SOTTO_ERR_FORMAT, "0 channels");
  refuses(22, 33, 2, SOTTO_ERR_UNSUPPORTED, "33 channels");
  refuses(24, 0, 4, SOTTO_ERR_FORMAT, "sample rate of 0");
  refuses(24, 0x80000000, 4, SOTTO_ERR_FORMAT, "sample rate");
  refuses(34, 0, 2, SOTTO_ERR_UNSUPPORTED, "0 bits");
  refuses(34, 33, 2, SOTTO_ERR_UNSUPPORTED, "33 bits");
  refuses(32, 5, 2, SOTTO_ERR_FORMAT, "frames of 5 bytes");
  refuses(20, 0x55, 2, SOTTO_ERR_UNSUPPORTED, "MP3");
  refuses(20, 0x11, 2, SOTTO_ERR_UNSUPPORTED, "IMA ADPCM");
  refuses(20, 0x1234, 2, SOTTO_ERR_UNSUPPORTED, "0x1234");
  refuses(20, 0xFFFE, 2, SOTTO_ERR_FORMAT, "extensible");
  refuses(16, 15, 4, SOTTO_ERR_FORMAT, "too short");
  refuses(12, 0x41414141, 4, SOTTO_ERR_FORMAT, "no fmt chunk");
  refuses(36, 0x41414141, 4, SOTTO_ERR_FORMAT, "cut off"); /* no data chunk */
  refuses(0, 0x41414141, 4, SOTTO_ERR_FORMAT, "not a WAV file");

  spec s = {.kind = KINDS[1], .channels = 2, .extensible = true};
  make_file(&file, &s, samples);
  file.at[20 + 30] ^= 1;
  CHECK(read_file_made(11, MOST) == SOTTO_ERR_UNSUPPORTED && strstr(text, "extensible"));

  static const struct {
    const char *start, *says;
  } FOREIGN[] = {
      {"ID3\x04zzzzzzzzzzzz", "MP3"},
      {"\xFF\xFBzzzzzzzzzzzzzz", "MP3"},
      {"\xFF\xF1zzzzzzzzzzzzzz", "AAC"},
      {"fLaCzzzzzzzzzzzz", "FLAC"},
      {"OggSzzzzzzzzzzzz", "Ogg"},
      {"zzzzftypM4A zzzz", "MP4"},
      {"\x1A\x45\xDF\xA3zzzzzzzzzzzz", "WebM"},
      {"FORMzzzzAIFFzzzz", "AIFF"},
      {"RIFXzzzzWAVEzzzz", "RIFX"},
      {"RIFFzzzzAVI zzzz", "AVI"},
      {"cafffzzzzzzzzzzz", "CAF"},
      {"riff\x2E\x91\xCFzzzzzzzzz", "Wave64"},
      {"{\"error\": \"no\"}}", "not a WAV file"},
  };
  for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++) {
    sotto_status status = read_all((const uint8_t *)FOREIGN[i].start, 16, 3, MOST, got, &n_got, &format, text);
    if (!CHECK(status < 0 && strstr(text, FOREIGN[i].says))) printf("%s: %s\n", FOREIGN[i].says, text);
  }
  CHECK(read_all(file.at, 0, 1, MOST, got, &n_got, &format, text) == SOTTO_ERR_FORMAT && strstr(text, "empty"));
}

static void keeps_its_error_and_its_place(void) {
  sotto_wav *w;
  size_t taken, written;
  float room[8];
  CHECK(sotto_wav_open(&w) == SOTTO_OK);
  CHECK(sotto_wav_read(w, "this is no audio", 16, &taken, room, 8, &written) == SOTTO_ERR_FORMAT);
  CHECK(sotto_wav_read(w, "RIFF", 4, &taken, room, 8, &written) == SOTTO_ERR_FORMAT && taken == 0);
  CHECK(sotto_wav_format_of(w) == NULL);
  sotto_wav_close(w);

  /* no room for a frame: an error that does not last */
  spec s = {.kind = KINDS[1], .channels = 3};
  make_file(&file, &s, samples);
  CHECK(sotto_wav_open(&w) == SOTTO_OK);
  CHECK(sotto_wav_read(w, file.at, file.n, &taken, room, 0, &written) == SOTTO_OK && taken == 44 && written == 0);
  CHECK(sotto_wav_format_of(w) != NULL);
  CHECK(sotto_wav_read(w, file.at + 44, 12, &taken, room, 2, &written) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_wav_read(w, file.at + 44, 12, &taken, room, 8, &written) == SOTTO_OK && taken == 12 && written == 6);
  sotto_wav_close(w);
  sotto_wav_close(NULL);
}

int main(void) {
  random_state random = {5};
  random_fill(&random, samples, N_FRAME * 32, -1, 1);
  reads_every_kind_in_any_pieces();
  knows_g711();
  reads_what_is_there();
  truncated_anywhere();
  refuses_damaged_and_foreign_files();
  keeps_its_error_and_its_place();
  return check_end();
}
