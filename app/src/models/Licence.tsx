/* The terms of weights that have some of their own, shown before such weights are downloaded for the first time. */

import { signal } from '@preact/signals';
import { models } from 'sotto';
import { Dialog } from '../ui/Dialog.tsx';
import { download } from './downloads.ts';

interface Terms {
  name: string;
  url: string;
}

const GEMMA = models.find((m) => m.license.startsWith('Gemma'))!;

/** The terms that weights come with; null: they are free to use. */
export function termsOf(input: string): Terms | null {
  const known = models.find((m) => m.id === input);
  // Copies of Gemma elsewhere have the same terms.
  const model = known ?? (/gemma/i.test(input) ? GEMMA : null);
  return model?.license_url && model.license !== 'MIT' ? { name: model.license, url: model.license_url } : null;
}

const KEY = 'licences-accepted';

function accepted(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(stored) ? stored.filter((entry) => typeof entry === 'string') : [];
  } catch {
    return [];
  }
}

const asked = signal<{ input: string; name: string; terms: Terms } | null>(null);

/** Downloads a model; asks before where it has terms that were not accepted on this device. */
export function getModel(input: string, name: string): void {
  const terms = termsOf(input);
  if (terms && !accepted().includes(terms.name)) asked.value = { input, name, terms };
  else void download(input, name);
}

export function Licence() {
  const now = asked.value;
  const close = () => {
    asked.value = null;
  };
  const accept = () => {
    const { input, name, terms } = now!;
    try {
      localStorage.setItem(KEY, JSON.stringify([...accepted(), terms.name]));
    } catch {
      // asked again next time
    }
    close();
    void download(input, name);
  };
  return (
    <Dialog open={now !== null} close={close} title={now?.terms.name ?? ''}>
      {now && (
        <>
          <p>
            {now.name} comes under the{' '}
            <a href={now.terms.url} target="_blank" rel="noopener noreferrer">
              {now.terms.name}
            </a>
            , which say what it may be used for and what goes with it when it is passed on. Whoever downloads it agrees to them.
          </p>
          <p class="own-actions">
            <button type="button" class="button primary" onClick={accept}>
              Agree and download
            </button>
            <button type="button" class="button" onClick={close}>
              Cancel
            </button>
          </p>
        </>
      )}
    </Dialog>
  );
}
