// stream.ts: the stream `/all` of LaunchDarkly, held open: reconnected after every end, with a bound on how long it waits.

import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import { createParser } from 'eventsource-parser';
import { get, statusText, waitOf } from './request.ts';

export interface StreamOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: HttpAgent | HttpsAgent;
  /** First wait before the next try; doubles up to `longestWaitMs`, with jitter. Milliseconds. */
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
  /** How long a connection may take to answer. Milliseconds. */
  readonly answerWithinMs: number;
  /** A whole event. False: it cannot be used, and the stream is begun anew. */
  message(event: string, data: string): boolean;
  /** A whole event or comment came: the connection is alive, and nothing waits in it before this. */
  alive(): void;
  trouble(why: string): void;
}

export interface Stream {
  readonly isOpen: boolean;
  /** When the last byte came, by `performance.now`; of use while it is open. */
  readonly lastByteAt: number;
  /** Ends the connection there is, and begins another at once. */
  restart(): void;
  close(): void;
}

/** A connection that lived so long counts as healthy: the next wait starts from the first again. Milliseconds. */
const healthyAfterMs = 2000;

export function openStream(options: StreamOptions): Stream {
  let isClosed = false;
  let isOpen = false;
  let lastByteAt = 0;
  let failures = 0;
  let retry: NodeJS.Timeout | undefined;
  let current: AbortController | undefined;

  const again = (waitMs: number): void => {
    if (isClosed) return;
    clearTimeout(retry);
    retry = setTimeout(() => void connect(), waitMs);
  };
  const backoff = (): number => {
    const wait = Math.min(options.longestWaitMs, options.firstWaitMs * 2 ** Math.min(failures++, 20));
    return wait * (0.5 + Math.random() / 2);
  };
  const connect = async (): Promise<void> => {
    const own = new AbortController();
    current = own;
    const ended = (why: string, waitMs = 0): void => {
      if (current !== own) return;
      current = undefined;
      isOpen = false;
      own.abort();
      if (isClosed) return;
      options.trouble(why);
      again(Math.max(waitMs, backoff()));
    };
    try {
      const response = await get(options.url, { ...options, signal: own.signal });
      if (current !== own) {
        response.destroy();
        return;
      }
      if (response.statusCode !== 200) {
        response.resume();
        ended(statusText(response.statusCode, 'stream'), waitOf(response));
        return;
      }
      isOpen = true;
      const since = performance.now();
      lastByteAt = since;
      const parser = createParser({
        onEvent({ event, data }) {
          if (current !== own) return;
          if (options.message(event ?? 'message', data)) options.alive();
          else ended('the stream brought what cannot be read; it is begun anew');
        },
        onComment: () => {
          if (current === own) options.alive();
        },
      });
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        lastByteAt = performance.now();
        if (lastByteAt - since > healthyAfterMs) failures = 0;
        parser.feed(text);
      });
      response.on('error', (error) => ended(`the stream broke: ${error.message}`));
      response.on('close', () => ended('the stream ended'));
    } catch (error) {
      ended(`the stream cannot be opened: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  void connect();

  return {
    get isOpen() {
      return isOpen;
    },
    get lastByteAt() {
      return lastByteAt;
    },
    restart() {
      if (isClosed) return;
      const old = current;
      current = undefined;
      isOpen = false;
      old?.abort();
      again(0);
    },
    close() {
      isClosed = true;
      clearTimeout(retry);
      const old = current;
      current = undefined;
      isOpen = false;
      old?.abort();
    },
  };
}
