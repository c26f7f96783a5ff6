import { signal } from '@preact/signals';

/** Which dialog of the chat is open. */
export const panel = signal<'models' | 'settings' | 'list' | null>(null);

export function closePanel(): void {
  panel.value = null;
}
