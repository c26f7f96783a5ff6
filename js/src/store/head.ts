// What a file of a model is, told by its first bytes: a GGUF file by its metadata, a ggml file of Whisper by its numbers.
//
// For lists, and to refuse what is no model before gigabytes of it are kept; the engine reads it all again, and strictly.

export interface Head {
  /** "whisper", "gemma3"; "" where only other files of the model tell it. */
  architecture: string;
  /** Of most weights: "q4_0"; "": not known. */
  type: string;
}

/** Types by the numbers that both formats use. */
const TYPES: Record<number, string> = {
  ...{ 0: 'f32', 1: 'f16', 2: 'q4_0', 3: 'q4_1', 7: 'q8_0', 8: 'q5_0', 9: 'q5_1', 10: 'q2_K', 11: 'q3_K_S', 12: 'q3_K_M', 13: 'q3_K_L' },
  ...{ 14: 'q4_K_S', 15: 'q4_K_M', 16: 'q5_K_S', 17: 'q5_K_M', 18: 'q6_K', 32: 'bf16' },
};
const GGML_MAGIC = 0x67676d6c;
const GGUF_MAGIC = 0x46554747;
/** Bytes of values by their type; strings (8) and arrays (9) say their own. */
const VALUE_BYTES: Record<number, number> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const MOST_ENTRIES = 10_000;

/** undefined: it is of no kind that is known here. Files beside the weights, such as config.json, are told by their names. */
export function headOf(bytes: Uint8Array, file: string): Head | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = bytes.length >= 4 ? view.getUint32(0, true) : 0;
  if (magic === GGUF_MAGIC) return ofGguf(view);
  if (magic === GGML_MAGIC) return bytes.length < 48 ? undefined : { architecture: 'whisper', type: TYPES[view.getInt32(44, true) % 1000] ?? '' };
  if (/\.safetensors$/i.test(file)) {
    const long = bytes.length >= 9 && view.getBigUint64(0, true) < 1n << 32n && bytes[8] === 0x7b;
    return long ? { architecture: '', type: '' } : undefined;
  }
  if (/\.(json|model|jinja|txt)$/i.test(file)) return { architecture: '', type: '' };
  return undefined;
}

function ofGguf(view: DataView): Head {
  const head: Head = { architecture: '', type: '' };
  let at = 24;
  const length = (): number => {
    const n = Number(view.getBigUint64(at, true));
    at += 8;
    return n;
  };
  const text = (): string => {
    const n = length();
    if (n > view.byteLength - at) throw new RangeError();
    const from = (at += n) - n;
    return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + from, Math.min(n, 200)));
  };
  const skip = (type: number): void => {
    if (type === 8) text();
    else if (type === 9) {
      const [of, n] = [view.getUint32(at, true), (at += 4) && length()];
      if (of in VALUE_BYTES) at += VALUE_BYTES[of] * n;
      else for (let i = 0; i < n; i++) skip(of);
    } else if (type in VALUE_BYTES) at += VALUE_BYTES[type];
    else throw new RangeError();
  };
  try {
    const entries = Math.min(Number(view.getBigUint64(16, true)), MOST_ENTRIES);
    for (let i = 0; i < entries && (head.architecture === '' || head.type === ''); i++) {
      const key = text();
      const type = view.getUint32(at, true);
      at += 4;
      if (key === 'general.architecture' && type === 8) head.architecture = text();
      else if (key === 'general.file_type' && type === 4) head.type = TYPES[view.getUint32(at, true)] ?? '';
      if (key === 'general.architecture' && type === 8) continue;
      skip(type);
    }
  } catch {
    // a head that is longer than what was looked at: what is known of it so far
  }
  return head;
}
