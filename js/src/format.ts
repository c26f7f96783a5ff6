// A transcript as text, subtitles or JSON. tests/fixtures/formats/ says what each form is; the native command writes the
// same bytes.
import { textOf } from './transcription.js';

export interface FormatToken {
  id: number;
  text: string;
  p: number;
}

export interface FormatSegment {
  start: number;
  end: number;
  text: string;
  tokens?: readonly FormatToken[];
  noSpeechProb?: number;
  temperature?: number;
  avgLogprob?: number;
  compressionRatio?: number;
}

export interface FormatTranscript {
  language?: string;
  languageProbability?: number;
  segments: readonly FormatSegment[];
}

export interface JsonExtras {
  /** Name of the recording, the first key. */
  file?: string;
  /** Added at the end. */
  timings?: Record<string, number>;
  peak_memory_bytes?: number;
}

export type Format = 'txt' | 'srt' | 'vtt' | 'tsv' | 'lrc' | 'json';
export const FORMATS: readonly Format[] = ['txt', 'srt', 'vtt', 'tsv', 'lrc', 'json'];

const wholeMs = (s: number): number => Math.floor(s * 1000 + 0.5);
const pad = (n: number, width = 2): string => String(n).padStart(width, '0');

/** [HH:]MM:SS.mmm, hours where needed or `always`. */
export function formatTime(s: number, always = false, point = '.'): string {
  const ms = wholeMs(s);
  const hours = Math.floor(ms / 3_600_000);
  const rest = `${pad(Math.floor(ms / 60_000) % 60)}:${pad(Math.floor(ms / 1000) % 60)}${point}${pad(ms % 1000, 3)}`;
  return hours > 0 || always ? `${pad(hours)}:${rest}` : rest;
}

/** Segments with something to read, each on one line. */
function lines(segments: readonly FormatSegment[]): { start: number; end: number; text: string }[] {
  return segments
    .map(({ start, end, text }) => ({ start, end, text: textOf([{ text }]).replace(/[\r\n]+/g, ' ') }))
    .filter(({ text }) => text !== '');
}

const cueText = (text: string): string => text.replaceAll('-->', '->');

export const toTxt = ({ segments }: FormatTranscript): string =>
  lines(segments)
    .map(({ text }) => `${text}\n`)
    .join('');

/** What the command prints where no format is asked for. */
export const toLines = ({ segments }: FormatTranscript): string => segments.map(toLine).join('');

/** One segment as a line; "" where there is nothing to read. */
export const toLine = (segment: FormatSegment): string =>
  lines([segment])
    .map(({ start, end, text }) => `[${formatTime(start)} --> ${formatTime(end)}]  ${text}\n`)
    .join('');

export const toSrt = ({ segments }: FormatTranscript): string =>
  lines(segments)
    .map(
      ({ start, end, text }, i) =>
        `${i + 1}\n${formatTime(start, true, ',')} --> ${formatTime(end, true, ',')}\n${cueText(text)}\n\n`,
    )
    .join('');

export const toVtt = ({ segments }: FormatTranscript): string =>
  'WEBVTT\n\n' +
  lines(segments)
    .map(({ start, end, text }) => `${formatTime(start)} --> ${formatTime(end)}\n${cueText(text)}\n\n`)
    .join('');

export const toTsv = ({ segments }: FormatTranscript): string =>
  'start\tend\ttext\n' +
  lines(segments)
    .map(({ start, end, text }) => `${wholeMs(start)}\t${wholeMs(end)}\t${text.replaceAll('\t', ' ')}\n`)
    .join('');

export const toLrc = ({ segments }: FormatTranscript): string =>
  lines(segments)
    .map(({ start, text }) => {
      const hundredths = Math.floor(start * 100 + 0.5);
      return `[${pad(Math.floor(hundredths / 6000))}:${pad(Math.floor(hundredths / 100) % 60)}.${pad(hundredths % 100)}]${text}\n`;
    })
    .join('');

const rounded = (x: number | undefined, scale = 1e6): number | null =>
  x === undefined || !Number.isFinite(x) ? null : Math.floor(x * scale + 0.5) / scale;

/** The object that --json prints. */
export function toObject(transcript: FormatTranscript, extras: JsonExtras = {}): Record<string, unknown> {
  const { file, timings, peak_memory_bytes } = extras;
  return {
    ...(file !== undefined && { file }),
    language: transcript.language ?? '',
    language_probability: rounded(transcript.languageProbability),
    text: textOf(transcript.segments),
    segments: transcript.segments.map((s) => ({
      start: wholeMs(s.start) / 1000,
      end: wholeMs(s.end) / 1000,
      text: s.text,
      tokens: (s.tokens ?? []).map(({ id, text, p }) => ({ id, text, p: rounded(p) })),
      no_speech_prob: rounded(s.noSpeechProb),
      temperature: rounded(s.temperature),
      avg_logprob: rounded(s.avgLogprob),
      compression_ratio: rounded(s.compressionRatio),
    })),
    ...(timings && {
      timings: Object.fromEntries(Object.entries(timings).map(([key, value]) => [key, rounded(value, 1e3)])),
    }),
    ...(peak_memory_bytes !== undefined && { peak_memory_bytes }),
  };
}

/** Indented, to read and to keep. */
export const toJson = (transcript: FormatTranscript, extras?: JsonExtras): string =>
  JSON.stringify(toObject(transcript, extras), null, 2) + '\n';

/** On one line, for other programs. */
export const toJsonLine = (transcript: FormatTranscript, extras?: JsonExtras): string =>
  JSON.stringify(toObject(transcript, extras)) + '\n';

const WRITERS: Record<Format, (transcript: FormatTranscript, extras?: JsonExtras) => string> = {
  txt: toTxt,
  srt: toSrt,
  vtt: toVtt,
  tsv: toTsv,
  lrc: toLrc,
  json: toJson,
};

export const format = (transcript: FormatTranscript, as: Format, extras?: JsonExtras): string =>
  WRITERS[as](transcript, extras);
