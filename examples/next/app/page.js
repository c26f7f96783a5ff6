'use client'; // models run where the reader is

import { useRef, useState } from 'react';

export default function Page() {
  const [answer, setAnswer] = useState('');
  const [done, setDone] = useState(false);
  const model = useRef();

  async function ask(event) {
    event.preventDefault();
    const question = new FormData(event.currentTarget).get('question');
    setAnswer('');
    const { LanguageModel } = await import('sotto'); // not on the server
    model.current ??= LanguageModel.create(); // { model: 'gemma-3-1b-q4_0' }: a model to talk with
    const stream = (await model.current).promptStreaming(question, { maxTokens: 60 });
    for await (const text of stream) setAnswer((before) => before + text);
    setDone(true);
  }

  return (
    <main>
      <form id="ask" onSubmit={ask}>
        <input name="question" defaultValue="Tell me a story about a dog and a ball." aria-label="Question" />
        <button>Ask</button>
      </form>
      <output id="answer" data-done={done}>
        {answer}
      </output>
    </main>
  );
}
