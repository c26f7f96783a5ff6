/* The forward pass of Silero VAD. It is small (some 0.7 million products a frame), so it is plain f32 on one thread, of every backend alike.
 *
 *     samples [64 + 512 + 64]              the last 64 mirrored at the end
 *       │ windows of 256, hop 128, · basis ─> re, im [4, 258] ─> magnitude [4, 129]
 *       │ conv k3 s1, ReLU   [4, 128]
 *       │ conv k3 s2, ReLU   [2, 64]
 *       │ conv k3 s2, ReLU   [1, 64]
 *       │ conv k3 s1, ReLU   [128]
 *       │ LSTM               h, c [128]
 *       │ ReLU, · w + b, sigmoid
 *     probability
 *
 * As in whisper.c a convolution is a linear map of overlapping rows, between zero rows at each end. Weights are kept with their outputs side
 * by side, so that the inner loop runs over outputs: compilers make SIMD of it without changing the order of any sum. */
#include "vad.h"

#include <math.h>

#include "../formats/vad_bin.h"

enum {
  CONTEXT = 64, /* samples of the frame before */
  MIRROR = 64,
  N_FFT = 256,
  HOP = 128,
  N_TIMES = 4,
  N_BINS = N_FFT / 2 + 1,
  N_STATE = 128,
  N_GATES = 4 * N_STATE,
  N_CONV = 4,
};

typedef struct conv_shape {
  int32_t in, out, stride, n_in; /* channels, channels, hop, rows of the input */
} conv_shape;

static const conv_shape shapes[N_CONV] = {{N_BINS, 128, 1, 4}, {128, 64, 2, 4}, {64, 64, 2, 2}, {64, N_STATE, 1, 1}};

static const int32_t header[] = {VAD_FRAME, CONTEXT, N_CONV, N_BINS, 128, 3,       128,     64,      3, 64,
                                 64,        3,       64,     128,    3,   N_STATE, N_STATE, N_STATE, 1};

struct vad {
  float basis[N_FFT * 2 * N_BINS]; /* [N_FFT, 2 * N_BINS] */
  float conv0[3 * N_BINS * 128];   /* [3 * in, out], as the three that follow */
  float conv1[3 * 128 * 64], conv2[3 * 64 * 64], conv3[3 * 64 * N_STATE];
  float bias[N_CONV][N_STATE];
  float gates[2 * N_STATE * N_GATES]; /* [input and h, N_GATES]; gates: in, forget, cell, out */
  float gate_bias[N_GATES];
  float out[N_STATE], out_bias;
  /* state */
  float context[CONTEXT];
  float input[2 * N_STATE]; /* of the LSTM: what the convolutions give, then h */
  float cell[N_STATE];
};

/* ---- loading ---- */

/* What the file holds, in its own order. */
typedef struct raw_weights {
  float basis[2 * N_BINS * N_FFT];                           /* [2 * N_BINS, N_FFT] */
  float conv[N_CONV][3 * N_BINS * 128];                      /* [out, in, 3] */
  float input[N_GATES * N_STATE], hidden[N_GATES * N_STATE]; /* [N_GATES, N_STATE] */
  float input_bias[N_GATES], hidden_bias[N_GATES];
} raw_weights;

/* to[in, out] from `from` [out, in]. */
static void transpose(float *to, const float *from, int32_t n_out, int32_t n_in) {
  for (int32_t o = 0; o < n_out; o++)
    for (int32_t i = 0; i < n_in; i++) to[i * n_out + o] = from[o * n_in + i];
}

/* to[3, in, out] from `from` [out, in, 3]. */
static void transpose_conv(float *to, const float *from, const conv_shape *s) {
  for (int32_t o = 0; o < s->out; o++)
    for (int32_t i = 0; i < s->in; i++)
      for (int32_t tap = 0; tap < 3; tap++) to[(tap * s->in + i) * s->out + o] = from[(o * s->in + i) * 3 + tap];
}

static sotto_status load(vad *v, raw_weights *raw, const void *bytes, size_t size, error *err) {
  const vad_bin_want wants[] = {
      {"_model.stft.forward_basis_buffer", {2 * N_BINS, 1, N_FFT}, raw->basis},
      {"_model.encoder.0.reparam_conv.weight", {128, N_BINS, 3}, raw->conv[0]},
      {"_model.encoder.0.reparam_conv.bias", {1, 1, 128}, v->bias[0]},
      {"_model.encoder.1.reparam_conv.weight", {64, 128, 3}, raw->conv[1]},
      {"_model.encoder.1.reparam_conv.bias", {1, 1, 64}, v->bias[1]},
      {"_model.encoder.2.reparam_conv.weight", {64, 64, 3}, raw->conv[2]},
      {"_model.encoder.2.reparam_conv.bias", {1, 1, 64}, v->bias[2]},
      {"_model.encoder.3.reparam_conv.weight", {N_STATE, 64, 3}, raw->conv[3]},
      {"_model.encoder.3.reparam_conv.bias", {1, 1, N_STATE}, v->bias[3]},
      {"_model.decoder.rnn.weight_ih", {1, N_GATES, N_STATE}, raw->input},
      {"_model.decoder.rnn.weight_hh", {1, N_GATES, N_STATE}, raw->hidden},
      {"_model.decoder.rnn.bias_ih", {1, 1, N_GATES}, raw->input_bias},
      {"_model.decoder.rnn.bias_hh", {1, 1, N_GATES}, raw->hidden_bias},
      {"_model.decoder.decoder.2.weight", {1, 1, N_STATE}, v->out},
      {"_model.decoder.decoder.2.bias", {1, 1, 1}, &v->out_bias},
  };
  TRY(vad_bin_read(bytes, size, header, sizeof header / sizeof *header, wants, sizeof wants / sizeof *wants, err));
  float *const convs[N_CONV] = {v->conv0, v->conv1, v->conv2, v->conv3};
  transpose(v->basis, raw->basis, 2 * N_BINS, N_FFT);
  for (int32_t i = 0; i < N_CONV; i++) transpose_conv(convs[i], raw->conv[i], &shapes[i]);
  transpose(v->gates, raw->input, N_GATES, N_STATE);
  transpose(v->gates + N_STATE * N_GATES, raw->hidden, N_GATES, N_STATE);
  for (int32_t i = 0; i < N_GATES; i++) v->gate_bias[i] = raw->input_bias[i] + raw->hidden_bias[i];
  return SOTTO_OK;
}

sotto_status vad_open(vad **out, const void *bytes, size_t size, error *err) {
  *out = NULL;
  vad *v = mem_alloc(1, sizeof *v);
  raw_weights *raw = mem_alloc(1, sizeof *raw);
  const sotto_status status = v != NULL && raw != NULL
                                  ? load(v, raw, bytes, size, err)
                                  : fail(err, SOTTO_ERR_MEMORY, "out of memory for the voice activity network");
  mem_free(raw);
  if (status == SOTTO_OK)
    *out = v;
  else
    mem_free(v);
  return status;
}

void vad_close(vad *v) { mem_free(v); }

void vad_reset(vad *v) {
  memset(v->context, 0, sizeof v->context);
  memset(v->input, 0, sizeof v->input);
  memset(v->cell, 0, sizeof v->cell);
}

/* ---- forward pass ---- */

/* y[rows, n_out] = bias + x · w: row r of x is n_in floats from x + r * hop on; w [n_in, n_out]; bias [n_out] or NULL. */
static void linear(float *restrict y, const float *restrict x, int32_t rows, int32_t hop, const float *restrict w,
                   const float *restrict bias, int32_t n_in, int32_t n_out) {
  for (int32_t r = 0; r < rows; r++)
    for (int32_t o = 0; o < n_out; o++) y[r * n_out + o] = bias != NULL ? bias[o] : 0;
  for (int32_t i = 0; i < n_in; i++)
    for (int32_t r = 0; r < rows; r++) {
      const float xi = x[r * hop + i];
      for (int32_t o = 0; o < n_out; o++) y[r * n_out + o] += xi * w[i * n_out + o];
    }
}

/* x [1 + n_in + 1, in] with zero rows at both ends; y [rows, out] after ReLU. */
static void convolve(float *y, const float *x, const float *w, const float *bias, const conv_shape *s) {
  const int32_t rows = (s->n_in - 1) / s->stride + 1;
  linear(y, x, rows, s->stride * s->in, w, bias, 3 * s->in, s->out);
  for (int32_t i = 0; i < rows * s->out; i++) y[i] = y[i] > 0 ? y[i] : 0;
}

static void magnitudes(float *y /* [N_TIMES, N_BINS] */, const float *samples, const vad *v) {
  float spectrum[N_TIMES * 2 * N_BINS]; /* [N_TIMES, {re, im}, N_BINS] */
  linear(spectrum, samples, N_TIMES, HOP, v->basis, NULL, N_FFT, 2 * N_BINS);
  for (int32_t t = 0; t < N_TIMES; t++) {
    const float *re = spectrum + t * 2 * N_BINS, *im = re + N_BINS;
    for (int32_t k = 0; k < N_BINS; k++) y[t * N_BINS + k] = sqrtf(re[k] * re[k] + im[k] * im[k]);
  }
}

static float sigmoid(float x) { return 1 / (1 + expf(-x)); }

static void lstm(vad *v) {
  float gate[N_GATES]; /* [{in, forget, cell, out}, N_STATE] */
  float *h = v->input + N_STATE;
  linear(gate, v->input, 1, 0, v->gates, v->gate_bias, 2 * N_STATE, N_GATES);
  for (int32_t i = 0; i < N_STATE; i++) {
    const float in = sigmoid(gate[i]), forget = sigmoid(gate[N_STATE + i]), out = sigmoid(gate[3 * N_STATE + i]);
    v->cell[i] = forget * v->cell[i] + in * tanhf(gate[2 * N_STATE + i]);
    h[i] = out * tanhf(v->cell[i]);
  }
}

float vad_frame(vad *v, const float *samples) {
  float x[CONTEXT + VAD_FRAME + MIRROR];
  float bins[(1 + N_TIMES + 1) * N_BINS] = {0}; /* each with its zero rows */
  float a[(1 + 4 + 1) * 128] = {0}, b[(1 + 2 + 1) * 64] = {0}, c[(1 + 1 + 1) * 64] = {0};
  const int32_t n = CONTEXT + VAD_FRAME;

  memcpy(x, v->context, sizeof v->context);
  for (int32_t i = 0; i < VAD_FRAME; i++) x[CONTEXT + i] = isnan(samples[i]) ? 0 : fminf(fmaxf(samples[i], -1), 1);
  for (int32_t i = 0; i < MIRROR; i++) x[n + i] = x[n - 2 - i];
  memcpy(v->context, x + n - CONTEXT, sizeof v->context);

  magnitudes(bins + N_BINS, x, v);
  convolve(a + 128, bins, v->conv0, v->bias[0], &shapes[0]);
  convolve(b + 64, a, v->conv1, v->bias[1], &shapes[1]);
  convolve(c + 64, b, v->conv2, v->bias[2], &shapes[2]);
  convolve(v->input, c, v->conv3, v->bias[3], &shapes[3]);
  lstm(v);
  float sum = v->out_bias;
  for (int32_t i = 0; i < N_STATE; i++) {
    const float h = v->input[N_STATE + i];
    sum += v->out[i] * (h > 0 ? h : 0);
  }
  return sigmoid(sum);
}
