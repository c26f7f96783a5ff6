/* Power spectrum of 400 real samples, of four frames side by side. */
#ifndef SOTTO_FFT_H
#define SOTTO_FFT_H

enum { FFT_SIZE = 400, FFT_BINS = 201, FFT_LANES = 4 };

/* The same value of four frames: one 128-bit register wherever there are some. */
typedef float fft_lanes __attribute__((vector_size(16)));

/* power[k] = |sum_n x[n] e^(-2 pi i n k / 400)|^2 of each lane. x: [400], power: [201], apart from each other. */
void fft_power_400(const fft_lanes *x, fft_lanes *power);

#endif
