// What the tests of the chat have in common: where things are on it, and steps that many of them take.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LONG, root } from './browser.mjs';

/** What the original weights write, computed in float64. */
export const { vectors } = JSON.parse(await readFile(join(root, 'tests/fixtures/teller/vectors.json'), 'utf8'));

/** Characters of a reference that its first ten tokens hold, which 8-bit weights do not change. */
export const SURE = 30;

export const composer = (page) => page.getByRole('textbox', { name: 'Message', exact: true });
export const answers = (page) => page.locator('.message.theirs');
export const questions = (page) => page.locator('.message.mine .bubble');
export const textOf = (answer) => answer.locator('.markdown').innerText();
export const titles = (page) => page.locator('.chat-side .conversation-title').allInnerTexts();

/** Answers that are done. */
const done = (page, n) =>
  page.waitForFunction(
    (count) =>
      document.querySelectorAll('.message.theirs').length === count &&
      document.querySelectorAll('.message.theirs[aria-busy=true]').length === 0,
    n,
    { timeout: LONG },
  );

/** Sends a message and waits for the answer, the n-th of the branch. */
export async function ask(page, text, n = 1) {
  await composer(page).fill(text);
  await composer(page).press('Enter');
  await done(page, n);
  return answers(page).nth(n - 1);
}

export const answered = done;

/** Opens the settings, takes steps there, and closes them. */
export async function inSettings(page, steps) {
  await page.getByRole('button', { name: 'Settings', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Settings' });
  await dialog.waitFor();
  await steps(dialog);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
}

const reset = async (dialog) => {
  const button = dialog.getByRole('button', { name: 'Back to the defaults' });
  if (await button.isEnabled()) await button.click();
};

/** The likeliest text, and no more of it than `tokens`. */
export const greedy = (page, tokens) =>
  inSettings(page, async (dialog) => {
    await reset(dialog);
    await dialog.getByLabel('Temperature').fill('0');
    if (tokens) {
      await dialog.getByLabel('Longest answer').fill(String(tokens));
      await dialog.getByLabel('Longest answer').press('Tab');
    }
  });

/** What was said becomes ever likelier, so that an answer goes round in circles until the context is full. */
export const endless = (page) =>
  inSettings(page, async (dialog) => {
    await reset(dialog);
    await dialog.getByLabel('Temperature').fill('0');
    await dialog.getByText('Against repetition').click();
    await dialog.getByLabel('Frequency').fill('-2');
  });

/** A conversation as an export writes it, whose only answer is `text`. */
export function conversationWith(text, { title = 'Imported', id = 'imported-1' } = {}) {
  const at = Date.UTC(2024, 5, 1);
  const turns = [
    { id: 'q', parent: null, role: 'user', text: 'Show me.', at },
    { id: 'a', parent: 'q', role: 'assistant', text, at, model: 'Teller', end: 'end' },
  ];
  const conversation = { id, title, named: true, created: at, changed: at, system: '', turns, leaf: 'a' };
  return JSON.stringify({ format: 'sotto-conversations', version: 1, conversations: [conversation] });
}

export async function importJson(page, json, name = 'conversations.json') {
  await page.getByTestId('import').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(json) });
}
