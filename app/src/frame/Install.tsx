import { SaveIcon } from '../ui/icons.tsx';
import { install, installPrompt } from './install.ts';

/** There where the browser would install the page. */
export function Install() {
  if (!installPrompt.value) return null;
  return (
    <button type="button" class="button quiet small" onClick={() => void install()}>
      <SaveIcon /> Install
    </button>
  );
}
