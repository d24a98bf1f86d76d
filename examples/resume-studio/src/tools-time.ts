// tools-time.ts: how tools and the model server take time, so that it can be a timer, a virtual clock, or none.

/** What takes its time, for whoever injects it. */
export interface Occasion {
  readonly kind: 'model' | 'tool';
  /** The tool; for a model the role it answers, '' where it could not tell. */
  readonly name: string;
  /** The document, draft, advert or letter (with `before` or `after` the sending). */
  readonly about: string;
  /** The conversation a model request belongs to, where its sender says. */
  readonly tree?: string | undefined;
}

/** Resolves after `ms` milliseconds; rejects with the signal's reason, and leaves no timer, once it is aborted. */
export type Delay = (ms: number, signal?: AbortSignal, occasion?: Occasion) => Promise<void>;

/** A real timer. */
export const sleep: Delay = (ms, signal) =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
