import { LanguageModel, Transcriber } from 'sotto';

const answer = document.querySelector('#answer');
let model, transcriber; // loaded when they are needed first, then kept

document.querySelector('#ask').onsubmit = async (event) => {
  event.preventDefault();
  answer.textContent = '';
  model ??= LanguageModel.create(); // { model: 'gemma-3-1b-q4_0' }: a model to talk with
  const question = new FormData(event.target).get('question');
  for await (const text of (await model).promptStreaming(question, { maxTokens: 60 })) answer.textContent += text;
  answer.dataset.done = 'true';
};

document.querySelector('#recording').onchange = async (event) => {
  answer.textContent = '';
  transcriber ??= Transcriber.create({ model: 'tiny-q5_1' });
  for await (const segment of (await transcriber).transcribe(event.target.files[0])) answer.textContent += segment.text;
  answer.dataset.done = 'true';
};
