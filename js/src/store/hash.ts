// SHA-256 of bytes as they come: the platform's where it has one, else the engine's.
import type { Hash, Platform } from '../platform.js';
import type { Wasm } from '../wasm.js';

const BUFFER_BYTES = 1 << 20;

export const hashOf = (platform: Pick<Platform, 'sha256'>, wasm: Wasm): Hash => platform.sha256?.() ?? ofEngine(wasm);

function ofEngine(wasm: Wasm): Hash {
  const hash = wasm.x.sotto_wasm_sha256_open();
  const buffer = wasm.alloc(BUFFER_BYTES);
  return {
    update(bytes) {
      for (let at = 0; at < bytes.length; at += BUFFER_BYTES) {
        const part = bytes.subarray(at, at + BUFFER_BYTES);
        wasm.bytes(buffer, part.length).set(part);
        wasm.x.sotto_wasm_sha256_update(hash, buffer, part.length);
      }
    },
    digest() {
      wasm.x.sotto_wasm_sha256_close(hash, buffer);
      const hex = Array.from(wasm.bytes(buffer, 32), (byte) => byte.toString(16).padStart(2, '0')).join('');
      wasm.free(buffer);
      return hex;
    },
  };
}
