// tools-time.ts: how tools and the model server take time, so that it can be a timer, a virtual clock, or none.

/** Resolves after `ms` milliseconds; rejects with the signal's reason, and leaves no timer, once it is aborted. */
export type Delay = (ms: number, signal?: AbortSignal) => Promise<void>;

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
