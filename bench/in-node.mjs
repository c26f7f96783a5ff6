// One measurement of the package in a process of its own: node bench/in-node.mjs KIND JSON, as measure.js has them; prints JSON.
import { readFile } from 'node:fs/promises';
import * as sotto from '../js/dist/index.node.js';
import { kinds } from './measure.js';

const [kind, what] = process.argv.slice(2);
const result = await kinds[kind](sotto, JSON.parse(what), readFile);
console.log(JSON.stringify({ node: process.version, ...result, resident_bytes: process.resourceUsage().maxRSS * 1024 }));
