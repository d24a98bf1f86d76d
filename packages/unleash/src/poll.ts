// poll.ts: asks Unleash's client API for flags, one request at a time, and again after every kind of failure.
//
// The client's own polling stops for good at a 401 or 403, hides two retries in every request, waits eleven intervals after an
// outage, starts a second poll loop at each fetch on demand, and puts older data over newer. So this asks for itself, and the
// client evaluates.

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Feed, FeedListener } from './feed.ts';
import { flagDataOf } from './flag-data.ts';
import { monotonic } from './freshness.ts';

export interface PollOptions {
  /** Without `/api`. */
  readonly base: string;
  readonly token: () => string | Promise<string>;
  readonly appName: string;
  readonly instanceId: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly pollMs: number;
  readonly requestTimeoutMs: number;
  readonly fetch: typeof globalThis.fetch;
}

/** The version of the client specification that unleash-client 6.12.1 evaluates; the server leaves out what an older one could not. */
const specification = '5.2.0';
/** Longest wait between two tries after failures. Milliseconds. A rotated token or a mended network is seen that soon. */
const longestWaitMs = 5000;
/** Longest wait that a Retry-After can make of it. Milliseconds. */
const longestRetryAfterMs = 30_000;
/** After a refresh Unleash is asked this often, for it makes a change visible up to a second late (research: 1 s schedule). Milliseconds. */
const hurryMs = { every: 200, during: 1500 };

class Refused extends Error {
  readonly isDefinite: boolean;
  readonly retryAfterMs: number;
  constructor(message: string, isDefinite: boolean, retryAfterMs = 0) {
    super(message);
    this.isDefinite = isDefinite;
    this.retryAfterMs = retryAfterMs;
  }
}

/** It answers, so it is not spared: what is wrong is in the answer. */
class Garbage extends Refused {}

export function poll(options: PollOptions, listener: FeedListener): Feed {
  const url = `${options.base}/api/client/features`;
  const identity = {
    'unleash-appname': options.appName,
    'unleash-instanceid': options.instanceId ?? hostname(),
    'unleash-connection-id': randomUUID(),
    'unleash-sdk': 'offswitch:0.1.0',
    'unleash-client-spec': specification,
    'unleash-interval': String(options.pollMs),
  };
  let etag: string | undefined;
  let failures = 0;
  let hurryUntil = 0;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let flight: Promise<void> | undefined;
  let again: Promise<void> | undefined;
  let abort: AbortController | undefined;

  const ask = async (signal: AbortSignal): Promise<void> => {
    const token = await before(signal, Promise.resolve(options.token()), 'there was no token to ask with');
    const sentAt = monotonic();
    const response = await options.fetch(url, {
      headers: {
        ...options.headers,
        ...identity,
        accept: 'application/json',
        authorization: token,
        ...(etag === undefined ? {} : { 'if-none-match': etag }),
      },
      signal,
    });
    if (response.status === 304 && etag !== undefined) {
      await response.arrayBuffer();
      if (!isClosed) listener.same(sentAt);
      return;
    }
    const text = await response.text();
    if (isClosed) return;
    if (response.status !== 200) throw refusalOf(url, response);
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      throw new Garbage(`${url} answered 200 with ${text.length} characters that are no JSON`, false);
    }
    const tag = response.headers.get('etag') ?? undefined;
    let data: ReturnType<typeof flagDataOf>;
    try {
      data = flagDataOf(body, tag);
    } catch (error) {
      throw new Garbage(`${url} answered something that is no set of flags: ${messageOf(error)}`, true);
    }
    // Of what was not taken no ETag is kept, neither its own ("unchanged since then" would pass for "as we hold it") nor the one
    // before: the next answer is whole, and tells by itself whether it is what we hold.
    etag = listener.data(data, sentAt) ? tag : undefined;
  };
  const waitMs = (retryAfterMs: number): number => {
    const { pollMs } = options;
    if (failures === 0) return monotonic() < hurryUntil ? Math.min(pollMs, hurryMs.every) : pollMs;
    const wait = failures === 1 ? Math.min(pollMs, 250) : Math.min(pollMs * 2 ** (failures - 2), Math.max(pollMs, longestWaitMs));
    return Math.max(wait, Math.min(retryAfterMs, longestRetryAfterMs));
  };
  const once = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    let retryAfterMs = 0;
    const own = new AbortController();
    abort = own;
    const tooLong = setTimeout(
      () => own.abort(new Error(`no answer within ${options.requestTimeoutMs} ms`)),
      options.requestTimeoutMs,
    );
    tooLong.unref();
    try {
      await ask(own.signal);
      failures = 0;
    } catch (error) {
      failures = error instanceof Garbage ? 0 : failures + 1;
      if (error instanceof Refused) retryAfterMs = error.retryAfterMs;
      if (!isClosed)
        listener.fault(
          error instanceof Refused ? error.message : `${url} cannot be reached: ${messageOf(error)}`,
          error instanceof Refused && error.isDefinite,
        );
    } finally {
      clearTimeout(tooLong);
      own.abort();
      flight = undefined;
      if (!isClosed) {
        // Spread a little, so that a fleet that was started together does not ask together.
        timer = setTimeout(() => void run(), waitMs(retryAfterMs) * (0.95 + Math.random() * 0.1));
        timer.unref();
      }
    }
  };
  const run = (): Promise<void> => {
    if (isClosed) return Promise.resolve();
    flight ??= once();
    return flight;
  };

  return {
    start: run,
    refresh() {
      if (isClosed) return Promise.resolve();
      hurryUntil = monotonic() + hurryMs.during;
      if (!flight) return run();
      // The one under way may have been answered before the change that somebody asks about.
      again ??= flight.then(() => {
        again = undefined;
        return run();
      });
      return again;
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      abort?.abort();
      await flight;
    },
  };
}

function refusalOf(url: string, response: Response): Refused {
  const { status } = response;
  const said = `${url} answered ${status}`;
  switch (status) {
    case 401:
      return new Refused(`${said}: the token is wrong or was revoked; give a backend (client) token of this environment`, true);
    case 403:
      return new Refused(`${said}: the token may not read flags; give a backend (client) token, not a frontend one`, true);
    case 404:
      return new Refused(`${said}: there is no Unleash at this address; check url`, true);
    case 429:
      return new Refused(`${said}: requests are limited; raise pollMs`, false, retryAfterOf(response));
    default:
      return new Refused(said, false, retryAfterOf(response));
  }
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function retryAfterOf(response: Response): number {
  const text = response.headers.get('retry-after');
  if (text === null) return 0;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

/** The work's answer, or a rejection once the time is over: a vault that hangs may not end the asking. */
async function before<T>(signal: AbortSignal, work: Promise<T>, why: string): Promise<T> {
  let over = (): void => {};
  const late = new Promise<never>((_resolve, reject) => {
    over = () => reject(new Error(`${why}: ${messageOf(signal.reason)}`));
    signal.addEventListener('abort', over, { once: true });
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    signal.removeEventListener('abort', over);
  }
}

/** The innermost words: fetch hides the reason in a cause. No headers are in there, and so no token. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || String(error.cause) : error.message;
}
