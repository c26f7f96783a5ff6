/* The branch that is shown, from its first message to the answer that is being written. It follows that answer as long as
 * its end is in view. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { addressOf } from '../route.ts';
import { ChatIcon, DownIcon } from '../ui/icons.tsx';
import { megabytes } from '../ui/words.ts';
import { MessageView } from './MessageView.tsx';
import { chosen } from './model-state.ts';
import { answering, current, path, send } from './state.ts';
import { siblingsOf } from './tree.ts';

const NEAR = 64; // px from the end that still count as being there

export function Thread() {
  const box = useRef<HTMLDivElement>(null);
  const inside = useRef<HTMLDivElement>(null);
  const [away, setAway] = useState(false);
  const follows = useRef(true);
  const toEnd = () => {
    box.current!.scrollTop = path.value.length > 0 ? box.current!.scrollHeight : 0; // a welcome is read from its top
  };
  const turns = path.value;
  const conversation = current.value;
  useEffect(() => {
    const observer = new ResizeObserver(() => follows.current && toEnd());
    observer.observe(inside.current!);
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    follows.current = true;
    toEnd();
  }, [conversation.id, turns.length]);
  const onScroll = () => {
    const { scrollHeight, scrollTop, clientHeight } = box.current!;
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR;
    setAway(path.value.length > 0 && !follows.current);
  };
  const now = answering.value;
  return (
    <div class="thread">
      <div ref={box} class="thread-scroll" tabIndex={0} role="region" aria-label="Messages" onScroll={onScroll}>
        <div ref={inside} class="thread-inside">
          {turns.length === 0 ? (
            <Welcome />
          ) : (
            <>
              <ol class="messages">
                {turns.map((turn, i) => (
                  <MessageView
                    key={turn.id}
                    turn={turn}
                    siblings={siblingsOf(conversation, turn)}
                    last={i === turns.length - 1}
                    phase={now?.turn === turn.id ? now.phase : null}
                    busy={now !== null}
                  />
                ))}
              </ol>
              <FollowUps />
            </>
          )}
        </div>
      </div>
      {away && (
        <button
          type="button"
          class="button to-end"
          aria-label="To the latest message"
          title="To the latest message"
          onClick={toEnd}
        >
          <DownIcon />
        </button>
      )}
    </div>
  );
}

const STORIES = [
  'Tell me a story about a dog and a ball.',
  'Write a story with these words: moon, boat, friend.',
  'Continue this story: Once upon a time there was a little fox who could not sleep.',
];
const TASKS = [
  'Explain how a rainbow forms, in three sentences.',
  'Write a polite reply that declines an invitation.',
  'List five ideas for a rainy Sunday, as a table.',
];

/** What the story teller can do with the story that it told. */
function FollowUps() {
  const last = path.value.at(-1);
  if (!chosen.value.storyteller || answering.value || last?.role !== 'assistant' || !last.text) return null;
  return (
    <ul class="follow-ups" aria-label="Ways to go on">
      {['Continue the story.', 'What happened then?'].map((text) => (
        <li key={text}>
          <button type="button" class="button small" onClick={() => send(text)}>
            {text}
          </button>
        </li>
      ))}
    </ul>
  );
}

/** What the model is, and ways to begin. */
function Welcome() {
  const { storyteller, name, about, bytes } = chosen.value;
  return (
    <div class="welcome">
      <ChatIcon />
      <h2>{storyteller ? 'What shall the story be about?' : 'What is on your mind?'}</h2>
      {storyteller ? (
        <p>
          <strong>{name}</strong> comes with this page ({megabytes(bytes)}, no download from elsewhere). It is a very
          small model that tells short children’s stories, and that is all it can: it knows no facts and answers no
          questions.{' '}
          <a href={addressOf('models')}>Get a model to talk with</a>
        </p>
      ) : (
        <p>
          <strong>{name}</strong>. {about} It runs on this device: what you write stays here.
        </p>
      )}
      <ul class="ideas" aria-label="Ways to begin">
        {(storyteller ? STORIES : TASKS).map((idea) => (
          <li key={idea}>
            <button type="button" class="card idea" disabled={answering.value !== null} onClick={() => send(idea)}>
              {idea}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
