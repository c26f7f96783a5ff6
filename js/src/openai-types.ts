// What is asked of sotto/openai and what it answers, in the shapes of OpenAI's API. The package `openai` is not needed for them; values of its
// types can be given, and what comes can be taken for its types.

export interface RequestOptions {
  signal?: AbortSignal | null | undefined;
}

// ---- chat ----

/** Of all parts of content only text is read. */
export interface ContentPart {
  type: string;
  text?: string | undefined;
}

export interface ChatMessage {
  /** system and developer come first; user and assistant follow; the user's is the last. Others are refused. */
  role: string;
  content?: string | readonly ContentPart[] | null | undefined;
}

export interface ChatParams {
  messages: readonly ChatMessage[];
  /** A name of the client's `models`, or an id of the manifest. */
  model: string;
  stream?: boolean | null | undefined;
  stream_options?: { include_usage?: boolean | undefined } | null | undefined;
  /** 0 to 2; 0: always the likeliest token. Default 1. */
  temperature?: number | null | undefined;
  top_p?: number | null | undefined;
  /** Not of OpenAI: among so many of the likeliest tokens; 0: all. Default 64. */
  top_k?: number | null | undefined;
  max_tokens?: number | null | undefined;
  max_completion_tokens?: number | null | undefined;
  stop?: string | readonly string[] | null | undefined;
  seed?: number | null | undefined;
  presence_penalty?: number | null | undefined;
  frequency_penalty?: number | null | undefined;
  /** By ids of tokens; -100: never. */
  logit_bias?: Readonly<Record<string, number>> | null | undefined;
  logprobs?: boolean | null | undefined;
  top_logprobs?: number | null | undefined;
  /** 1, and nothing else. */
  n?: number | null | undefined;
  /** Only { type: "text" }. */
  response_format?: { type: string } | null | undefined;
  /** None. */
  tools?: readonly unknown[] | null | undefined;
}

export interface TopLogprob {
  token: string;
  logprob: number;
  /** null: a part of a character. */
  bytes: number[] | null;
}

export interface TokenLogprob extends TopLogprob {
  top_logprobs: TopLogprob[];
}

export interface Logprobs {
  content: TokenLogprob[] | null;
  refusal: null;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** Tokens of the prompt that were evaluated for an answer before, and not again. */
  prompt_tokens_details: { cached_tokens: number };
}

export type FinishReason = 'stop' | 'length';

export interface ChatCompletion {
  id: string;
  object: 'chat.completion';
  created: number;
  model: string;
  system_fingerprint: string;
  choices: {
    index: number;
    message: { role: 'assistant'; content: string; refusal: null };
    logprobs: Logprobs | null;
    finish_reason: FinishReason;
  }[];
  usage: Usage;
}

export interface ChatCompletionChunk {
  id: string;
  object: 'chat.completion.chunk';
  created: number;
  model: string;
  system_fingerprint: string;
  choices: {
    index: number;
    delta: { role?: 'assistant'; content?: string };
    /** Come with the last chunk. */
    logprobs: Logprobs | null;
    finish_reason: FinishReason | null;
  }[];
  /** With include_usage: in a chunk behind the last, whose choices are none; null in the others. */
  usage?: Usage | null;
}

// ---- speech ----

export type SpeechFormat = 'json' | 'text' | 'srt' | 'verbose_json' | 'vtt';

export interface SpeechParams<File, Format extends SpeechFormat | undefined = SpeechFormat | undefined> {
  file: File;
  /** "whisper-1" for the default, a name of the client's `models`, or an id of the manifest. */
  model: string;
  /** Text that came before: names, spelling, style. */
  prompt?: string | undefined;
  response_format?: Format;
  /** 0: higher ones are tried where a text looks wrong. */
  temperature?: number | undefined;
}

export interface TranscriptionParams<File, Format extends SpeechFormat | undefined = SpeechFormat | undefined>
  extends SpeechParams<File, Format> {
  language?: string | undefined;
  /** Only "segment". */
  timestamp_granularities?: readonly string[] | undefined;
  /** Not supported: Transcriber gives segments as they come. */
  stream?: boolean | null | undefined;
}

export interface TranscriptionText {
  text: string;
}

export interface TranscriptionSegment {
  id: number;
  /** Hundredths of a second: where the first segment of its window begins. */
  seek: number;
  start: number;
  end: number;
  text: string;
  tokens: number[];
  temperature: number;
  avg_logprob: number;
  compression_ratio: number;
  no_speech_prob: number;
}

export interface TranscriptionVerbose extends TranscriptionText {
  task: 'transcribe' | 'translate';
  language: string;
  duration: number;
  segments: TranscriptionSegment[];
}

/** What comes for a response_format. */
export type SpeechAnswer<Format> = Format extends 'verbose_json'
  ? TranscriptionVerbose
  : Format extends 'text' | 'srt' | 'vtt'
    ? string
    : TranscriptionText;

// ---- models ----

export interface Model {
  id: string;
  object: 'model';
  created: number;
  owned_by: string;
}
