/* Markdown of an answer, also while it grows:
 *
 *   text ──> blocks that cannot change any more (rendered once) + the last two (rendered again as text comes) ──> sanitized
 *
 * So a long answer costs as much as its last blocks, not as its whole, with every token. HTML in an answer is shown as
 * text, pictures as links: nothing is fetched because a model wrote it. */

import createSanitizer from 'dompurify';
import { Marked, type Token, type Tokens } from 'marked';

export type Block = { html: string } | { code: string; language: string };

const escape = (text: string): string =>
  text.replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[c]!);

/** The first word of what stands behind the fence. */
const languageOf = (lang: string | undefined): string => /^[\w+#.-]{1,30}/.exec(lang ?? '')?.[0] ?? '';

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text, block }: Tokens.HTML | Tokens.Tag) => (block ? `<p>${escape(text)}</p>` : escape(text)),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => `<span class="task">${checked ? '☑' : '☐'}</span> `,
    code: ({ text }) => `<pre tabindex="0"><code>${escape(text)}</code></pre>\n`,
    table(token) {
      const row = (cells: Tokens.TableCell[], tag: string) =>
        `<tr>${cells
          .map((cell) => `<${tag}${cell.align ? ` align="${cell.align}"` : ''}>${this.parser.parseInline(cell.tokens)}</${tag}>`)
          .join('')}</tr>`;
      const body = token.rows.map((cells) => row(cells, 'td')).join('');
      return `<div class="wide" tabindex="0"><table><thead>${row(token.header, 'th')}</thead><tbody>${body}</tbody></table></div>\n`;
    },
  },
});

const sanitizer = createSanitizer(window);
sanitizer.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A' || !node.hasAttribute('href')) return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer nofollow');
});
// prettier-ignore
const ALLOWED = {
  ALLOWED_TAGS: [
    'a', 'blockquote', 'br', 'code', 'del', 'div', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol', 'p', 'pre',
    'span', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul',
  ],
  ALLOWED_ATTR: ['href', 'title', 'start', 'align', 'class', 'tabindex'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ADD_URI_SAFE_ATTR: ['start', 'align', 'tabindex'], // hold no addresses
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

function blockOf(token: Token): Block {
  if (token.type === 'code') {
    const { text, lang } = token as Tokens.Code;
    return { code: text, language: languageOf(lang) };
  }
  // Headings of an answer come below those of the page.
  const shown = token.type === 'heading' ? { ...token, depth: Math.min(6, (token as Tokens.Heading).depth + 2) } : token;
  return { html: sanitizer.sanitize(marked.parser([shown as Token]), ALLOWED) };
}

const isBlock = (token: Token): boolean => token.type !== 'space' && token.type !== 'def';

/** How many blocks at the end may still change: the one that grows, and the list before it that it may turn out to go on. */
const OPEN = 2;

/** Reads a text that grows. */
export class BlockReader {
  #text = '';
  #settled: Block[] = [];
  #from = 0; // where in the text the settled blocks end

  /** The blocks of `text`, which mostly begins with the one before it. With `whole`, of a text that is complete. */
  read(text: string, whole: boolean): Block[] {
    const clean = text.replaceAll('\r', '');
    if (whole || !clean.startsWith(this.#text)) {
      this.#settled = [];
      this.#from = 0;
    }
    this.#text = clean;
    const tokens = marked.lexer(clean.slice(this.#from));
    if (whole) return tokens.filter(isBlock).map(blockOf);
    const at = tokens.map((token, i) => (isBlock(token) ? i : -1)).filter((i) => i >= 0);
    const open = at.at(-OPEN) ?? 0;
    for (const token of tokens.slice(0, open)) {
      this.#from += token.raw.length;
      if (isBlock(token)) this.#settled.push(blockOf(token));
    }
    return [...this.#settled, ...tokens.slice(open).filter(isBlock).map(blockOf)];
  }
}
