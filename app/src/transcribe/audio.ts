/* From a file to samples and a waveform:
 *
 *   file ──> decodeAudioData at 16 kHz ──> mono ──> the engine
 *                                            └────> peaks, for the waveform
 *
 * The browser decodes once; the waveform is drawn from the same samples. */

import { Told } from '../ui/told.ts';

export const SAMPLE_RATE = 16000; // Hz, what the engine takes
const N_PEAKS = 1600; // of a waveform, enough for the widest page

export interface Sound {
  samples: Float32Array<ArrayBuffer>; // mono, SAMPLE_RATE, [-1, 1]
  duration: number; // s
  peaks: Float32Array; // [N_PEAKS] at most: largest magnitude in each part
}

/** Decodes a file that the browser can play. Throws Told with a sentence where it cannot. */
export async function decode(file: Blob, name: string): Promise<Sound> {
  if (file.size === 0) throw new Told(`${name} is empty. Choose another file.`);
  let bytes: ArrayBuffer;
  try {
    bytes = await file.arrayBuffer();
  } catch {
    throw new Told(`${name} could not be read. It may have been moved, or be too large for this browser.`);
  }
  let buffer: AudioBuffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, SAMPLE_RATE).decodeAudioData(bytes);
  } catch {
    throw new Told(
      `No sound could be read from ${name}. Use a recording or video that your browser can play, such as MP3, M4A, ` +
        `WAV, OGG, FLAC, WebM or MP4.`,
    );
  }
  if (buffer.length === 0) throw new Told(`${name} holds no sound. Choose another file.`);
  const samples = mono(buffer);
  return { samples, duration: buffer.duration, peaks: peaksOf(samples) };
}

function mono(buffer: AudioBuffer): Float32Array<ArrayBuffer> {
  const first = buffer.getChannelData(0) as Float32Array<ArrayBuffer>;
  if (buffer.numberOfChannels === 1) return first;
  const mixed = new Float32Array(first);
  for (let c = 1; c < buffer.numberOfChannels; c++) {
    const channel = buffer.getChannelData(c);
    for (let i = 0; i < mixed.length; i++) mixed[i]! += channel[i]!;
  }
  for (let i = 0; i < mixed.length; i++) mixed[i]! /= buffer.numberOfChannels;
  return mixed;
}

function peaksOf(samples: Float32Array): Float32Array {
  const n = Math.min(N_PEAKS, samples.length);
  const peaks = new Float32Array(n);
  for (let p = 0; p < n; p++) {
    const end = Math.floor(((p + 1) * samples.length) / n);
    let top = 0;
    for (let i = Math.floor((p * samples.length) / n); i < end; i++) {
      const magnitude = Math.abs(samples[i]!);
      if (magnitude > top) top = magnitude;
    }
    peaks[p] = top;
  }
  return peaks;
}

/** Samples as a 16-bit WAV file. A recorder's own container often has no duration and cannot be sought. */
export function wav(samples: Float32Array): Blob {
  const pcm = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    pcm[i] = Math.round(Math.max(-1, Math.min(1, samples[i]!)) * 32767);
  }
  const header = new DataView(new ArrayBuffer(44));
  const ascii = (at: number, text: string) => {
    for (let i = 0; i < text.length; i++) header.setUint8(at + i, text.charCodeAt(i));
  };
  ascii(0, 'RIFF');
  header.setUint32(4, 36 + pcm.byteLength, true);
  ascii(8, 'WAVEfmt ');
  header.setUint32(16, 16, true); // bytes of the format chunk
  header.setUint16(20, 1, true); // integer PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, SAMPLE_RATE, true);
  header.setUint32(28, SAMPLE_RATE * 2, true); // bytes a second
  header.setUint16(32, 2, true); // bytes a frame
  header.setUint16(34, 16, true); // bits a sample
  ascii(36, 'data');
  header.setUint32(40, pcm.byteLength, true);
  return new Blob([header, pcm], { type: 'audio/wav' });
}
