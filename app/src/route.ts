/* Where the page is: #/ transcribes, #/chat and #/chat/ID talk, #/voice talks aloud. Other sections get a name here and a part in App. */

import { signal } from '@preact/signals';

export type View = 'transcribe' | 'chat' | 'voice';

export interface Place {
  view: View;
  id: string; // of the conversation, or ''
}

function placeOf(hash: string): Place {
  const [, name, id = ''] = /^#\/([a-z]*)(?:\/([\w-]+))?$/.exec(hash) ?? [];
  if (name === 'voice') return { view: 'voice', id: '' };
  return name === 'chat' ? { view: 'chat', id } : { view: 'transcribe', id: '' };
}

export const place = signal<Place>(placeOf(location.hash));

export function addressOf(view: View, id = ''): string {
  if (view === 'voice') return '#/voice';
  return view === 'transcribe' ? '#/' : id ? `#/chat/${id}` : '#/chat';
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
