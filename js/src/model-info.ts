// What the engine says of a model in it, which may still be arriving.
import type { Language, ModelInfo, TensorInfo } from './protocol.js';
import type { Pointer, Wasm } from './wasm.js';

/** Tokens of a multilingual Whisper model but those for languages. */
const COMMON_TOKENS = 51766;

/** All languages that the engine knows. */
export function languagesOf(wasm: Wasm): Language[] {
  const languages: Language[] = [];
  for (let index = 0; ; index++) {
    const { values, result } = wasm.row(2, (out) => wasm.x.sotto_wasm_language(index, out));
    if (result === 0) return languages;
    languages.push({ code: wasm.text(values[0]), name: wasm.text(values[1]) });
  }
}

/** The architecture is "" until it is known. */
export function describeModel(wasm: Wasm, model: Pointer): ModelInfo {
  const { values } = wasm.row(21, (out) => wasm.x.sotto_wasm_model_describe(model, out));
  const [architecture, name, weightType] = values.slice(0, 3).map((p) => wasm.text(p));
  const [nVocab, nMel, nAudioCtx, nAudioState, nAudioHead, nAudioLayer, nTextCtx, nTextState, nTextHead, nTextLayer] =
    values.slice(3);
  const [multilingual, nTensors, nParameters, weightBytes, nKvHead, headDim, nFf, window] = values.slice(13);
  // Each language is a token beside those that every multilingual model has.
  const nLanguages = architecture !== 'whisper' ? 0 : multilingual ? nVocab - COMMON_TOKENS : 1;
  const languages = languagesOf(wasm).slice(0, nLanguages);
  return {
    ...{ architecture, name, weightType, nVocab, nMel, languages },
    ...{ nAudioCtx, nAudioState, nAudioHead, nAudioLayer, nTextCtx, nTextState, nTextHead, nTextLayer },
    ...{ nKvHead, headDim, nFf, window },
    ...{ multilingual: multilingual !== 0, nTensors, nParameters, weightBytes },
  };
}

export function tensorsOf(wasm: Wasm, model: Pointer): TensorInfo[] {
  const tensors: TensorInfo[] = [];
  for (let index = 0; ; index++) {
    const { values, result: rank } = wasm.row(6, (out) => wasm.x.sotto_wasm_model_tensor(model, index, out));
    if (rank === 0) return tensors;
    tensors.push({ name: wasm.text(values[0]), type: wasm.text(values[1]), shape: values.slice(2, 2 + rank) });
  }
}
