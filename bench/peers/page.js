// The comparison by hand: what is chosen ─> plan ─> a frame for each run ─> tables that grow.
import { MODELS, PEERS, plan } from './peers.js';
import { cellsOf, markdown, summary } from './report.js';

const element = (id) => document.getElementById(id);
const form = document.querySelector('form');

/** Whether the server has a file. */
const isThere = async (address) => (await fetch(address, { method: 'HEAD' })).ok;

function addChoice(parent, name, value, { missing, checked }) {
  const label = document.createElement('label');
  const input = Object.assign(document.createElement('input'), { type: 'checkbox', name, value, checked: checked && !missing, disabled: Boolean(missing) });
  label.append(input, ` ${value}`);
  if (missing) Object.assign(label, { className: 'missing', title: missing });
  parent.append(label);
}

async function showChoices() {
  for (const [name, { address, missing }] of Object.entries(MODELS)) {
    addChoice(element('models'), 'models', name, { missing: (await isThere(address)) ? '' : `not there: ${missing}`, checked: name === 'tiny' });
  }
  for (const [name, { folder }] of Object.entries(PEERS)) {
    if (!folder) continue;
    const missing = (await isThere(`/bench/peers/node_modules/${folder}/package.json`)) ? '' : 'not installed: npm ci in bench/peers';
    addChoice(element('peers'), 'peers', name, { missing, checked: true });
  }
}

function chosen() {
  const data = new FormData(form);
  const list = (name) => String(data.get(name)).split(',').map(Number).filter((n) => n > 0);
  const decodes = list('decode');
  return {
    models: data.getAll('models'), peers: data.getAll('peers'), clips: data.getAll('clips'), threads: list('threads'), rounds: Number(data.get('rounds')),
    pairs: list('prefill').map((prefill, i) => ({ prefill, decode: decodes[i] ?? decodes.at(-1) })), limit_s: Number(data.get('limit')),
  };
}

/** One run in a frame; what went wrong is `error`. Removing the frame ends its workers. */
async function runInFrame(what, signal) {
  const frame = Object.assign(document.createElement('iframe'), { src: '/bench/peers/run.html', hidden: true });
  const result = { measures: [] };
  let timer;
  try {
    const over = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`it took more than ${what.limit_s} s`)), what.limit_s * 1e3);
      signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
    });
    document.body.append(frame);
    await new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }));
    const tell = ({ measure, ...rest }) => {
      Object.assign(result, rest);
      if (measure) result.measures.push(measure);
    };
    await Promise.race([frame.contentWindow.run(what, tell), over]);
  } catch (error) {
    result.error = error.message;
  } finally {
    clearTimeout(timer);
    frame.remove();
  }
  return result;
}

function showTables(runs) {
  element('tables').replaceChildren(...summary(runs).flatMap((group) => {
    const title = Object.assign(document.createElement('h2'), { textContent: `${group.model}, ${group.threads} ${group.threads === 1 ? 'thread' : 'threads'}` });
    const table = document.createElement('table');
    cellsOf(group).forEach((cells, i) => {
      const row = table.insertRow();
      for (const text of cells) row.append(Object.assign(document.createElement(i === 0 ? 'th' : 'td'), { textContent: text }));
    });
    const scroll = Object.assign(document.createElement('div'), { className: 'scroll' });
    scroll.append(table);
    return [title, scroll];
  }));
}

async function versionsOf(names) {
  const of = async (name) => (await (await fetch(PEERS[name].folder ? `/bench/peers/node_modules/${PEERS[name].folder}/package.json` : '/js/package.json')).json()).version;
  return Object.fromEntries(await Promise.all(['sotto', ...names].map(async (name) => [name, await of(name)])));
}

function offer(id, text, type) {
  element(id).href = URL.createObjectURL(new Blob([text], { type }));
}

async function runAll(what, signal) {
  const about = { date: new Date().toISOString().slice(0, 10), machine: navigator.platform, cores: navigator.hardwareConcurrency, browser: navigator.userAgent, ...what };
  const runs = [];
  const given_up = new Set();
  for (const step of plan(what)) {
    if (signal.aborted) break;
    const mark = (peer) => `${peer} ${step.model} ${step.threads}`;
    if (given_up.has(mark(step.peer)) || given_up.has(mark(step.against))) continue;
    element('state').textContent = `${step.model}, ${step.threads} threads, round ${step.round + 1}: ${step.peer}`;
    const run = { ...step, kind: MODELS[step.model].kind, ...(await runInFrame({ ...what, ...step }, signal)) };
    if (run.error && step.peer !== 'sotto') given_up.add(mark(step.peer));
    runs.push(run);
    showTables(runs);
  }
  const report = { about, versions: await versionsOf(what.peers), runs };
  offer('json', JSON.stringify(report, null, 2), 'application/json');
  offer('markdown', markdown(report), 'text/markdown');
  element('saving').hidden = runs.length === 0;
  element('state').textContent = runs.length === 0 ? 'Choose a model.' : 'Done.';
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const [start] = form.querySelectorAll('button');
  const controller = new AbortController();
  element('stop').onclick = () => controller.abort();
  [start.disabled, element('stop').disabled] = [true, false];
  try {
    await runAll(chosen(), controller.signal);
  } catch (error) {
    element('state').textContent = error.message;
  }
  [start.disabled, element('stop').disabled] = [false, true];
});

await showChoices();
