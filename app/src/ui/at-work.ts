/* What of the page is at work: a benchmark does not measure beside it. */

import { computed, signal, type ReadonlySignal } from '@preact/signals';

const works = signal<readonly ReadonlySignal<string>[]>([]);

/** Joins the works of the page: `what` names it while it is under way, as "a transcription", and is '' at rest. */
export function tellWork(what: ReadonlySignal<string>): void {
  works.value = [...works.value, what];
}

/** The name of what is under way, '' where nothing is. */
export const atWork = computed(() => works.value.map((work) => work.value).find(Boolean) ?? '');
