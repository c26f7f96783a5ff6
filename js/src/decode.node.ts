import { SottoError } from './errors.js';
import type { Pcm } from './host.js';

export async function decode(_file: Blob): Promise<Pcm> {
  throw new SottoError('unsupported', 'In Node only WAV files can be read; convert the recording to WAV.');
}
