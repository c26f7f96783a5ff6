/* The hidden inputs behind "open a file" and "open a folder". */

import type { RefObject } from 'preact';

interface Props {
  /** Where the inputs are put: click() opens their dialogs. */
  files: RefObject<HTMLInputElement | null>;
  folder: RefObject<HTMLInputElement | null>;
  accept: string;
  /** Of the inputs, for tests: NAME-files, NAME-folder. */
  name: string;
  onFiles: (files: File[]) => void;
}

export function Pickers({ files, folder, accept, name, onFiles }: Props) {
  const take = (input: HTMLInputElement) => {
    const chosen = [...(input.files ?? [])];
    input.value = ''; // the same files can be chosen again
    onFiles(chosen);
  };
  return (
    <>
      <input
        ref={files}
        type="file"
        multiple
        accept={accept}
        hidden
        data-testid={`${name}-files`}
        onChange={(event) => take(event.currentTarget)}
      />
      <input
        ref={(input) => {
          folder.current = input;
          input?.setAttribute('webkitdirectory', '');
        }}
        type="file"
        hidden
        data-testid={`${name}-folder`}
        onChange={(event) => take(event.currentTarget)}
      />
    </>
  );
}
