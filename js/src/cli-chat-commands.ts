// What a line that begins with a slash does in a chat.
import { homedir } from 'node:os';
import path from 'node:path';
import { integer, UsageError } from './args.js';
import type { Chat, Next } from './cli-chat.js';
import { Conversation } from './cli-conversation.js';
import { placeInWords } from './cli-gpu.js';
import { MOST_TOKENS } from './cli-language.js';
import { replyTimings } from './cli-reply.js';
import { findSetting, listSettings, samplingOption } from './cli-sampling.js';

type Run = (chat: Chat, argument: string) => Next | Promise<Next>;

// ---- the conversation ----

const system: Run = (chat, argument) => {
  const { conversation } = chat;
  if (argument === '') {
    if (conversation.system === '') chat.note('there is no system text');
    else process.stderr.write(`${conversation.system}\n`);
    return 'read';
  }
  conversation.system = argument === '""' ? '' : argument;
  chat.note(conversation.system === '' ? 'there is no system text any more' : 'the model is told this from now on');
  return 'read';
};

const undo: Run = (chat) => {
  const { conversation } = chat;
  if (conversation.nTurns === 0) return chat.complain('there is nothing to undo');
  conversation.dropAnswer();
  conversation.drop();
  chat.note(`the last message and its answer are taken back; ${conversation.nTurns} turns are left`);
  return 'read';
};

const retry: Run = (chat) => {
  const { conversation } = chat;
  if (conversation.nTurns === 0) return chat.complain('there is nothing to answer again');
  conversation.dropAnswer();
  return 'answer';
};

const edit: Run = async (chat, argument) => {
  const { conversation, messages } = chat;
  if (conversation.nTurns === 0) return chat.complain('there is no message to edit');
  let message = argument;
  if (message === '') {
    if (!messages.onTerminal) return chat.complain('give the new text: /edit TEXT');
    const line = await messages.read(conversation.lastMessage);
    if (typeof line === 'string' || line.text === '') {
      chat.note('nothing was changed');
      return 'read';
    }
    message = line.text;
    messages.remember(message);
  }
  conversation.dropAnswer();
  conversation.drop();
  conversation.add(message);
  return 'answer';
};

const clear: Run = (chat) => {
  chat.conversation.clear();
  chat.note(
    chat.conversation.system === ''
      ? 'the conversation begins anew'
      : 'the conversation begins anew; the system text stays',
  );
  return 'read';
};

// ---- files ----

/** A path as a shell would read it. */
const expanded = (file: string): string => (file.startsWith('~/') ? path.join(homedir(), file.slice(2)) : file);

const save: Run = async (chat, argument) => {
  const file = argument === '' ? chat.request.save : argument;
  if (file === undefined) return chat.complain('name the file: /save FILE');
  if (await chat.save(expanded(file))) chat.note(`saved to ${expanded(file)}`);
  return 'read';
};

const load: Run = async (chat, argument) => {
  if (argument === '') return chat.complain('name the file: /load FILE');
  try {
    chat.conversation = await Conversation.load(expanded(argument));
  } catch (error) {
    return chat.complain(error);
  }
  chat.note(`${chat.conversation.nTurns} turns were loaded`);
  return chat.conversation.awaitsAnswer ? 'answer' : 'read';
};

// ---- settings and numbers ----

const stats: Run = ({ last, model, conversation }) => {
  const { isa, loadMs } = model.info;
  if (last) process.stderr.write(replyTimings(last, loadMs));
  const hidden = conversation.first > 0 ? `, of which the model no longer sees the first ${conversation.first}` : '';
  process.stderr.write(
    `context: ${model.contextUsage} of ${model.contextWindow} tokens in use; ${conversation.nTurns} turns${hidden}; ${placeInWords(model.info)}, ${isa}\n`,
  );
  return 'read';
};

const set: Run = (chat, argument) => {
  const { request } = chat;
  if (argument === '') {
    const tokens = request.tokens === undefined ? '' : `  ${'tokens'.padEnd(20)} ${request.tokens}\n`;
    process.stderr.write(listSettings(request.sampling) + tokens);
    return 'read';
  }
  const [, name, value] = /^([^ \t=]*)[ \t=]*([^]*)$/.exec(argument)!;
  const setting = findSetting(name);
  if (setting === undefined && name !== 'tokens')
    return chat.complain(`there is no setting '${name}'; /set lists them`);
  try {
    if (setting === undefined) request.tokens = integer(name, value, 0, MOST_TOKENS);
    else samplingOption(request.sampling, setting, name, value);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return chat.complain(error);
  }
  return 'read';
};

// ---- the list ----

const help: Run = () => {
  const lines = COMMANDS.map(([name, argument, what]) => `  ${name.padEnd(8)}${argument.padEnd(13)} ${what}\n`);
  process.stderr.write(
    lines.join('') +
      '\n' +
      '  A line that ends with \\ goes on in the next one; so do all lines between """ and """.\n' +
      '  Ctrl-C stops an answer. A message that begins with a slash: write two.\n',
  );
  return 'read';
};

const COMMANDS: [name: string, argument: string, what: string, run: Run][] = [
  ['/help', '', 'this list', help],
  ['/system', 'TEXT', 'what the model is told before the conversation; without TEXT: shows it; "": nothing', system],
  ['/retry', '', 'answers the last message again', retry],
  ['/edit', '[TEXT]', 'changes the last message, and answers it', edit],
  ['/undo', '', 'takes the last message and its answer back', undo],
  ['/clear', '', 'begins anew; the system text stays', clear],
  ['/save', 'FILE', 'writes the conversation to a file (JSON)', save],
  ['/load', 'FILE', 'goes on with the conversation of a file', load],
  ['/set', '[NAME VALUE]', 'temperature, top-k, top-p, ..., tokens; without: lists them', set],
  ['/stats', '', 'speed of the last answer, context and memory in use', stats],
  ['/exit', '', 'ends (Ctrl-D too)', () => 'end'],
];

export const commandNames: readonly string[] = COMMANDS.map(([name]) => name);

export function runCommand(chat: Chat, line: string): Next | Promise<Next> {
  const [, name, argument] = /^(\S*)\s*([^]*?)\s*$/.exec(line)!;
  const known = COMMANDS.find(([n]) => n === (name === '/quit' ? '/exit' : name));
  if (!known) return chat.complain(`there is no command ${name}; /help lists them`);
  return known[3](chat, argument);
}
