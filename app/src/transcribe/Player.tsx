/* What is heard: the name, the picture where there is one, the waveform, play and speed. */

import { useEffect, useRef, useState } from 'preact/hooks';
import WaveSurfer from 'wavesurfer.js';
import { player, position, source, startOver } from './state.ts';
import { clock, spoken } from '../ui/words.ts';
import { BackIcon, PauseIcon, PlayIcon, SaveIcon } from '../ui/icons.tsx';

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

export function Player() {
  const from = source.value!;
  const media = useRef<HTMLVideoElement>(null);
  const wave = useRef<HTMLDivElement>(null);
  const [playing, setPlaying] = useState(false);
  const [rate, setRate] = useState(1);

  useEffect(() => {
    const element = media.current!;
    const follow = () => {
      position.value = element.currentTime;
    };
    let frame = 0;
    const onPlay = () => {
      setPlaying(true);
      const each = () => {
        follow();
        frame = requestAnimationFrame(each);
      };
      each();
    };
    const onPause = () => {
      setPlaying(false);
      cancelAnimationFrame(frame);
      follow();
    };
    element.addEventListener('play', onPlay);
    element.addEventListener('pause', onPause);
    element.addEventListener('seeking', follow);
    player.current = {
      playFrom: (seconds) => {
        element.currentTime = seconds;
        follow();
        void element.play().catch(() => {}); // without sound there is still the text
      },
      toggle: () => void (element.paused ? element.play().catch(() => {}) : element.pause()),
    };
    return () => {
      cancelAnimationFrame(frame);
      element.removeEventListener('play', onPlay);
      element.removeEventListener('pause', onPause);
      element.removeEventListener('seeking', follow);
      player.current = null;
    };
  }, []);

  useEffect(() => {
    if (!from.peaks || !from.url) return;
    const colors = () => {
      const style = getComputedStyle(wave.current!);
      return {
        waveColor: style.getPropertyValue('--wave').trim(),
        progressColor: style.getPropertyValue('--accent').trim(),
        cursorColor: style.getPropertyValue('--accent').trim(),
      };
    };
    const surfer = WaveSurfer.create({
      container: wave.current!,
      media: media.current!,
      url: from.url,
      peaks: [from.peaks],
      duration: from.duration,
      height: 72,
      barWidth: 2,
      barGap: 2,
      barRadius: 2,
      barMinHeight: 2,
      cursorWidth: 2,
      normalize: true,
      dragToSeek: true,
      ...colors(),
    });
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const recolor = () => surfer.setOptions(colors());
    scheme.addEventListener('change', recolor);
    return () => {
      scheme.removeEventListener('change', recolor);
      surfer.destroy();
    };
  }, [from.url, from.peaks]);

  useEffect(() => {
    media.current!.playbackRate = rate;
  }, [rate]);

  const seek = (seconds: number) => {
    media.current!.currentTime = Math.max(0, Math.min(from.duration, seconds));
  };
  const ready = from.duration > 0 && from.url !== '';
  const step = Math.max(1, Math.min(5, from.duration / 20));
  return (
    <section class="card player" aria-labelledby="player-title">
      <div class="player-head">
        <button type="button" class="button quiet" onClick={() => void startOver()}>
          <BackIcon /> New
        </button>
        <h1 id="player-title" tabIndex={-1} title={from.name}>
          {from.name}
        </h1>
        {from.recorded && from.url && (
          <a class="button quiet" href={from.url} download={from.name}>
            <SaveIcon /> Save recording
          </a>
        )}
      </div>
      <video
        ref={media}
        class="picture"
        hidden={!from.video}
        playsInline
        preload="auto"
        src={from.url || undefined}
        aria-label={from.name}
      />
      {from.url ? (
        <div class="wave-box" data-ready={ready}>
          <div ref={wave} class="wave" aria-hidden="true" />
          <input
            type="range"
            class="wave-slider"
            aria-label="Position"
            min={0}
            max={Math.max(from.duration, 0.1)}
            step="any"
            disabled={!ready}
            value={position.value}
            aria-valuetext={`${spoken(position.value)} of ${spoken(from.duration)}`}
            onInput={(event) => seek(Number(event.currentTarget.value))}
            onKeyDown={(event) => {
              const by = { ArrowLeft: -step, ArrowRight: step, ArrowDown: -step, ArrowUp: step }[event.key];
              if (by === undefined) return;
              event.preventDefault();
              seek(media.current!.currentTime + by);
            }}
          />
        </div>
      ) : (
        <p class="hint">The recording was too large to keep over a reload. The transcript is all here.</p>
      )}
      <div class="controls">
        <button
          type="button"
          class="button round"
          disabled={!ready}
          aria-label={playing ? 'Pause' : 'Play'}
          onClick={() => player.current!.toggle()}
        >
          {playing ? <PauseIcon /> : <PlayIcon />}
        </button>
        <p class="clock" data-testid="clock">
          {clock(position.value)} <span>/ {from.duration ? clock(from.duration) : '–:––'}</span>
        </p>
        <label class="speed">
          <span class="sr-only">Playback speed</span>
          <select value={rate} onChange={(event) => setRate(Number(event.currentTarget.value))}>
            {SPEEDS.map((s) => (
              <option key={s} value={s}>
                {s}×
              </option>
            ))}
          </select>
        </label>
      </div>
    </section>
  );
}
