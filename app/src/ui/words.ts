/* Times, sizes and file names as people read them. */

/** 75.3 -> "1:15"; with tenths "1:15.3"; from an hour on "1:01:15". */
export function clock(seconds: number, tenths = false): string {
  const whole = Math.max(0, tenths ? Math.floor(seconds * 10) / 10 : Math.floor(seconds));
  const h = Math.floor(whole / 3600);
  const m = Math.floor(whole / 60) % 60;
  const s = whole % 60;
  const text = tenths ? s.toFixed(1).padStart(4, '0') : String(Math.floor(s)).padStart(2, '0');
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${text}` : `${m}:${text}`;
}

/** 75.3 -> "1 minute 15 seconds", for screen readers. */
export function spoken(seconds: number): string {
  const parts: [number, string][] = [
    [Math.floor(seconds / 3600), 'hour'],
    [Math.floor(seconds / 60) % 60, 'minute'],
    [Math.floor(seconds) % 60, 'second'],
  ];
  const said = parts.filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}${n === 1 ? '' : 's'}`);
  return said.join(' ') || '0 seconds';
}

/** 32152673 -> "32 MB". */
export function megabytes(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return `${bytes < 1e7 ? (bytes / 1e6).toFixed(1) : Math.round(bytes / 1e6)} MB`;
}

/** 12345 -> "12,345". */
export function grouped(n: number): string {
  return n.toLocaleString('en');
}

/** "now", "5 min", "3 h", "Tue", "4 Mar", "Mar 2024": when something was, seen from `now`. */
export function when(at: number, now = Date.now()): string {
  const minutes = (now - at) / 60_000;
  const date = new Date(at);
  if (minutes < 1) return 'now';
  if (minutes < 60) return `${Math.floor(minutes)} min`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h`;
  if (minutes < 6 * 24 * 60) return date.toLocaleDateString('en', { weekday: 'short' });
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  return date.toLocaleDateString('en-GB', { month: 'short', ...(sameYear ? { day: 'numeric' } : { year: 'numeric' }) });
}

/** 0.84 -> "0.8 s", 42.3 -> "42 s", 75 -> "1:15 min". */
export function elapsed(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${clock(seconds)} min`;
}

/** "talk.final.mp3" -> "talk.final". */
export function stem(name: string): string {
  return name.replace(/\.[^.\s]{1,5}$/, '') || 'transcript';
}
