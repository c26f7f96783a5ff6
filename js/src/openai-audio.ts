// audio.transcriptions and audio.translations: what is asked, as Transcriber takes it; the transcript in the form that was asked for.
import { toSrt, toVtt } from './format.js';
import type { AudioInput, Segment, Transcriber, Transcript, TranscribeOptions } from './index.js';
import { wrong } from './openai-errors.js';
import type { SpeechFormat, TranscriptionParams, TranscriptionSegment, TranscriptionText, TranscriptionVerbose } from './openai-types.js';

const FORMATS: readonly SpeechFormat[] = ['json', 'text', 'srt', 'verbose_json', 'vtt'];

export interface SpeechRequest {
  file: AudioInput;
  format: SpeechFormat;
  task: 'transcribe' | 'translate';
  options: TranscribeOptions;
}

/** Throws a BadRequestError that names the field. */
export function speechRequest(params: TranscriptionParams<AudioInput>, task: SpeechRequest['task']): SpeechRequest {
  const { file, language, prompt, response_format: format = 'json', temperature, stream } = params;
  if (file === undefined || file === null) throw wrong('file', 'is missing: the audio to transcribe.');
  if (!FORMATS.includes(format)) throw wrong('response_format', `has to be one of ${FORMATS.join(', ')}.`);
  if (stream) throw wrong('stream', 'is not supported here: Transcriber gives segments as they come.');
  if (params.timestamp_granularities?.some((g) => g !== 'segment'))
    throw wrong('timestamp_granularities', 'can only be segment: words have no times here.');
  if (temperature !== undefined && !(temperature >= 0 && temperature <= 1))
    throw wrong('temperature', 'has to be a number from 0 to 1.');
  const options: TranscribeOptions = {
    task,
    ...(language && task === 'transcribe' && { language: language.toLowerCase() }),
    ...(prompt && { initialPrompt: prompt }),
    ...(temperature && { temperature, temperatureIncrement: 0 }),
  };
  return { file, format, task, options };
}

/** Segments of one window share its numbers. */
const sameWindow = (a: Segment, b: Segment): boolean =>
  a.avgLogprob === b.avgLogprob && a.compressionRatio === b.compressionRatio && a.noSpeechProb === b.noSpeechProb;

function segmentsOf(segments: readonly Segment[]): TranscriptionSegment[] {
  let seek = 0;
  return segments.map((segment, id) => {
    const before = segments[id - 1];
    if (!before || !sameWindow(before, segment)) seek = Math.round(segment.start * 100);
    return {
      id,
      seek,
      start: segment.start,
      end: segment.end,
      text: segment.text,
      tokens: segment.tokens.map((token) => token.id),
      temperature: segment.temperature,
      avg_logprob: segment.avgLogprob,
      compression_ratio: segment.compressionRatio,
      no_speech_prob: segment.noSpeechProb,
    };
  });
}

/** The transcript as what its response_format says. */
export async function transcribe(
  transcriber: Transcriber,
  { file, format, task, options }: SpeechRequest,
  signal: AbortSignal | undefined,
): Promise<string | TranscriptionText | TranscriptionVerbose> {
  let duration = 0;
  const whole: Transcript = await transcriber.transcribe(file, {
    ...options,
    signal,
    onProgress: (progress) => (duration = progress.duration ?? progress.received),
  });
  if (format === 'srt') return toSrt(whole);
  if (format === 'vtt') return toVtt(whole);
  if (format === 'text') return `${whole.text}\n`;
  if (format === 'json') return { text: whole.text };
  const { languages } = transcriber.info.model;
  const language = languages.find(({ code }) => code === whole.language)?.name ?? whole.language;
  return { task, language, duration, text: whole.text, segments: segmentsOf(whole.segments) };
}
