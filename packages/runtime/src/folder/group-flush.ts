// group-flush.ts: one flush at a time; whoever asks while one runs shares the next.
//
// A flush that runs already may have begun before the asker's write, so it proves nothing to the asker.

export class GroupFlush {
  private readonly flushOnce: () => Promise<void>;
  private running: Promise<void> | undefined;
  private next: Promise<void> | undefined;

  constructor(flushOnce: () => Promise<void>) {
    this.flushOnce = flushOnce;
  }

  /** Resolves when everything written before this call is durable. */
  flush(): Promise<void> {
    if (this.next) return this.next;
    if (!this.running) return this.start();
    const after = (): Promise<void> => {
      this.next = undefined;
      return this.start();
    };
    this.next = this.running.then(after, after);
    return this.next;
  }

  private start(): Promise<void> {
    const flush = this.flushOnce();
    const ended = (): void => {
      if (this.running === flush) this.running = undefined;
    };
    this.running = flush;
    flush.then(ended, ended);
    return flush;
  }
}
