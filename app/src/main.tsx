import { render } from 'preact';
import { App } from './App.tsx';
import { beginSeal } from './frame/seal.ts';
import { startService } from './frame/service.ts';
import { begin } from './transcribe/state.ts';
import './style/base.css';
import './style/controls.css';
import './style/transcribe.css';

render(<App />, document.getElementById('app')!);
void begin();

if (import.meta.env.PROD) void startService().then(beginSeal);
