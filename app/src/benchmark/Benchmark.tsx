/* The section that measures this device. */

import { useCallback, useEffect } from 'preact/hooks';
import { refreshKept } from '../models/kept.ts';
import { useDrop } from '../ui/drop.ts';
import { LockIcon } from '../ui/icons.tsx';
import { Compare, Kept } from './Compare.tsx';
import { look } from './device.ts';
import { Results } from './Results.tsx';
import { Running } from './Running.tsx';
import { Setup } from './Setup.tsx';
import { compareWithFile, running } from './state.ts';
import '../style/benchmark.css';

export function Benchmark({ active }: { active: boolean }) {
  useEffect(() => {
    if (!active) return;
    void look();
    void refreshKept();
  }, [active]);
  const take = useCallback((files: File[]) => void compareWithFile(files[0]!), []);
  const over = useDrop(active, take, true);
  return (
    <div class="bench">
      <div class="hero">
        <h1 tabIndex={-1}>Benchmark</h1>
        <p>How fast this device transcribes, and how fast it reads and writes with a language model: on the processor, and on the GPU where there is one.</p>
        <p class="private bench-private">
          <LockIcon /> It runs in this page and sends nothing anywhere. You may share the result; it says what this device is only roughly.
        </p>
      </div>
      {!running.value && <Setup />}
      <Running />
      <Results />
      <Compare />
      <Kept />
      {over && (
        <div class="drop-veil">
          <p>Drop a result to compare</p>
        </div>
      )}
    </div>
  );
}
