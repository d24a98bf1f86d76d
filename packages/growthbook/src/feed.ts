// feed.ts: how data come in: a fetch of everything now and then, an event stream besides, and one more fetch whenever the stream
// opens, has news or says something that does not count.

import { type Fetched, fetchFeatures } from './fetch-features.ts';
import { followStream } from './follow-stream.ts';
import type { Known } from './known.ts';
import type { Settings } from './options.ts';

/** The first pause after a fetch that failed; it doubles up to `reconcileMs`. Milliseconds. */
const firstRetryMs = 250;

export interface Feed {
  /**
   * Fetches now, and starts the feed if it was not started. One at a time; a call during a fetch makes one more after it, for
   * what changed meanwhile. Never rejects.
   */
  fetchNow(): Promise<void>;
  /** Ends every request and the stream. */
  close(): Promise<void>;
}

export function feed(settings: Settings, known: Known): Feed {
  const { now } = settings;
  const closing = new AbortController();
  let fetching: Promise<void> | undefined;
  let again: Promise<void> | undefined;
  let next: NodeJS.Timeout | undefined;
  let failures = 0;
  let etag: { readonly tag: string; readonly n: number } | undefined;
  let stream: { close(): Promise<void> } | undefined;

  const openStream = (): void => {
    stream = followStream(
      {
        url: settings.streamUrl,
        headers: settings.headers,
        connectWithinMs: settings.requestTimeoutMs,
        heartbeatMs: settings.heartbeatMs,
        reconnectWithinMs: settings.reconnectWithinMs,
      },
      {
        opened: () => void fetchNow(),
        payload(text) {
          if (!known.apply(text, { at: now(), n: known.n })) void fetchNow();
        },
        updated: () => void fetchNow(),
      },
    );
  };
  const wantsStream = (fetched: Fetched): boolean =>
    settings.streaming === 'always' || (settings.streaming === 'auto' && fetched.kind !== 'failed' && fetched.hasStream);

  /** True when it proved our data. */
  const take = (fetched: Fetched, asked: { readonly at: number; readonly n: number }): boolean => {
    switch (fetched.kind) {
      case 'payload': {
        const isTaken = known.apply(fetched.text, asked);
        etag = isTaken && fetched.etag !== undefined ? { tag: fetched.etag, n: known.n } : undefined;
        return isTaken;
      }
      case 'unchanged':
        if (etag?.n === known.n) {
          known.prove(asked.at);
          return true;
        }
        // What the server still has is older than what the stream gave: ask for it whole.
        etag = undefined;
        return false;
      case 'failed':
        known.doubt(fetched.why);
        return false;
    }
  };
  const fetchOnce = async (): Promise<void> => {
    clearTimeout(next);
    const asked = { at: now(), n: known.n };
    const fetched = await fetchFeatures({
      url: settings.featuresUrl,
      headers: settings.headers,
      timeoutMs: settings.requestTimeoutMs,
      etag: etag?.tag,
      signal: closing.signal,
    });
    if (closing.signal.aborted) return;
    const isSound = take(fetched, asked);
    if (!stream && wantsStream(fetched)) openStream();
    failures = isSound ? 0 : failures + 1;
    const waitMs = isSound ? settings.reconcileMs : Math.min(firstRetryMs * 2 ** (failures - 1), settings.reconcileMs);
    const askedToWaitMs = fetched.kind === 'failed' ? (fetched.retryAfterMs ?? 0) : 0;
    next = setTimeout(() => void fetchNow(), Math.max(waitMs, askedToWaitMs)).unref();
  };
  const fetchNow = (): Promise<void> => {
    if (closing.signal.aborted) return Promise.resolve();
    if (fetching) {
      again ??= fetching.then(() => {
        again = undefined;
        return fetchNow();
      });
      return again;
    }
    fetching = fetchOnce().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };

  return {
    fetchNow,
    async close() {
      closing.abort();
      clearTimeout(next);
      await Promise.allSettled([fetching, again, stream?.close()]);
    },
  };
}
