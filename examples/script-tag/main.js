// The package's files as they are, from any folder of the site. From a CDN, as in
// https://cdn.jsdelivr.net/npm/sotto@0.1/dist/index.js, the policy has to allow its scripts, its requests, and workers from blob:.
import { LanguageModel } from './node_modules/sotto/dist/index.js';

const answer = document.querySelector('#answer');
let model;

document.querySelector('#ask').onsubmit = async (event) => {
  event.preventDefault();
  answer.textContent = '';
  model ??= LanguageModel.create(); // { model: 'gemma-3-1b-q4_0' }: a model to talk with
  const question = new FormData(event.target).get('question');
  for await (const text of (await model).promptStreaming(question, { maxTokens: 60 })) answer.textContent += text;
  answer.dataset.done = 'true';
};
