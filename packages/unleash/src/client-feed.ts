// client-feed.ts: flags from a client that the application already has, so that there is one connection.
//
// Its events tell when it heard from Unleash. What it cannot tell is read where it keeps it: the ETag, which is public on its
// repository but not in its types. Where that is missing there are no positions, and a release is an act (S3).

import type { Unleash } from 'unleash-client';
import type { Feed, FeedListener } from './feed.ts';
import { type Flag, flagDataOf, type Segment } from './flag-data.ts';
import { monotonic } from './freshness.ts';

/** What unleash-client 6.12.1 holds in private; every member may be missing in another version. */
interface Inside {
  readonly repository?: {
    readonly etag?: unknown;
    readonly url?: unknown;
    readonly segments?: unknown;
    fetch?(): Promise<void>;
    readonly fetcher?: {
      readonly pollingFetcher?: { timer?: NodeJS.Timeout; readonly options?: { readonly refreshInterval?: unknown } };
    };
  };
}

const inside = (client: Unleash): NonNullable<Inside['repository']> => (client as unknown as Inside).repository ?? {};

/** Where the client reads from, how often, and as whom; `undefined` where its version does not let us see. */
export function clientFacts(client: Unleash): {
  readonly url: string | undefined;
  readonly pollMs: number | undefined;
  readonly appName: string | undefined;
} {
  const { url, fetcher } = inside(client);
  const interval = fetcher?.pollingFetcher?.options?.refreshInterval;
  const appName = (client as unknown as { staticContext?: { appName?: unknown } }).staticContext?.appName;
  return {
    url: typeof url === 'string' ? url : undefined,
    pollMs: typeof interval === 'number' ? interval : undefined,
    appName: typeof appName === 'string' ? appName : undefined,
  };
}

/** `reviveMs`: how long to wait before a client that gave up, as it does at a 401 or 403, is made to ask again. */
export function clientFeed(client: Unleash, reviveMs: number, listener: FeedListener): Feed {
  let isClosed = false;
  let revival: NodeJS.Timeout | undefined;
  let waitMs = reviveMs;
  let onFirst: (() => void) | undefined;

  const take = (heardAt: number): void => {
    const { etag, segments } = inside(client);
    const features = client.getFeatureToggleDefinitions() as unknown as readonly Flag[];
    const known = segments instanceof Map ? ([...segments.values()] as readonly Segment[]) : [];
    try {
      listener.data(flagDataOf({ features, segments: known }, etag), heardAt);
    } catch (error) {
      listener.fault(`the client holds something that is no set of flags: ${String(error)}`, true);
    }
  };
  const heard = (): void => {
    waitMs = reviveMs;
    clearTimeout(revival);
    revival = undefined;
  };
  const onChanged = (): void => {
    heard();
    take(monotonic());
    onFirst?.();
  };
  const onUnchanged = (): void => {
    heard();
    listener.same(monotonic());
  };
  const onError = (error: unknown): void => {
    const message = error instanceof Error ? error.message : String(error);
    const hasGivenUp = /\b40[13]\b/.test(message);
    listener.fault(message, hasGivenUp);
    onFirst?.();
    if (!hasGivenUp || revival !== undefined || isClosed) return;
    revival = setTimeout(() => {
      revival = undefined;
      waitMs = Math.min(waitMs * 2, 10_000);
      void fetchNow();
    }, waitMs);
    revival.unref();
  };
  const fetchNow = async (): Promise<void> => {
    const { fetch: ask, fetcher } = inside(client);
    if (isClosed || ask === undefined) return;
    // Each fetch starts a poll loop of its own: the one that waits is ended first, or every call would add one.
    const polling = fetcher?.pollingFetcher;
    clearTimeout(polling?.timer);
    try {
      await ask.call(inside(client));
    } catch (error) {
      onError(error);
    }
  };

  return {
    async start() {
      client.on('changed', onChanged);
      client.on('unchanged', onUnchanged);
      client.on('error', onError);
      if (client.isSynchronized()) {
        // How old it is is not known; the next answer tells.
        take(Number.NEGATIVE_INFINITY);
        await fetchNow();
        return;
      }
      await new Promise<void>((resolve) => {
        onFirst = resolve;
      });
    },
    refresh: fetchNow,
    async close() {
      isClosed = true;
      onFirst?.();
      clearTimeout(revival);
      client.off('changed', onChanged);
      client.off('unchanged', onUnchanged);
      client.off('error', onError);
    },
  };
}
