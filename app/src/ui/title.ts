import { signal } from '@preact/signals';

/** What a section has to say in the window's title; '' for its name alone. */
export const chatTitle = signal('');
export const transcribeTitle = signal('');
export const modelsTitle = signal('');
