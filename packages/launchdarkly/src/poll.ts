// poll.ts: asks LaunchDarkly what it holds, again and again, so that a stream which says nothing is not taken for no news.
//
// A stream's heartbeat is "less than 5 minutes" by LaunchDarkly's own word; a conditional GET says the same in seconds, and
// costs an empty 304 while nothing changes.

import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import { get, statusText, textOf, waitOf } from './request.ts';

export interface PollOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: HttpAgent | HttpsAgent;
  /** Milliseconds between two polls; `Infinity`: only when asked. */
  readonly everyMs: number;
  readonly answerWithinMs: number;
  /** `undefined`: the same as last time. `askedAt` is by `performance.now`. False: it cannot be used. */
  answered(body: string | undefined, askedAt: number): boolean;
  trouble(why: string): void;
}

export interface Poll {
  readonly isAsking: boolean;
  /** Asks now, or joins what is being asked. Never rejects. */
  now(): Promise<void>;
  close(): void;
}

export function openPoll(options: PollOptions): Poll {
  let isClosed = false;
  let etag: string | undefined;
  let next: NodeJS.Timeout | undefined;
  let asking: Promise<void> | undefined;
  let current: AbortController | undefined;

  const ask = async (): Promise<number> => {
    const own = new AbortController();
    current = own;
    const askedAt = performance.now();
    try {
      const headers = {
        ...options.headers,
        'accept-encoding': 'gzip',
        'cache-control': 'no-cache',
        ...(etag === undefined ? {} : { 'if-none-match': etag }),
      };
      const response = await get(options.url, { ...options, headers, signal: own.signal });
      if (response.statusCode === 304 && etag !== undefined) {
        response.resume();
        options.answered(undefined, askedAt);
        return 0;
      }
      if (response.statusCode !== 200) {
        // Its text may never end; nobody waits for it.
        response.destroy();
        options.trouble(statusText(response.statusCode, 'poll'));
        return waitOf(response);
      }
      const body = await textOf(response, options.answerWithinMs);
      etag = !isClosed && options.answered(body, askedAt) ? response.headers.etag : undefined;
    } catch (error) {
      if (!isClosed) options.trouble(`the poll failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    return 0;
  };
  const now = (): Promise<void> => {
    if (isClosed) return Promise.resolve();
    asking ??= ask().then((waitMs) => {
      asking = undefined;
      if (isClosed) return;
      clearTimeout(next);
      const everyMs = Math.max(options.everyMs * (0.9 + Math.random() / 5), waitMs);
      if (Number.isFinite(everyMs)) next = setTimeout(() => void now(), everyMs);
    });
    return asking;
  };
  if (Number.isFinite(options.everyMs)) void now();

  return {
    get isAsking() {
      return asking !== undefined;
    },
    now,
    close() {
      isClosed = true;
      clearTimeout(next);
      current?.abort();
    },
  };
}
