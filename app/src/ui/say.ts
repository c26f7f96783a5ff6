import { signal } from '@preact/signals';

/** What people who hear the page are told: the one live region shows it. */
export const announcement = signal('');
