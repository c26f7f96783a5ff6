/* Bring your own model: by address or reference, from a file or a folder; kept as it is, used once, or made smaller first. */

import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Bar } from '../ui/Bar.tsx';
import { CheckIcon, FolderIcon, ModelIcon, WarnIcon } from '../ui/icons.tsx';
import { Pickers } from '../ui/Pickers.tsx';
import { megabytes } from '../ui/words.ts';
import { mayFetch, whyNotFrom } from './downloads.ts';
import { chooseWithHandles } from './handles.ts';
import { incoming, keep, leaveIncoming, once, smaller, takeModelFiles, type Incoming } from './incoming.ts';
import { getModel } from './Licence.tsx';
import { Quantize } from './Quantize.tsx';
import { look, quantizing, waiting } from './quantize-state.ts';
import '../style/quantize.css';

export function Bring() {
  const now = incoming.value;
  return (
    <section class="card models-card bring" aria-labelledby="bring-title" data-testid="bring">
      <h2 id="bring-title" tabIndex={-1}>
        Bring your own model
      </h2>
      {now ? <Decide now={now} /> : quantizing.value.at === 'rest' && <Intake />}
      <Quantize />
    </section>
  );
}

/* ---- files, or an address ---- */

function Intake() {
  const [address, setAddress] = useState('');
  const [why, setWhy] = useState('');
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const id = useId();
  const text = address.trim();
  const taken = (all: File[]) => takeModelFiles(all.filter(inTop));
  const pick = async (what: 'files' | 'folder') => {
    const chosen = await chooseWithHandles(what);
    if (chosen) takeModelFiles(chosen);
    else (what === 'files' ? files : folder).current!.click();
  };
  const go = (then: (text: string) => void) => {
    setWhy(!text ? '' : mayFetch(text) ? '' : whyNotFrom(text));
    if (text && mayFetch(text)) then(text);
  };
  return (
    <>
      <p class="hint">
        Whisper (a ggml .bin), Gemma 1, 2 or 3 (a GGUF file, or a Hugging Face folder with safetensors). One of full precision is made smaller here while it is
        read, and is never whole in memory. Files go nowhere.
      </p>
      {waiting.value && (
        <p class="notice mild" role="status">
          <FolderIcon />
          <span>
            To go on with {waiting.value.name}, choose its {waiting.value.source.length === 1 ? 'file' : 'folder'} again:{' '}
            {waiting.value.source.map(({ file }) => file).slice(-1)}
          </span>
        </p>
      )}
      <form
        class="bring-address"
        onSubmit={(event) => {
          event.preventDefault();
          go((input) => getModel(input, nameOfInput(input)));
        }}
      >
        <label for={id}>Hugging Face name or address</label>
        <input
          id={id}
          type="text"
          inputMode="url"
          autocomplete="off"
          spellcheck={false}
          value={address}
          placeholder="hf:OWNER/REPO/FILE.gguf"
          aria-describedby={why ? `${id}-why` : undefined}
          aria-invalid={why !== ''}
          onInput={(event) => {
            setAddress(event.currentTarget.value);
            setWhy('');
          }}
        />
        <span class="own-actions">
          <button type="submit" class="button primary" disabled={!text}>
            Download
          </button>
          <button type="button" class="button" disabled={!text} onClick={() => go((input) => void look(input))}>
            Make it smaller…
          </button>
        </span>
        {why && (
          <p id={`${id}-why`} class="notice bad" role="alert">
            <WarnIcon /> <span>{why}</span>
          </p>
        )}
      </form>
      <p class="own-actions">
        <button type="button" class="button" onClick={() => void pick('files')}>
          <ModelIcon /> Choose a file
        </button>
        <button type="button" class="button" onClick={() => void pick('folder')}>
          <FolderIcon /> Choose a folder
        </button>
        <span class="hint where-mouse">or drop it anywhere here</span>
      </p>
      <Pickers files={files} folder={folder} accept=".gguf,.bin,.safetensors,.json,.model" name="model" onFiles={taken} />
    </>
  );
}

/** Directly in the folder: what lies deeper is another form of the same weights. */
const inTop = (file: File) => file.webkitRelativePath.split('/').length <= 2;

/** "hf:owner/repo/file.gguf" -> "file", "https://host/a/b.bin" -> "b", "hf:owner/repo" -> "repo". */
function nameOfInput(input: string): string {
  const path = input.replace(/^hf:(\/\/)?/, '').replace(/[?#].*$/, '').replace(/@[^/]*$/, '');
  return decodeURI(path.split('/').filter(Boolean).pop() ?? input).replace(/\.(gguf|bin)$/i, '');
}

/* ---- what is to become of files ---- */

function Decide({ now }: { now: Incoming }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    box.current!.scrollIntoView({ block: 'nearest' });
    box.current!.querySelector<HTMLButtonElement>('.own-actions button')?.focus({ preventScroll: true });
  }, [now.at]);
  return (
    <div ref={box} class="bring-work" data-testid="incoming">
      <Decision now={now} />
    </div>
  );
}

function Decision({ now }: { now: Incoming }) {
  if (now.at === 'failed' || now.at === 'kept') {
    return (
      <>
        {now.at === 'failed' ? (
          <p class="notice bad" role="alert">
            <WarnIcon /> <span>{now.why}</span>
          </p>
        ) : (
          <p class="notice good" role="status">
            <CheckIcon /> <span>{now.name} is on this device.</span>
          </p>
        )}
        <p class="own-actions">
          <button type="button" class="button small" onClick={leaveIncoming}>
            {now.at === 'failed' ? 'Back' : 'Done'}
          </button>
        </p>
      </>
    );
  }
  const { of } = now;
  if (now.at === 'copying') {
    return (
      <>
        <p>
          Copying <strong>{of.name}</strong>: {megabytes(now.bytes)} of {megabytes(of.bytes)}
        </p>
        <Bar label={`Copying ${of.name}`} fraction={of.bytes > 0 ? now.bytes / of.bytes : undefined} />
        <p class="own-actions">
          <button type="button" class="button small" onClick={leaveIncoming}>
            Cancel
          </button>
        </p>
      </>
    );
  }
  const rather = of.full || !of.keeps;
  const keeper = of.keeps && (
    <button type="button" class={rather ? 'button' : 'button primary'} onClick={() => void keep()}>
      Keep on this device
    </button>
  );
  const shrinker = (
    <button type="button" class={rather ? 'button primary' : 'button'} onClick={smaller}>
      Make it smaller…
    </button>
  );
  return (
    <>
      <p>
        <strong>{of.name}</strong>, {megabytes(of.bytes)}
        {of.files.length > 1 && `, ${of.files.length} files`}
      </p>
      <p class="hint">
        {rather
          ? 'These weights are as they were published: made smaller they take less room and memory, and are quicker.'
          : 'Kept, it is here for next time. Used once, it is read from where it lies, and forgotten with the page.'}
      </p>
      <p class="own-actions">
        {rather ? [shrinker, keeper] : [keeper, shrinker]}
        <button type="button" class="button" onClick={once}>
          Use it once
        </button>
        <button type="button" class="button quiet" onClick={leaveIncoming}>
          Cancel
        </button>
      </p>
    </>
  );
}
