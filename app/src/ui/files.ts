/* Files out of the page, and text to the clipboard. */

import { announcement } from './say.ts';

/** Offers `blob` to be saved as `name`. */
export function saveFile(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  announcement.value = `Saved ${name}.`;
}

/** Copies, says so, and gives whether the browser allowed it. */
export async function copyText(text: string): Promise<boolean> {
  const ok = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  announcement.value = ok ? 'Copied.' : 'The browser did not allow copying. Select the text and copy it by hand.';
  return ok ?? false;
}
