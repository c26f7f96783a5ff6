// The Markdown of answers, in a browser, while it grows and when it is done.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Pages, root, whyNot } from './browser.mjs';

const missing = whyNot('chromium', { chat: true });
if (missing) console.log(`skip: ${missing}`);

const TEXT = `# One

A paragraph with **bold**, *em* and \`code\`,
over two lines.

- a
- b

  with a second paragraph
  - nested

1. first

2. second, after a gap

\`\`\`js
const fence = '\`\`';

// an empty line before
\`\`\`

> quoted
> twice

| a | b |
|---|--:|
| 1 | 2 |
| 3 | 4 |

Setext
------

***

The end, [a link][x] and <b>no HTML</b>.

[x]: https://example.com/x
`;

describe('Markdown', { skip: missing, timeout: 120_000 }, () => {
  const pages = new Pages();
  let script;
  before(async () => {
    await pages.start();
    const { build } = createRequire(join(root, 'js/package.json'))('esbuild');
    const options = { bundle: true, write: false, format: 'iife', globalName: 'markdown', logLevel: 'error' };
    const { outputFiles } = await build({ ...options, entryPoints: [join(root, 'app/src/chat/markdown.ts')] });
    script = outputFiles[0].text;
  });
  after(() => pages.stop());
  const withReader = (steps) =>
    pages.onPage({ bypassCSP: true }, async (page) => {
      await page.addScriptTag({ content: script });
      await steps(page);
    });

  test('is the same in the end, however it came', () =>
    withReader(async (page) => {
      const { grown, whole } = await page.evaluate((text) => {
        const reader = new globalThis.markdown.BlockReader();
        for (let n = 1; n < text.length; n++) reader.read(text.slice(0, n), false);
        return { grown: reader.read(text, true), whole: new globalThis.markdown.BlockReader().read(text, true) };
      }, TEXT);
      assert.deepEqual(grown, whole);
      const html = whole.map((block) => block.html ?? `[${block.language}]${block.code}`).join('');
      for (const part of ['<h3>One</h3>', '<strong>bold</strong>', "[js]const fence = '``';\n\n// an empty line before", '<h4>Setext</h4>', 'href="https://example.com/x"', '&lt;b&gt;no HTML&lt;/b&gt;', '<td align="right">2</td>', '<div class="wide" tabindex="0">']) {
        assert.ok(html.includes(part), `${part} in ${html}`);
      }
    }));

  test('touches only its last blocks while it grows, and what was settled is right', () =>
    withReader(async (page) => {
      const { most, wrong, blocks } = await page.evaluate((text) => {
        const long = Array.from({ length: 20 }, (_, i) => text.replace('# One', `# Part ${i}`)).join('\n');
        const reader = new globalThis.markdown.BlockReader();
        const final = new globalThis.markdown.BlockReader().read(long, true);
        let before = [];
        let most = 0; // blocks that were made anew in one step
        for (let n = 1; n <= long.length; n += 3) {
          const now = reader.read(long.slice(0, n), false);
          most = Math.max(most, now.filter((block) => !before.includes(block)).length);
          before = now;
        }
        const plain = (block) => (block.html ?? block.code).replaceAll(/<\/?a[^>]*>|\[x\]/g, '').replace('[a link]', 'a link');
        const wrong = before.map(plain).filter((text, i) => text !== plain(final[i]));
        return { most, wrong, blocks: final.length };
      }, TEXT);
      assert.ok(blocks > 150, `${blocks} blocks`);
      assert.ok(most <= 4, `${most} blocks at once`);
      assert.deepEqual(wrong, []);
    }));

  test('lets no script, picture, frame, style or event through', () =>
    withReader(async (page) => {
      const hostile = [
        '<img src=x onerror=harm()>',
        '<scr<script>ipt>harm()</script>',
        '<svg/onload=harm()>',
        '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=harm()&gt;">',
        '[a](javascript:harm())',
        '[a](JaVaScRiPt&#58;harm())',
        '[a](&#x6A;avascript:harm())',
        '[a](data:text/html;base64,PHNjcmlwdD4=)',
        '[a](vbscript:harm())',
        '[a](<javascript:harm()>)',
        '[a](https://example.com "x\\" onmouseover=harm() y=\\"")',
        '![a](https://example.com/x.png "t\\" onload=harm()")',
        '![a](x" onerror="harm())',
        '<a href="javascript:harm()">a</a>',
        '<javascript:harm()>',
        '`<img src=x onerror=harm()>`',
        '| <img src=x onerror=harm()> |\n|---|\n| <iframe srcdoc="<script>harm()</script>"> |',
        '- <form action=//example.com><button>x</button></form>',
        '<style>body { display: none }</style>',
        '<div style="position:fixed;inset:0">x</div>',
        '# <input autofocus onfocus=harm()>',
        '```"><img src=x onerror=harm()>\ncode\n```',
        '> ```x onload=harm()\n> <b>\n> ```',
      ];
      const found = await page.evaluate(async (texts) => {
        globalThis.harm = () => (globalThis.harmed = true);
        const problems = [];
        for (const text of texts) {
          const holder = document.createElement('div');
          for (const block of new globalThis.markdown.BlockReader().read(text, true)) {
            if ('html' in block) holder.insertAdjacentHTML('beforeend', block.html);
            else holder.append(block.code);
            if (block.language && !/^[\w+#.-]+$/.test(block.language)) problems.push(`${text}: language ${block.language}`);
          }
          document.body.append(holder);
          for (const element of holder.querySelectorAll('*')) {
            if (!/^(A|BLOCKQUOTE|BR|CODE|DEL|DIV|EM|H[1-6]|HR|LI|OL|P|PRE|SPAN|STRONG|TABLE|TBODY|TD|TH|THEAD|TR|UL)$/.test(element.tagName)) problems.push(`${text}: ${element.tagName}`);
            for (const { name, value } of element.attributes) {
              if (/^on|^style$|^src/.test(name) || (name === 'href' && !/^(https?|mailto):/.test(value))) problems.push(`${text}: ${name}=${value}`);
            }
          }
          for (const link of holder.querySelectorAll('a:not([href])')) link.click();
        }
        await new Promise((done) => setTimeout(done, 200));
        return globalThis.harmed ? [...problems, 'a script ran'] : problems;
      }, hostile);
      assert.deepEqual(found, []);
    }));
});
