import { render } from 'preact';
import { App } from './App.tsx';
import { beginInstall } from './frame/install.ts';
import { beginSeal } from './frame/seal.ts';
import { startService } from './frame/service.ts';
import { resumeDownloads } from './models/resume.ts';
import './style/base.css';
import './style/controls.css';
import './style/transcribe.css';

const root = document.getElementById('app')!;
root.replaceChildren(); // the header of index.html, drawn anew in the same frame
render(<App />, root);
beginInstall();

if (import.meta.env.PROD) {
  void startService();
  beginSeal();
}
void resumeDownloads();
