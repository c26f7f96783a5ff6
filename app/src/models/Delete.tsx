/* Asks before a model goes, and says whether it can be had again. */

import { Dialog } from '../ui/Dialog.tsx';
import { megabytes } from '../ui/words.ts';
import { nameOf, typeOf, type StoredModel } from './kept.ts';
import { remove } from './use.ts';

/** `close(true)`: the model went. */
export function Delete({ model, close }: { model: StoredModel | null; close: (gone: boolean) => void }) {
  if (!model) return <Dialog open={false} close={() => close(false)} title="" children={null} />;
  const name = [nameOf(model), typeOf(model)].filter(Boolean).join(' ');
  const after = {
    download: 'It can be downloaded again.',
    import: 'It came from a file: if that is gone, save it first.',
    made: 'It was made on this device: save it first if you may want it again.',
  }[model.origin];
  return (
    <Dialog open close={() => close(false)} title={`Delete ${name}?`}>
      <p>
        {megabytes(model.bytes)} become free on this device. {after}
      </p>
      <p class="own-actions">
        <button type="button" class="button danger" onClick={() => void remove(model).then(() => close(true))}>
          Delete
        </button>
        <button type="button" class="button" onClick={() => close(false)}>
          Cancel
        </button>
      </p>
    </Dialog>
  );
}
