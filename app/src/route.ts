/* Where the page is: #/ transcribes, #/NAME opens another section and #/NAME/ID something in it. What the sections are: sections.tsx. */

import { signal } from '@preact/signals';

const VIEWS = ['transcribe', 'chat', 'voice', 'models', 'benchmark'] as const;

export type View = (typeof VIEWS)[number];

export interface Place {
  view: View;
  id: string; // of what is open in the section, as a conversation, or ''
}

function placeOf(hash: string): Place {
  const [, name, id = ''] = /^#\/([a-z]*)(?:\/([\w-]+))?$/.exec(hash) ?? [];
  const view = VIEWS.find((v) => v === name);
  return view ? { view, id } : { view: 'transcribe', id: '' };
}

export const place = signal<Place>(placeOf(location.hash));

export function addressOf(view: View, id = ''): string {
  if (view === 'transcribe') return '#/';
  return id ? `#/${view}/${id}` : `#/${view}`;
}

/** Goes to a place. With `replace`, Back does not return to where the page was. */
export function go(view: View, id = '', { replace = false } = {}): void {
  const address = addressOf(view, id);
  if (!replace) {
    location.hash = address;
    return;
  }
  history.replaceState(null, '', address);
  place.value = placeOf(address);
}

addEventListener('hashchange', () => {
  place.value = placeOf(location.hash);
});
