import { render } from 'preact';
import { App } from './App.tsx';
import { begin } from './transcribe/state.ts';
import './style/base.css';
import './style/controls.css';
import './style/transcribe.css';

render(<App />, document.getElementById('app')!);
void begin();

if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  // Without it (private windows, plain http) the page works all the same, only not offline.
  navigator.serviceWorker.register('./offline.js').catch(() => {});
}
