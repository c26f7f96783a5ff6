/* The section of models: what this device keeps, what can be had, what a person brings, and the room for it. */

import { useDrop } from '../ui/drop.ts';
import { Bring } from './Bring.tsx';
import { Device } from './Device.tsx';
import { Get } from './Get.tsx';
import { takeModelFiles } from './incoming.ts';
import { refreshKept } from './kept.ts';
import { Licence } from './Licence.tsx';
import { refreshUnfinished } from './quantize-state.ts';
import { Room } from './Room.tsx';
import '../style/models.css';

void refreshKept();
void refreshUnfinished();

export function Models({ active }: { active: boolean }) {
  const dropping = useDrop(active, takeModelFiles, false);
  return (
    <>
      <div class="models">
        <header class="hero models-head">
          <h1 tabIndex={-1}>Models</h1>
          <p>Models hear and write inside this page. They are kept by this browser, for all sections, and work without a network.</p>
        </header>
        <Room />
        <div class="models-main">
          <Device />
          <Get />
          <Bring />
        </div>
      </div>
      <Licence />
      {dropping && (
        <div class="drop-veil" aria-hidden="true">
          <p>Drop a model</p>
        </div>
      )}
    </>
  );
}
