// Where a quantized model goes: among the models that are kept here, to a path, or to the page piece by piece.
import type { Draft } from '../kept.js';
import type { Platform } from '../platform.js';
import type { OutputSpec, QuantizePlan } from './types.js';

export interface Output {
  /** What can be taken up again; undefined: nothing can. */
  readonly draft?: Draft | undefined;
  /** Bytes must come in their order. */
  readonly inOrder: boolean;
  write(at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  room(): Promise<number | undefined>;
  /** All is written. */
  commit(made: { plan: QuantizePlan; file: string }): Promise<void>;
  /** Ends it; without a commit before, what was written is kept for another attempt, or is not. */
  close(keep: boolean): Promise<void>;
}

export async function openOutput(
  spec: OutputSpec,
  platform: Platform,
  send: (at: number, bytes: Uint8Array<ArrayBuffer>) => Promise<void>,
): Promise<Output> {
  if (spec.kind === 'sent') {
    const nothing = async (): Promise<void> => {};
    return { inOrder: spec.inOrder, write: send, room: async () => undefined, commit: nothing, close: nothing };
  }
  const draft = await (spec.kind === 'kept' ? platform.openDraft(spec.name) : platform.openDraftOfPath(spec.path));
  let open = true;
  return {
    draft,
    inOrder: false,
    write: (at, bytes) => draft.write(at, bytes),
    room: () => platform.room(spec.kind === 'path' ? spec.path : undefined),
    async commit({ plan, file }) {
      open = false;
      const { architecture, type, outBytes } = plan;
      await draft.commit({ file, bytes: outBytes, architecture, type, made: Date.now() });
    },
    async close(keep) {
      if (open) await draft.close(keep);
      open = false;
    },
  };
}
