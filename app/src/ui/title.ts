import { signal } from '@preact/signals';

/** What the chat has to say in the window's title; '' for its name alone. */
export const chatTitle = signal('');
