import { render } from 'preact';
import { App } from './parts/App.tsx';
import { begin } from './state.ts';
import './style.css';

render(<App />, document.getElementById('app')!);
void begin();
