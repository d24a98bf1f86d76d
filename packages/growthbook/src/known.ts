// known.ts: what is known of GrowthBook's features, how far it can be believed, and what follows from it for a switch.
//
// Data are believed for `staleAfterMs` after a fetch or an event proved them, and only while nothing contradicts them. A payload
// that is older, empty, cut off, without the canary or of the wrong shape is never applied: readings are then `cached`.

import { type Reading, type SourceChange, type SourceHealth, type Subject, type SwitchFlag, unknown } from '@offswitch/core';
import { changedKeys, type DataSet, dataSet, sameContent } from './data-set.ts';
import type { Settings } from './options.ts';
import { parsePayload } from './payload.ts';

/**
 * How far a payload may be dated ahead of our own clock. Milliseconds. One that came from a server whose clock was years ahead would
 * otherwise make everything after it old, for ever.
 */
const aheadMs = 24 * 60 * 60 * 1000;
/** Data sets of one and the same dateUpdated that are remembered. */
const rememberedSets = 8;

/** When something was asked for, and the highest n that was known then. */
export interface Asked {
  readonly at: number;
  readonly n: number;
}

export interface Known {
  /** The highest n that was applied; -1: none yet. */
  readonly n: number;
  /** For the application's own flags: the last payload that was whole, with or without our canary. */
  readonly ofApplication: DataSet | undefined;
  readonly health: SourceHealth;
  /** Takes a payload in, and is proven by it; false, with the reason in health, where it does not count. Never throws. */
  apply(text: string, asked: Asked): boolean;
  /** The data are still the vendor's. `at`: when that was asked. */
  prove(at: number): void;
  /** Why what we have does not count as the vendor's present state, in spite of its age. */
  doubt(why: string): void;
  read(flag: SwitchFlag, subject: Subject): Reading;
  close(): void;
}

/** `notify` hears of each change that can be read, `settled` once there are data that count. */
export function known(settings: Settings, notify: (change: SourceChange) => void, settled: () => void): Known {
  const { series, staleAfterMs, now, location } = settings;
  let good: DataSet | undefined;
  /** Other contents under the same dateUpdated: what they said engaged stays so. */
  let contradicting: DataSet[] = [];
  let ofApplication: DataSet | undefined;
  let lastText: string | undefined;
  let provenAt = Number.NEGATIVE_INFINITY;
  let problem: string | undefined;
  let ageTimer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let health: SourceHealth = { state: 'starting', since: now(), why: `${location} was not opened yet` };
  let checked: { readonly set: DataSet; readonly fault: string | undefined } | undefined;

  const isProven = (): boolean => {
    const age = now() - provenAt;
    // A negative age: the wall clock was set back, and how old the data are is not known.
    return problem === undefined && age >= 0 && age <= staleAfterMs;
  };
  /** Of the declared switches, the first that is none. The others are read as ever. */
  const faultOf = (set: DataSet): string | undefined => {
    if (checked?.set !== set) {
      const said = (settings.switches?.flags ?? []).map((flag) => sayOf(set, flag, {}));
      checked = { set, fault: said.find((one) => typeof one === 'object')?.message };
    }
    return checked.fault;
  };
  const healthNow = (): Pick<SourceHealth, 'state' | 'why'> => {
    if (isClosed) return { state: 'closed' };
    if (!good) return { state: 'starting', why: problem ?? `${location}: no data yet` };
    if (problem !== undefined) return { state: 'stale', why: problem };
    if (!isProven())
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
    if (isClosed) return;
    problem = `${location}: ${why}`;
    if (updateHealth()) notify({});
  };
  /** `news`: what to tell where health did not change. */
  const prove = (at: number, news?: SourceChange): void => {
    if (isClosed) return;
    problem = undefined;
    provenAt = Math.max(provenAt, at);
    clearTimeout(ageTimer);
    ageTimer = setTimeout(seenHealth, staleAfterMs - Math.max(0, now() - provenAt) + 1).unref();
    if (updateHealth()) notify({});
    else if (news) notify(news);
    settled();
  };
  const refuse = (why: string): false => {
    doubt(why);
    return false;
  };

  return {
    get n() {
      return good?.n ?? -1;
    },
    get ofApplication() {
      return ofApplication;
    },
    get health() {
      return seenHealth();
    },
    apply(text, asked) {
      if (isClosed) return false;
      const before = good;
      if (before && text === lastText) {
        prove(asked.at);
        return true;
      }
      const parsed = parsePayload(text, settings.decryptionKey);
      if (!parsed.ok) return refuse(parsed.why);
      const { payload } = parsed;
      if (payload.n > now() + aheadMs)
        return refuse(
          `the payload is dated ${new Date(payload.n).toISOString()}, more than a day ahead of this machine's clock; set the clock that is wrong`,
        );
      if (before && payload.n < before.n) {
        // Asked for before the newer one came: an answer overtaken on its way, and no sign of anything.
        if (asked.n < before.n) return false;
        const [old, seen] = [payload.n, before.n].map((n) => new Date(n).toISOString());
        return refuse(`the payload of ${old} is older than one already seen, of ${seen}; a cache or a replica is behind`);
      }
      const set = tried(() => dataSet(payload, settings.canaryKey, settings.application));
      if (!set) return refuse(`the SDK cannot evaluate the feature ${settings.canaryKey}; its rules are malformed`);
      if (Object.keys(set.features).length > 0) ofApplication = set;
      if (!set.hasCanary)
        return refuse(
          `the payload has no feature ${settings.canaryKey} that is true: wrong environment or project, everything is off, or it was never provisioned`,
        );
      const isNewer = before?.n !== set.n;
      const isRewritten = before !== undefined && !isNewer && !sameContent(before, set);
      if (isNewer) contradicting = [];
      else if (isRewritten) contradicting = [before, ...contradicting].slice(0, rememberedSets);
      good = set;
      lastText = text;
      const flagsChanged = changedKeys(before, set);
      prove(asked.at, isNewer || isRewritten ? (flagsChanged ? { flagsChanged } : {}) : undefined);
      return true;
    },
    prove: (at) => prove(at),
    doubt,
    read(flag, subject) {
      if (isClosed) return unknown('error', `${location}: the source is closed`);
      const why = seenHealth().why;
      if (!good) return unknown(problem === undefined ? 'not-ready' : 'error', why ?? `${location}: no data yet`);
      const origin = isProven() ? 'live' : 'cached';
      const position = { series, n: good.n };
      const said = good.says(flag, subject);
      if (typeof said === 'object') return said;
      if (said === 'engaged') return { state: 'engaged', origin, position };
      // The vendor rewrote history under one dateUpdated. An engage of it counts, a release does not (S3).
      if (contradicting.some((set) => sayOf(set, flag, subject) === 'engaged'))
        return { state: 'engaged', origin: 'cached', position };
      return { state: 'released', origin: contradicting.length > 0 ? 'cached' : origin, position };
    },
    close() {
      isClosed = true;
      clearTimeout(ageTimer);
      if (updateHealth()) notify({});
    },
  };
}

/** What a data set says; a feature that breaks the evaluator is told of as one. */
function sayOf(set: DataSet, flag: SwitchFlag, subject: Subject): ReturnType<DataSet['says']> {
  return (
    tried(() => set.says(flag, subject)) ??
    (unknown('error', `${flag.key} cannot be evaluated; its rules are malformed`) as Extract<Reading, { state: 'unknown' }>)
  );
}

/** The SDK throws on rules that are none. */
function tried<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
