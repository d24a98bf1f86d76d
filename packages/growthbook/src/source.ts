// source.ts: GrowthBook as a switch source: our own supervised transport under the vendor's unmodified evaluator.
//
// Data are believed for `staleAfterMs` after a fetch or an event proved them, and only while nothing contradicts them. A payload
// that is older, empty, cut off, without the canary or of the wrong shape is never applied: readings are then `cached`.

import { type Reading, type SourceChange, type SourceHealth, type Subject, type SwitchFlag, unknown } from '@offswitch/core';
import { changedKeys, type DataSet, dataSet, sameContent } from './data-set.ts';
import { type Fetched, fetchFeatures } from './fetch-features.ts';
import { followStream } from './follow-stream.ts';
import { type GrowthBookOptions, type GrowthBookSource, settingsOf } from './options.ts';
import { parsePayload } from './payload.ts';
import { resolveFeature } from './resolve.ts';

/** Data sets of one and the same dateUpdated that are remembered. */
const rememberedSets = 8;
/** The first pause after a fetch that failed; it doubles up to `reconcileMs`. Milliseconds. */
const firstRetryMs = 250;

/**
 * Reads switches from GrowthBook. Nothing is fetched before `open`. Throws `bad_configuration`.
 *
 * `subscribe`: `flagsChanged` names features whose definition changed; an empty list means that only the position moved; absent
 * means that health changed, or that one feature's change may change another's answer.
 */
export function growthBook(options: GrowthBookOptions): GrowthBookSource {
  const settings = settingsOf(options);
  const { series, staleAfterMs, now, location } = settings;
  const listeners = new Set<(change: SourceChange) => void>();
  const closing = new AbortController();

  let good: DataSet | undefined;
  /** Other contents under the same dateUpdated: what they said engaged stays so. */
  let contradicting: DataSet[] = [];
  /** For the application's own flags: the last payload that was whole, with or without our canary. */
  let ofApplication: DataSet | undefined;
  let lastText: string | undefined;
  let etag: { readonly tag: string; readonly n: number } | undefined;
  let provenAt = Number.NEGATIVE_INFINITY;
  /** Why what we have does not count as the vendor's present state, in spite of its age. */
  let problem: string | undefined;
  let health: SourceHealth = { state: 'starting', since: now(), why: `${location} was not opened yet` };

  let checked: { readonly set: DataSet; readonly fault: string | undefined } | undefined;

  let opening: Promise<void> | undefined;
  let whenSettled: (() => void) | undefined;
  let fetching: Promise<void> | undefined;
  let again: Promise<void> | undefined;
  let failures = 0;
  let nextFetch: NodeJS.Timeout | undefined;
  let ageTimer: NodeJS.Timeout | undefined;
  let stream: { close(): Promise<void> } | undefined;

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

  /** Also false after the wall clock was set back: how old the data are is then not known. */
  const isYoung = (): boolean => {
    const age = now() - provenAt;
    return age >= 0 && age <= staleAfterMs;
  };
  const isProven = (): boolean => problem === undefined && isYoung();
  /** Of the declared switches, the first that is none. The others are read as ever. */
  const faultOf = (set: DataSet): string | undefined => {
    if (checked?.set === set) return checked.fault;
    let fault: string | undefined;
    for (const flag of settings.switches?.flags ?? []) {
      const said = saidOf(set, flag);
      if (typeof said === 'object') fault ??= said.message;
    }
    checked = { set, fault };
    return fault;
  };
  const healthNow = (): Pick<SourceHealth, 'state' | 'why'> => {
    if (closing.signal.aborted) return { state: 'closed' };
    if (!good) return { state: 'starting', why: problem ?? `${location}: no data yet` };
    if (problem !== undefined) return { state: 'stale', why: problem };
    if (!isYoung())
      return { state: 'stale', why: `${location}: no proof for more than ${staleAfterMs} ms that the data are still right` };
    const fault = faultOf(good);
    return fault === undefined ? { state: 'fresh' } : { state: 'stale', why: `${location}: ${fault}` };
  };
  /** True when state or reason changed. */
  const updateHealth = (): boolean => {
    const next = healthNow();
    if (next.state === health.state && next.why === health.why) return false;
    health = { ...next, since: next.state === health.state ? health.since : now() };
    return true;
  };
  const seenHealth = (): SourceHealth => {
    // Found out by looking: the listeners hear of it, but not from inside the look.
    if (updateHealth()) queueMicrotask(() => notify({}));
    return health;
  };
  const doubt = (why: string): void => {
    problem = `${location}: ${why}`;
    if (updateHealth()) notify({});
  };
  const prove = (at: number, flagsChanged: readonly string[] | undefined, isNews: boolean): void => {
    problem = undefined;
    provenAt = Math.max(provenAt, at);
    clearTimeout(ageTimer);
    ageTimer = setTimeout(seenHealth, staleAfterMs - Math.max(0, now() - provenAt) + 1).unref();
    if (updateHealth()) notify({});
    else if (isNews) notify(flagsChanged === undefined ? {} : { flagsChanged });
    whenSettled?.();
  };

  /** Takes a payload in, or says why not. `askedAt`, `askedN`: when it was asked for, and the highest n known then. */
  const apply = (text: string, askedAt: number, askedN: number): boolean => {
    if (closing.signal.aborted) return false;
    if (good && text === lastText) {
      prove(askedAt, [], false);
      return true;
    }
    const parsed = parsePayload(text, settings.decryptionKey);
    if (!parsed.ok) {
      doubt(parsed.why);
      return false;
    }
    const { payload } = parsed;
    const highest = good?.n ?? -1;
    if (payload.n < highest) {
      // Asked for before the newer one came: an answer overtaken on its way, and no sign of anything.
      if (askedN < highest) return false;
      doubt(
        `the payload of ${new Date(payload.n).toISOString()} is older than one already seen, of ${new Date(highest).toISOString()}; a cache or a replica is behind`,
      );
      return false;
    }
    const set = tried(() => dataSet(payload, settings.canaryKey, settings.application));
    if (!set) {
      doubt(`the SDK cannot evaluate the feature ${settings.canaryKey}; its rules are malformed`);
      return false;
    }
    if (Object.keys(set.features).length > 0) ofApplication = set;
    if (!set.hasCanary) {
      doubt(
        `the payload has no feature ${settings.canaryKey} that is true: wrong environment or project, everything is off, or it was never provisioned`,
      );
      return false;
    }
    const before = good;
    const isRewritten = before?.n === set.n && !sameContent(before, set);
    if (before?.n !== set.n) contradicting = [];
    else if (isRewritten) contradicting = [before, ...contradicting].slice(0, rememberedSets);
    good = set;
    lastText = text;
    prove(askedAt, changedKeys(before, set), before?.n !== set.n || isRewritten);
    return true;
  };

  const fetchOnce = async (): Promise<void> => {
    clearTimeout(nextFetch);
    const askedAt = now();
    const askedN = good?.n ?? -1;
    const fetched = await fetchFeatures({
      url: settings.featuresUrl,
      headers: settings.headers,
      timeoutMs: settings.requestTimeoutMs,
      etag: etag?.tag,
      signal: closing.signal,
    });
    if (closing.signal.aborted) return;
    const isSound = take(fetched, askedAt, askedN);
    if (
      fetched.kind !== 'failed' &&
      !stream &&
      (settings.streaming === 'always' || (settings.streaming === 'auto' && fetched.hasStream))
    )
      openStream();
    failures = isSound ? 0 : failures + 1;
    const waitMs = isSound ? settings.reconcileMs : Math.min(firstRetryMs * 2 ** (failures - 1), settings.reconcileMs);
    const askedToWaitMs = fetched.kind === 'failed' ? (fetched.retryAfterMs ?? 0) : 0;
    nextFetch = setTimeout(() => void fetchNow(), Math.max(waitMs, askedToWaitMs)).unref();
  };
  /** True when it proved our data. Never throws: whatever came, there is a next fetch. */
  const take = (fetched: Fetched, askedAt: number, askedN: number): boolean => {
    switch (fetched.kind) {
      case 'payload': {
        const isTaken = apply(fetched.text, askedAt, askedN);
        etag = isTaken && fetched.etag !== undefined && good ? { tag: fetched.etag, n: good.n } : undefined;
        return isTaken;
      }
      case 'unchanged':
        if (good && etag?.n === good.n) {
          prove(askedAt, [], false);
          return true;
        }
        // What the server still has is older than what the stream gave: ask for it whole.
        etag = undefined;
        return false;
      case 'failed':
        doubt(fetched.why);
        return false;
    }
  };
  /** Fetches now. One at a time; a trigger during one makes one more after it, for what changed meanwhile. */
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
          if (!apply(text, now(), good?.n ?? -1)) void fetchNow();
        },
        updated: () => void fetchNow(),
      },
    );
  };

  const answer = (flag: SwitchFlag, subject: Subject): Reading => {
    if (closing.signal.aborted) return unknown('error', `${location}: the source is closed`);
    if (!good) return unknown(problem === undefined ? 'not-ready' : 'error', health.why ?? `${location}: no data yet`);
    seenHealth();
    const origin = isProven() ? 'live' : 'cached';
    const position = { series, n: good.n };
    const said = good.says(flag, subject);
    if (typeof said === 'object') return said;
    if (said === 'engaged') return { state: 'engaged', origin, position };
    // The vendor rewrote history under one dateUpdated. An engage of it counts, a release does not (S3).
    if (contradicting.some((set) => set.says(flag, subject) === 'engaged'))
      return { state: 'engaged', origin: 'cached', position };
    return { state: 'released', origin: contradicting.length > 0 ? 'cached' : origin, position };
  };

  const start = async (): Promise<void> => {
    const settled = new Promise<void>((resolve) => {
      whenSettled = resolve;
    });
    if (settings.streaming === 'always') openStream();
    void fetchNow();
    const timer = setTimeout(() => whenSettled?.(), settings.openWithinMs);
    await settled;
    clearTimeout(timer);
  };

  return {
    name: 'growthbook',
    location,
    open() {
      opening ??= closing.signal.aborted ? Promise.resolve() : start();
      return opening;
    },
    read(flag, subject) {
      try {
        return answer(flag, subject);
      } catch (error) {
        return unknown('error', `${location}: the evaluation of ${JSON.stringify(flag?.key)} failed: ${String(error)}`);
      }
    },
    get health() {
      return seenHealth();
    },
    subscribe(listener) {
      const own = (change: SourceChange): void => listener(change);
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    refresh: () => (opening ? fetchNow() : Promise.resolve()),
    resolve(flagKey, type, context) {
      if (!ofApplication || closing.signal.aborted)
        return { reason: 'ERROR', errorCode: 'PROVIDER_NOT_READY', errorMessage: health.why ?? `${location}: no data yet` };
      return resolveFeature(ofApplication, flagKey, type, context);
    },
    async close() {
      if (!closing.signal.aborted) {
        closing.abort();
        clearTimeout(nextFetch);
        clearTimeout(ageTimer);
        whenSettled?.();
        if (updateHealth()) notify({});
        listeners.clear();
      }
      await Promise.allSettled([fetching, again, opening, stream?.close()]);
    },
  };
}

/** What the data say of a declared switch for a person nobody is; a feature that breaks the evaluator is told of as one. */
function saidOf(set: DataSet, flag: SwitchFlag): ReturnType<DataSet['says']> {
  try {
    return set.says(flag, {});
  } catch (error) {
    return unknown('error', `${flag.key} cannot be evaluated: ${String(error)}`) as Extract<Reading, { state: 'unknown' }>;
  }
}

/** The SDK throws on rules that are none. */
function tried<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
