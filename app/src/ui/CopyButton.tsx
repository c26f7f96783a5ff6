import { useEffect, useRef, useState } from 'preact/hooks';
import { copyText } from './files.ts';
import { CheckIcon, CopyIcon } from './icons.tsx';

const THANKS_MS = 2000;

interface CopyButtonProps {
  text: () => string;
  class?: string;
  label?: string; // for those who hear it, where the button shows its icon alone
  name?: string; // what it says, else "Copy"
}

export function CopyButton({ text, class: look = 'button', label, name = 'Copy' }: CopyButtonProps) {
  const [copied, setCopied] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    setCopied(await copyText(text()));
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setCopied(false), THANKS_MS);
  };
  return (
    <button type="button" class={look} aria-label={label} title={label} onClick={() => void copy()}>
      {copied ? <CheckIcon /> : <CopyIcon />}
      {!label && (copied ? ' Copied' : ` ${name}`)}
    </button>
  );
}
