// The others that use the same store: tabs, workers, processes. tabs.browser.ts and tabs.node.ts reach them.

/** What is told to the others. */
export type News =
  /** The list is another one. */
  | { type: 'change' }
  /** A file that is being written, now and then. */
  | { type: 'progress'; key: string; bytes: number; size: number | undefined; state: TransferState };

/** What is done right now. 'waiting': another tab downloads it, or the server has not answered yet. */
export type TransferState = 'waiting' | 'downloading' | 'retrying' | 'checking';

export interface Tabs {
  /**
   * The right to write a file (one at a time), or to read it; resolves when it is given, with what gives it back. It is gone with the tab.
   * Throws an AbortError.
   */
  lock(key: string, mode: 'exclusive' | 'shared', signal: AbortSignal): Promise<() => void>;
  /** Keys of those that are being written. */
  writing(): Promise<Set<string>>;
  tell(news: News): void;
  /** Until what it returns is called. */
  hear(listener: (news: News) => void): () => void;
}
