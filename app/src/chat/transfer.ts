/* Conversations as files: Markdown to read, JSON to bring back. */

import { conversationOf, newId, pathOf, type Conversation, type Turn } from './tree.ts';
import { Told } from '../ui/told.ts';

const FORMAT = 'sotto-conversations';

/** The branch that is shown, as a document. */
export function markdownOf(conversation: Conversation): string {
  const parts = [`# ${conversation.title.replace(/\n/g, ' ')}`];
  if (conversation.system.trim()) parts.push('## System', conversation.system.trim());
  for (const { role, text, model } of pathOf(conversation)) {
    parts.push(role === 'user' ? '## You' : `## ${model ?? 'Answer'}`, text.trim());
  }
  return `${parts.join('\n\n')}\n`;
}

/** All branches of all that are given. */
export function jsonOf(conversations: readonly Conversation[]): string {
  return `${JSON.stringify({ format: FORMAT, version: 1, conversations }, null, 1)}\n`;
}

/** Conversations out of a file by jsonOf, or a list of {role, content} as other programs write. Throws Told. */
export function conversationsFrom(json: string, name: string): Conversation[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Told(`${name} holds no conversation: it is not JSON. Choose a file that was exported as JSON.`);
  }
  const listed = typeof value === 'object' && value !== null && 'conversations' in value ? value.conversations : value;
  const found = Array.isArray(listed) ? listed.map(conversationOf).filter((c) => c !== null) : [];
  if (found.length > 0) return found;
  const messages = Array.isArray(listed) ? fromMessages(listed, name) : null;
  if (messages) return [messages];
  throw new Told(`${name} holds no conversation. Choose a file that was exported as JSON.`);
}

function fromMessages(messages: unknown[], name: string): Conversation | null {
  const turns: Turn[] = [];
  let system = '';
  for (const message of messages as ({ role?: unknown; content?: unknown } | null)[]) {
    const { role, content } = message ?? {};
    if (typeof content !== 'string') return null;
    if (role === 'system') system = content;
    else if (role === 'user' || role === 'assistant') {
      turns.push({ id: newId(), parent: turns.at(-1)?.id ?? null, role, text: content, at: Date.now(), end: 'end' });
    } else return null;
  }
  return conversationOf({ title: name.replace(/\.json$/i, ''), named: true, system, turns });
}

/** A name for a file of this conversation. */
export function fileNameOf({ title }: Conversation): string {
  return title.replace(/[^\p{L}\p{N}\- ]+/gu, '').trim().slice(0, 50) || 'conversation';
}
