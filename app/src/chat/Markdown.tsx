import { memo } from 'preact/compat';
import { useRef } from 'preact/hooks';
import { CopyButton } from '../ui/CopyButton.tsx';
import { BlockReader, type Block } from './markdown.ts';

/** An answer's Markdown. While it grows, blocks that are done are not touched again. */
export const Markdown = memo(function Markdown({ text, whole }: { text: string; whole: boolean }) {
  const reader = useRef<BlockReader | null>(null);
  reader.current ??= new BlockReader();
  const blocks = reader.current.read(text, whole);
  return (
    <div class="markdown" dir="auto">
      {blocks.map((block, i) => (
        <Piece key={i} {...plain(block)} />
      ))}
    </div>
  );
});

/** As properties that compare by value. */
const plain = (block: Block): PieceProps => ('html' in block ? { html: block.html } : { code: block.code, language: block.language });

interface PieceProps {
  html?: string;
  code?: string;
  language?: string;
}

const Piece = memo(function Piece({ html, code = '', language = '' }: PieceProps) {
  if (html !== undefined) return <div class="block" dangerouslySetInnerHTML={{ __html: html }} />;
  return (
    <figure class="code" aria-label={language ? `Code, ${language}` : 'Code'}>
      <figcaption>
        <span>{language || 'code'}</span>
        <CopyButton text={() => code} class="button quiet small" />
      </figcaption>
      <pre tabIndex={0} dir="ltr">
        <code>{code}</code>
      </pre>
    </figure>
  );
});
