// in-time.ts: one question to a broker, with an end whatever the broker does.

import type { Clock } from '../clock.ts';

/** A broker that has not answered by then has not answered. Milliseconds: a token server far away takes a second or two. */
export const brokerTimeoutMs = 10_000;

/** Rejects when the time is over; what `work` comes to after that is for whoever keeps its promise. */
export function inTime<T>(clock: Clock, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const controller = new AbortController();
    const timer = clock.setTimeout(() => {
      const late = new Error(`no answer within ${brokerTimeoutMs} ms`);
      reject(late);
      controller.abort(late);
    }, brokerTimeoutMs);
    // A broker may throw before it has a promise.
    const asked = new Promise<T>((answer) => answer(work(controller.signal)));
    asked.then(resolve, reject).finally(() => clock.clearTimeout(timer));
  });
}
