import { render } from 'preact';
import { App } from './parts/App.tsx';
import { begin } from './state.ts';
import './style.css';

render(<App />, document.getElementById('app')!);
void begin();

if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  // Without it (private windows, plain http) the page works all the same, only not offline.
  navigator.serviceWorker.register('./offline.js').catch(() => {});
}
