// Options of voice activity, apart from the engine, so that callers need no types of WebAssembly.

/** What tells speech from silence; see sotto_vad_options in sotto.h. */
export interface VadOptions {
  /** Probability from which on sound is speech, above 0 and below 1. Default 0.5. */
  threshold?: number | undefined;
  /** Shorter speech is dropped. */
  minSpeechMs?: number | undefined;
  /** Shorter silence is part of the speech. */
  minSilenceMs?: number | undefined;
  /** Added before and after. */
  padMs?: number | undefined;
}
