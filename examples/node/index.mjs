// node index.mjs [RECORDING]: an answer as it is written, and what is said in a recording.
import { readFile } from 'node:fs/promises';
import OpenAI from 'sotto/openai';

const client = new OpenAI();
const stream = await client.chat.completions.create({
  model: 'default', // the story teller that ships with the package; 'gemma-3-1b-q4_0': a model to talk with
  messages: [{ role: 'user', content: 'Tell me a story about a dog and a ball.' }],
  max_tokens: 60,
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0].delta.content ?? '');
console.log();

if (process.argv[2]) {
  const file = new File([await readFile(process.argv[2])], process.argv[2]);
  console.log((await client.audio.transcriptions.create({ model: 'whisper-1', file })).text);
}
await client.close();
