/* The page as an app of its own: the offer to install it, and what the system hands to it. */

import { signal } from '@preact/signals';
import { go, place } from '../route.ts';

/** What Chromium fires where the page can be installed; other browsers have it in a menu. */
interface InstallPrompt extends Event {
  prompt(): Promise<{ outcome: 'accepted' | 'dismissed' }>;
}

interface LaunchParams {
  readonly targetURL?: string;
  readonly files: readonly FileSystemFileHandle[];
}

/** The browser's own question, while it waits to be asked. */
export const installPrompt = signal<InstallPrompt | null>(null);

export function beginInstall(): void {
  addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault(); // there is a button for it
    installPrompt.value = event as InstallPrompt;
  });
  addEventListener('appinstalled', () => {
    installPrompt.value = null;
  });
  const { launchQueue } = window as { launchQueue?: { setConsumer(take: (params: LaunchParams) => void): void } };
  launchQueue?.setConsumer((params) => void launched(params));
}

export async function install(): Promise<void> {
  const prompt = installPrompt.value;
  installPrompt.value = null; // it can be asked once
  await prompt?.prompt();
}

/** A shortcut or a file was opened while the page may be open already. */
async function launched({ files, targetURL }: LaunchParams): Promise<void> {
  const [first] = files;
  if (first) {
    const { hearing, recorder, takeFile } = await import('../transcribe/state.ts');
    if (recorder.value || hearing.value) return; // what is being heard is not dropped for a file
    const file = await first.getFile().catch(() => null);
    if (!file) return;
    if (place.value.view !== 'transcribe') go('transcribe');
    await takeFile(file);
  } else if (targetURL && new URL(targetURL).hash) location.hash = new URL(targetURL).hash;
}
