// source.ts: Unleash as a switch source. Data comes from a feed (our polling, or the application's client), is let through only
// when it is well-formed and not older than what was seen, is evaluated by the vendor's client, and is believed as long as our
// own clock says that it is fresh.

import { createHash } from 'node:crypto';
import { type Position, type SourceChange, unknown } from '@offswitch/core';
import { clientFacts, clientFeed } from './client-feed.ts';
import { countingClient } from './counting-client.ts';
import { UnleashSwitchError } from './error.ts';
import { HeldFlags, switchEvaluator } from './evaluator.ts';
import type { Feed, FeedListener } from './feed.ts';
import { changedFlags, type FlagData } from './flag-data.ts';
import { freshness } from './freshness.ts';
import type { UnleashClientOptions, UnleashOptions, UnleashSource } from './options.ts';
import { baseOf, scopeOf, wrongWithToken } from './place.ts';
import { poll } from './poll.ts';
import { readSwitch } from './read.ts';
import { type ResolvingClient, resolveFlag } from './resolve.ts';

/**
 * Reads switches from Unleash. Nothing is asked before `open`. Throws `bad_configuration` for options that cannot work.
 *
 * Global and workflow switches: the environment off is a release (with `engagedWhen: false`, a stop). User and instance switches:
 * strategies name who is stopped, and the environment stays on. `subscribe`: `flagsChanged` names flags whose definition changed;
 * an empty list means that only the position moved; absent means that health changed or anything may read differently.
 */
export function unleash(options: UnleashOptions | UnleashClientOptions): UnleashSource {
  const settings = settingsOf(options);
  const { location, staleAfterMs, openWithinMs } = settings;
  const held = new HeldFlags();
  const evaluate = switchEvaluator(held, options.strategies, settings.appName);
  const custom = new Set(options.strategies?.map((one) => one.name));
  const listeners = new Set<(change: SourceChange) => void>();
  let data: FlagData | undefined;
  let position: Position = { series: location };
  let highest: number | undefined;
  /** The last data was older than what was seen, and was not taken. */
  let isBehind = false;
  let behind = '';
  let opening: Promise<void> | undefined;
  let isClosed = false;

  const notify = (change: SourceChange): void => {
    for (const listener of [...listeners]) {
      try {
        listener(change);
      } catch (error) {
        // Outside the decision: it may not keep the others from hearing (I13), but it may not be lost either.
        process.emitWarning(`a listener of ${location} threw: ${String(error)}`, 'OffswitchWarning');
      }
    }
  };
  const fresh = freshness({ staleAfterMs, now: options.now ?? Date.now, location, onChange: () => notify({}) });

  const listener: FeedListener = {
    data(next, sentAt) {
      if (isClosed) return false;
      isBehind = highest !== undefined && next.revision !== undefined && next.revision < highest;
      if (isBehind) {
        // One server of several may be a second behind. If it stays so, the database was put back to an older state.
        behind = `${location} sent revision ${next.revision}, older than ${highest} already seen; if its database was restored, give this source another series, restart this process and release by hand what is still stopped`;
        fresh.fault(behind, false);
        return false;
      }
      const before = data;
      data = next;
      if (next.revision !== undefined) highest = next.revision;
      const series = settings.series();
      position = next.revision === undefined ? { series } : { series, n: next.revision };
      held.hold(next);
      const { state } = fresh.health;
      fresh.contact(sentAt);
      // A change of health was told, and says that anything may read differently.
      if (before && state === fresh.health.state) {
        const flagsChanged = changedFlags(before, next);
        if (!flagsChanged) notify({});
        else if (flagsChanged.length > 0 || before.revision !== next.revision) notify({ flagsChanged });
      }
      return true;
    },
    same(sentAt) {
      if (isClosed || !data) return;
      if (isBehind) fresh.fault(behind, false);
      else fresh.contact(sentAt);
    },
    fault(why, isDefinite) {
      if (!isClosed) fresh.fault(why, isDefinite);
    },
  };
  const feed = settings.feed(listener);
  const resolving = settings.resolving(held);

  return {
    name: 'unleash',
    location,
    open() {
      if (isClosed) return Promise.resolve();
      opening ??= within(openWithinMs, feed.start());
      return opening;
    },
    read(flag, subject) {
      try {
        if (isClosed) return unknown('error', `${location}: the source is closed`);
        const { state, why } = fresh.health;
        if (!data) return unknown(why === undefined || !opening ? 'not-ready' : 'error', why ?? `${location} was not read yet`);
        const origin = state === 'fresh' ? 'live' : 'cached';
        return readSwitch({ data, evaluate, custom, origin, position, location }, flag, subject);
      } catch (error) {
        return unknown('error', `${location}: the evaluation of ${JSON.stringify(flag?.key)} failed: ${String(error)}`);
      }
    },
    get health() {
      return fresh.health;
    },
    subscribe(listener) {
      const own = (change: SourceChange): void => listener(change);
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    refresh: () => (opening && !isClosed ? feed.refresh().catch(() => {}) : Promise.resolve()),
    resolve(flagKey, type, context) {
      if (isClosed || !data)
        return { reason: 'ERROR', errorCode: 'PROVIDER_NOT_READY', errorMessage: fresh.health.why ?? `${location} is closed` };
      return resolveFlag(resolving.client, flagKey, type, context);
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      const ended = feed.close();
      resolving.close();
      fresh.close();
      listeners.clear();
      await ended;
    },
  };
}

interface Settings {
  readonly location: string;
  /** What constraints on `appName` are compared with. */
  readonly appName: string;
  /** Known once data came: the token says what it is of. */
  series(): string;
  readonly staleAfterMs: number;
  readonly openWithinMs: number;
  feed(listener: FeedListener): Feed;
  resolving(held: HeldFlags): { readonly client: ResolvingClient; close(): void };
}

function settingsOf(options: UnleashOptions | UnleashClientOptions): Settings {
  const openWithinMs = positive('openWithinMs', options.openWithinMs ?? 3000);
  if (options.series !== undefined && options.series.trim() === '')
    throw new UnleashSwitchError('bad_configuration', 'series is empty; leave it out for the default');
  if ('client' in options) {
    const { client } = options;
    const { url, pollMs, appName = 'offswitch' } = clientFacts(client);
    const location = url === undefined ? "the application's Unleash client" : baseOf(url);
    const series = options.series ?? (url === undefined ? undefined : `unleash:${location.replace(/^\w+:\/\//, '')}`);
    if (series === undefined)
      throw new UnleashSwitchError(
        'bad_configuration',
        'this version of unleash-client does not tell where it reads from; give a series',
      );
    const staleAfterMs = positive('staleAfterMs', options.staleAfterMs ?? (pollMs ?? 15_000) * 2 + 5000);
    return {
      location,
      appName,
      series: () => series,
      staleAfterMs,
      openWithinMs,
      feed: (listener) => clientFeed(client, Math.min(1000, staleAfterMs), listener),
      resolving: () => ({ client, close: () => {} }),
    };
  }
  const base = baseOf(options.url);
  const { token: given, appName, instanceId, headers = {}, strategies } = options;
  const wrong = typeof given === 'function' ? undefined : wrongWithToken(given);
  if (wrong !== undefined)
    throw new UnleashSwitchError('bad_configuration', `${wrong}; give a backend (client) token of the environment`);
  if (typeof appName !== 'string' || appName.trim() === '')
    throw new UnleashSwitchError('bad_configuration', 'appName is empty; say what Unleash should list this application as');
  const pollMs = positive('pollMs', options.pollMs ?? 1000);
  const staleAfterMs = positive('staleAfterMs', options.staleAfterMs ?? Math.max(5000, pollMs * 2));
  if (staleAfterMs < pollMs * 2)
    throw new UnleashSwitchError(
      'bad_configuration',
      `staleAfterMs ${staleAfterMs} is less than two polls of ${pollMs} ms: nothing would ever be fresh for long`,
    );
  let scope: string | undefined;
  const token = async (): Promise<string> => {
    const value = typeof given === 'function' ? await given() : given;
    const problem = wrongWithToken(value);
    if (problem !== undefined) throw new Error(problem);
    const own = scopeOf(value);
    // Its history is another, and the server counts both with one number: its "released" would pass for a release of ours.
    if (own !== undefined && scope !== undefined && environmentOf(own) !== environmentOf(scope))
      throw new Error(`the token is one of ${own}, and this source reads ${scope}; make a source of its own for it`);
    scope ??= own ?? hash(value);
    return value;
  };
  const requestTimeoutMs = positive('requestTimeoutMs', options.requestTimeoutMs ?? 5000);
  const host = base.replace(/^\w+:\/\//, '');
  return {
    location: base,
    appName,
    series: () => options.series ?? `unleash:${host}:${scope ?? appName}`,
    staleAfterMs,
    openWithinMs,
    feed: (listener) =>
      poll(
        { base, token, appName, instanceId, headers, pollMs, requestTimeoutMs, fetch: options.fetch ?? globalThis.fetch },
        listener,
      ),
    resolving(held) {
      const client = countingClient(held, {
        base,
        token,
        appName,
        instanceId,
        headers,
        metrics: options.metrics ?? true,
        strategies,
      });
      return { client, close: () => client.close() };
    },
  };
}

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new UnleashSwitchError('bad_configuration', `${name} must be more than 0 milliseconds`);
}

/** Undefined for the scope of a token that names none. */
const environmentOf = (scope: string): string | undefined => scope.split(':')[1];

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);

/** Settles when the work does, or when the time is over, whichever is first. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, over]);
  clearTimeout(timer);
}
