/* The recording that comes with the page. */

import sampleUrl from '../../../tests/fixtures/audio/jfk.wav?url';
import { Told } from '../ui/told.ts';

export const SAMPLE_NAME = 'jfk.wav';

/** Throws Told where it cannot be fetched. */
export async function fetchSample(): Promise<Blob> {
  const response = await fetch(sampleUrl).catch(() => null);
  if (!response?.ok) throw new Told('The sample could not be fetched. Check the connection, or choose a file of your own.');
  return response.blob();
}
