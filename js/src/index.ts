export { Transcriber } from './transcriber.js';
export type { CreateOptions, LiveOptions, TranscribeOptions } from './transcriber.js';
export { LiveTranscription } from './live-transcription.js';
export type { FinalEvent } from './live-transcription.js';
export { listen } from './live-source.js';
export type { Listening, ListenOptions, LiveSource, MediaStreamLike, MediaTrackLike } from './live-source.js';
export type { LiveEvent } from './protocol.js';
export type { VadOptions } from './vad-options.js';
export { ContextOverflowEvent, LanguageModel } from './language-model.js';
export type {
  LanguageModelCreateOptions,
  Message,
  OverflowPolicy,
  PromptInput,
  PromptOptions,
  SamplingOptions,
  TextContent,
  TokenIds,
} from './prompt.js';
export { DownloadProgressEvent } from './engine.js';
export type { Availability, EngineOptions, Monitor } from './engine.js';
export { Transcription } from './transcription.js';
export type { Transcript } from './transcription.js';
export { QuotaExceededError, SottoError } from './errors.js';
export type { SottoErrorCode } from './errors.js';
export { estimateQuantization, Quantization, quantize } from './quantize/quantize.js';
export type { EstimateOptions, QuantizeEstimate, QuantizeOptions, QuantizeRecipe } from './quantize/quantize.js';
export { QuantizedModel, quantizedModels, unfinishedQuantizations } from './quantize/made.js';
export type { UnfinishedQuantization } from './quantize/made.js';
export type { FileHandleLike, QuantizeOutput } from './quantize/sinks.js';
export type { DirectoryHandleLike, QuantizeSource } from './quantize/source.js';
export { QUANTIZE_TYPES } from './quantize/types.js';
export type { QuantizeDevice, QuantizeOutcome, QuantizePlan, QuantizeProgress, QuantizeType } from './quantize/types.js';
export { detect } from './detect.js';
export type { Features, Variant } from './detect.js';
export { detectGpu } from './detect-gpu.js';
export { models, defaultModel } from './models.js';
export type { Manifest, ManifestFile, ManifestModel, ManifestSource } from './models.js';
export { readManifest } from './manifest.js';
export type { SiteManifest, SiteModel } from './manifest.js';
export type { AccessOptions, RequestHeaders } from './access.js';
export type { AudioBufferLike, AudioInput, AudioOptions } from './input.js';
export type { ModelFile, ModelInput, ModelOptions } from './model-input.js';
export { ModelStore, modelStore } from './store.js';
export type { ImportInput, StoreDownloadOptions, StoreEstimate, StoreImportOptions, StoreProgress } from './store.js';
export type { StoredModel } from './store/list.js';
export type { TransferState } from './store/tabs.js';
export type { DecodeOptions } from './options.js';
export type { Profile, ProfileRow } from './gpu/profile.js';
export type { Backend, BackendChoice, GpuInfo } from './protocol.js';
export type { EngineInfo, ModelInfo, Outcome, Progress, Segment, TensorInfo, Timings, Token } from './protocol.js';
export type { Generation, GenerationTimings, LogitRows, Role, TokenLogprob, Turn } from './protocol.js';
export { VERSION } from './models.gen.js';
