// What a model is for, and which class takes it.
import { SottoError } from './errors.js';

export type ModelKind = 'speech' | 'language';

/** Says where a model belongs that was given to the wrong class. */
export function checkKind(kind: ModelKind, architecture: string): void {
  if (kind === 'language' && architecture === 'whisper')
    throw new SottoError(
      'argument',
      'This is a Whisper model, which transcribes speech: give it to Transcriber.create().',
    );
  if (kind === 'speech' && architecture !== 'whisper')
    throw new SottoError(
      'argument',
      `This is a language model (${architecture}), which does not hear: give it to LanguageModel.create().`,
    );
}
