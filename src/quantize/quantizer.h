/* Inside of a quantizer: the files as they are announced, and the plan that comes of their heads.
 *
 *     files ──ranges wanted, given──> readers of heads ──plan_*──> pieces (bytes of the output) and tensors (rows to convert)
 *                                                                        rows.c ──> rows of the output
 *
 * quantizer.c asks for ranges and feeds the readers; each kind of source has a file that makes the plan: from_gemma.c and from_gguf.c a GGUF file,
 * from_whisper.c and from_bin.c a ggml .bin file. */
#ifndef SOTTO_QUANTIZER_H
#define SOTTO_QUANTIZER_H

#include "../base/pool.h"
#include "../formats/ggml_bin.h"
#include "../formats/gguf.h"
#include "../formats/json.h"
#include "../formats/safetensors.h"
#include "../base/byte_list.h"
#include "imatrix.h"
#include "recipe.h"

enum { QUANTIZER_MAX_WARNINGS = 8 };

struct whisper;
struct whisper_slot;

typedef enum source_kind {
  SOURCE_OTHER, /* passed over */
  SOURCE_TEXT,  /* read whole */
  SOURCE_SAFETENSORS,
  SOURCE_GGUF,
  SOURCE_BIN
} source_kind;

typedef struct source_file {
  char *name;
  uint64_t bytes;
  source_kind kind;
  bool needed;
  uint64_t at, want; /* the range that comes next; want 0: nothing more */
  byte_list text;
  safetensors *safetensors;
  gguf *gguf;
  bool head_read; /* of the two above */
} source_file;

typedef struct planned_tensor {
  const char *name; /* in quantizer.names, from name_at on */
  size_t name_at;
  int32_t file;
  uint64_t offset, bytes;
  uint32_t source_type, type;
  int64_t rows, cols;
  uint64_t out_offset, out_bytes;
  bool plus_one; /* the source stores weights less 1 */
  const float *importance;
} planned_tensor;

typedef struct planned_piece {
  uint64_t out_offset;
  size_t at, n; /* in quantizer.literal */
} planned_piece;

/* What a Whisper's .bin file says before its tensors. */
typedef struct bin_head {
  ggml_bin_header header;
  byte_list filters, vocabulary; /* as in the file, with the counts before them */
} bin_head;

typedef struct bin_tensor { /* of a .bin source */
  ggml_bin_tensor t;
  uint64_t offset;
} bin_tensor;

typedef struct quantizer {
  pool *threads;
  const recipe *recipe;
  bool fast;
  char *name;
  char **patterns; /* [n_overrides] */
  uint32_t *types;
  size_t n_overrides;
  imatrix *importances; /* NULL: none */

  source_file *files; /* [n_files] */
  size_t n_files, file_capacity;
  enum { FROM_NOTHING, FROM_FOLDER, FROM_GGUF, FROM_BIN } from;
  bool chosen; /* which files are needed is known */

  /* of a .bin source */
  ggml_bin *bin;
  bin_head bin_head;
  bin_tensor *bin_tensors; /* [n_bin_tensors] */
  size_t n_bin_tensors, bin_capacity;
  uint64_t bin_at; /* where the next tensor's head begins */
  bool mixed_bin;  /* patterns gave the output's matrices several types */

  /* the plan */
  bool planned;
  const char *format;
  char architecture[32], model_name[128];
  byte_list names, literal;
  planned_tensor *tensors; /* [n_tensors] */
  size_t n_tensors, tensor_capacity;
  planned_piece *pieces; /* [n_pieces] */
  size_t n_pieces, piece_capacity;
  uint64_t out_bytes;
  char warnings[QUANTIZER_MAX_WARNINGS][240];
  int32_t n_warnings;
} quantizer;

/* ---- quantizer.c ---- */

sotto_status quantizer_open(quantizer **out, pool *threads, const sotto_quantize_options *options, error *err);
void quantizer_close(quantizer *q);
int32_t quantizer_file(quantizer *q, const char *name, uint64_t bytes, error *err);
sotto_status quantizer_wants(quantizer *q, int32_t *file, uint64_t *offset, uint64_t *bytes, error *err);
sotto_status quantizer_give(quantizer *q, int32_t file, uint64_t offset, const void *bytes, size_t n, error *err);

/* The file of this name that was read whole; NULL: there is none. */
const source_file *quantizer_text(const quantizer *q, const char *name);
void quantizer_warn(quantizer *q, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- plan.c: what the makers of plans use ---- */

sotto_status plan_no_memory(error *err);
/* The type of a matrix in the output: that of the last pattern that matches, or `otherwise`; fit to rows of `cols`. */
uint32_t plan_type(const quantizer *q, const char *name, int64_t cols, uint32_t otherwise);
/* Takes a tensor into the plan, behind what is there; sizes of the output and importance are filled in. The name is copied.
 * Errors: FORMAT (rows that the type cannot hold, importances of another shape), MEMORY. */
sotto_status plan_tensor(quantizer *q, const planned_tensor *t, error *err);
/* The output goes on with these bytes. Errors: MEMORY. */
sotto_status plan_piece(quantizer *q, const void *bytes, size_t n, error *err);
/* And with zeros up to a multiple of `alignment`. */
sotto_status plan_padding(quantizer *q, size_t alignment, error *err);
/* Names are in their places, warnings of what was planned are made. */
sotto_status plan_end(quantizer *q, error *err);

sotto_status plan_from_folder(quantizer *q, error *err);
sotto_status plan_from_gguf(quantizer *q, error *err);
sotto_status plan_from_bin(quantizer *q, error *err);

/* from_folder.c: of the two kinds; `config` is config.json. */
sotto_status plan_from_gemma(quantizer *q, error *err);
sotto_status plan_from_whisper(quantizer *q, const json *config, error *err);
/* The tensor of this name in the safetensors files, by whichever of the usual prefixes; NULL: there is none. *file: where it is. */
const file_tensor *plan_find_tensor(const quantizer *q, const char *name, int32_t *file);

/* from_bin.c: the reader of the source, which fills bin_head and bin_tensors. NULL: no memory. */
ggml_bin *plan_bin_reader(quantizer *q);
/* An empty Whisper whose sizes are those of bin_head.header, for its list of tensors. NULL: *err says why. */
struct whisper *plan_bin_model(const quantizer *q, error *err);
/* The output's beginning, and a tensor of it: *p says where the source lies, of which type. */
sotto_status plan_bin_head(quantizer *q, error *err);
sotto_status plan_bin_slot(quantizer *q, const struct whisper_slot *s, planned_tensor *p, error *err);

/* rows.c: rows [first, first + n) of a tensor. Errors: FORMAT. */
sotto_status quantizer_rows(quantizer *q, const planned_tensor *t, int64_t first, int64_t n, const uint8_t *source,
                            uint8_t *out, error *err);

#endif
