// source.ts: a flag file as a switch source. It knows three things apart: the file as it is now (live), the last good version
// of it (cached), and not knowing.
//
// A live reading can release a stop, so everything that makes the file doubtful (missing, cut off, older than what was seen, a
// misspelt member) makes readings cached or unknown, and starts a new `watch`: what happened in between was not seen.

import { randomInt } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Reading, type SourceChange, type SourceHealth, type Subject, type SwitchFlag, unknown } from '@offswitch/core';
import { FlagFileError } from './error.ts';
import { evaluateSwitch, resolveFlag } from './evaluate.ts';
import { showFinding } from './finding.ts';
import { changedKeys, type FlagSet, loadFlagSet } from './flag-set.ts';
import { lintFlagFile, looksLikeSwitch, type SwitchFacts } from './lint.ts';
import type { FlagFileOptions, FlagFileSource } from './options.ts';
import { defaultMaxBytes, defaultSeries, readSnapshot, type Snapshot, signatureOf } from './snapshot.ts';
import { type FileWatch, watchFile } from './watch.ts';
import { within } from './within.ts';

/** Longest that `open` waits for the disk. Milliseconds. A local file takes one; a dead network mount takes for ever. */
const openWithinMs = 3000;

// Numbers watches across all sources of this process. Starts anywhere, so that a number someone stored in an earlier process means nothing here.
let lastWatch = randomInt(2 ** 47);
const nextWatch = (): number => ++lastWatch;

/**
 * Reads switches from a flagd-format JSON file. Nothing is read before `open`. Throws `bad_configuration` for an empty path.
 *
 * `subscribe`: `flagsChanged` names flags whose definition changed; an empty list means that only positions or metadata moved
 * (the revision was raised); absent means that health changed and everything may read differently.
 */
export function flagFile(path: string, options: FlagFileOptions = {}): FlagFileSource {
  if (typeof path !== 'string' || path.trim() === '')
    throw new FlagFileError('bad_configuration', 'the path of the flag file is empty; give one, like "switches.flagd.json"');
  const location = resolve(path);
  const series = options.series ?? defaultSeries(location);
  if (series === '') throw new FlagFileError('bad_configuration', 'series is empty; leave it out for the default');
  const settleMs = options.settleMs ?? 100;
  const pollMs = options.pollMs ?? 1000;
  const maxBytes = options.maxBytes ?? defaultMaxBytes;
  if (!(settleMs >= 0 && pollMs > 0 && maxBytes > 0))
    throw new FlagFileError('bad_configuration', 'settleMs must be 0 or more, pollMs and maxBytes more than 0');
  const now = options.now ?? Date.now;

  const listeners = new Set<(change: SourceChange) => void>();
  const tracked = new Map<string, SwitchFacts>(options.switches?.flags.map((flag) => [flag.key, flag] as const));
  const lastReadable = new Map<string, FlagSet>();
  const watchOfFlag = new Map<string, number>();
  let watch = nextWatch();
  let good: FlagSet | undefined;
  let highestRevision = 0;
  /** Why the file as it is now does not count. */
  let problem: string | undefined;
  let health: SourceHealth = { state: 'starting', since: now(), why: `${location} was not opened yet` };
  let isClosed = false;
  let opening: Promise<void> | undefined;
  let watcher: FileWatch | undefined;
  let signature = '';
  let isYoung = true;
  let settling: NodeJS.Timeout | undefined;
  let hasSettled = false;
  let loading: Promise<void> | undefined;
  let again: Promise<void> | undefined;

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

  const faultOf = (set: FlagSet): string | undefined => {
    for (const [key, facts] of tracked) {
      const verdict = set.readable(key, facts);
      if (!verdict.ok && verdict.cause !== 'not-found') return showFinding(location, verdict.finding);
    }
    return undefined;
  };
  const healthNow = (): Pick<SourceHealth, 'state' | 'why'> => {
    if (isClosed) return { state: 'closed' };
    if (!good) return { state: 'starting', why: problem ?? `${location} was not read yet` };
    const why = problem ?? faultOf(good);
    return why === undefined ? { state: 'fresh' } : { state: 'stale', why };
  };
  /** True when state or reason changed. */
  const updateHealth = (): boolean => {
    const next = healthNow();
    if (next.state === health.state && next.why === health.why) return false;
    health = { ...next, since: next.state === health.state ? health.since : now() };
    return true;
  };

  const gap = (why: string): void => {
    if (problem === undefined && good) {
      watch = nextWatch();
      watchOfFlag.clear();
    }
    problem = why;
    if (updateHealth()) notify({});
  };
  const doubt = (why: string): void => {
    if (!good || problem !== undefined || hasSettled || settleMs === 0) {
      gap(why);
      return;
    }
    settling ??= setTimeout(() => {
      settling = undefined;
      hasSettled = true;
      void reload();
    }, settleMs);
  };
  const settle = (): void => {
    clearTimeout(settling);
    settling = undefined;
    hasSettled = false;
  };

  const accept = (set: FlagSet): void => {
    const before = good;
    for (const key of set.compiled.keys()) if (looksLikeSwitch(key) && !tracked.has(key)) tracked.set(key, 'undeclared');
    for (const [key, facts] of tracked) {
      const verdict = set.readable(key, facts);
      if (verdict.ok) lastReadable.set(key, set);
      else {
        watchOfFlag.set(key, nextWatch());
        if (verdict.cause === 'not-found') lastReadable.delete(key);
      }
    }
    good = set;
    highestRevision = set.revision;
    problem = undefined;
    const flagsChanged = changedKeys(before, set);
    const moved = before?.revision !== set.revision || before.metadataPrint !== set.metadataPrint;
    if (updateHealth()) notify({});
    else if (moved || flagsChanged.length > 0) notify({ flagsChanged });
  };

  const apply = (snapshot: Snapshot): void => {
    if (isClosed) return;
    signature = snapshot.signature;
    isYoung = snapshot.ok && snapshot.isYoung;
    if (!snapshot.ok) {
      doubt(`${location}: ${snapshot.why}${snapshot.kind === 'too-large' ? ' [too-large]' : ''}`);
      return;
    }
    if (good && problem === undefined && snapshot.text === good.document.text) {
      settle();
      return;
    }
    const loaded = loadFlagSet(snapshot.text, good);
    if (!loaded.ok) {
      doubt(showFinding(location, loaded.finding));
      return;
    }
    settle();
    if (loaded.set.revision < highestRevision) {
      gap(
        `${location} is older than revision ${highestRevision} already seen: it says ${loaded.set.revision}; restore the newer file, or raise "offswitch.revision" to ${highestRevision + 1}`,
      );
      return;
    }
    accept(loaded.set);
  };
  const load = async (): Promise<void> => apply(await readSnapshot(location, maxBytes));
  /** Reads now. One read at a time; a call during a read makes one more after it, for what changed meanwhile. */
  const reload = (): Promise<void> => {
    if (isClosed) return Promise.resolve();
    if (loading) {
      again ??= loading.then(() => {
        again = undefined;
        return reload();
      });
      return again;
    }
    loading = load().finally(() => {
      loading = undefined;
    });
    return loading;
  };
  const changed = (isNamed: boolean): void => {
    if (isNamed || isYoung) {
      void reload();
      return;
    }
    void signatureOf(location).then((current) => (current === signature ? undefined : reload()));
  };

  const track = (flag: SwitchFlag): void => {
    if (tracked.get(flag.key) === flag) return;
    tracked.set(flag.key, flag);
    if (good?.readable(flag.key, flag).ok) lastReadable.set(flag.key, good);
    // Found out by a read: the listeners hear of it, but not from inside the read.
    if (updateHealth()) queueMicrotask(() => notify({}));
  };
  const answer = (flag: SwitchFlag, subject: Subject): Reading => {
    if (isClosed) return unknown('error', `${location}: the source is closed`);
    if (!good) return unknown(problem === undefined ? 'not-ready' : 'error', health.why ?? `${location} was not read yet`);
    track(flag);
    const verdict = good.readable(flag.key, flag);
    if (verdict.ok && problem === undefined) {
      const position = { series, n: good.revision, watch: watchOfFlag.get(flag.key) ?? watch };
      return evaluateSwitch(good, verdict.feature, flag, subject, 'live', position);
    }
    // A cached reading carries no watch: nothing that follows may be taken for its uninterrupted continuation.
    const kept = verdict.ok || verdict.cause === 'error' ? lastReadable.get(flag.key) : undefined;
    const old = kept?.readable(flag.key, flag);
    if (kept && old?.ok) return evaluateSwitch(kept, old.feature, flag, subject, 'cached', { series, n: kept.revision });
    return verdict.ok ? unknown('error', problem ?? location) : unknown(verdict.cause, showFinding(location, verdict.finding));
  };

  const start = async (): Promise<void> => {
    const found = await stat(location).catch(() => undefined);
    if (found && !found.isFile()) {
      const what = found.isDirectory() ? 'a directory' : 'no regular file';
      throw new FlagFileError('bad_configuration', `${location} is ${what}; give the path of the flag file itself`);
    }
    if (isClosed) return;
    // Watch first, then read: a change in between is seen twice and not missed.
    const own = await watchFile(location, pollMs, changed);
    if (isClosed) own.close();
    else watcher = own;
    await reload();
  };

  return {
    name: 'flag-file',
    location,
    open() {
      opening ??= within(openWithinMs, start());
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
      return health;
    },
    subscribe(listener) {
      const own = (change: SourceChange): void => listener(change);
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    refresh: () => (opening ? reload().catch(() => {}) : Promise.resolve()),
    resolve: (flagKey, type, context) => resolveFlag(good, flagKey, type, context, health),
    async lint() {
      const snapshot = await readSnapshot(location, maxBytes);
      if (snapshot.ok) return lintFlagFile(snapshot.text, options.switches);
      const code = snapshot.kind === 'too-large' ? 'too-large' : snapshot.kind;
      return [{ code, severity: 'error', message: snapshot.why, line: 1, column: 1 }];
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      settle();
      watcher?.close();
      updateHealth();
      notify({});
      listeners.clear();
      await within(openWithinMs, Promise.allSettled([opening, loading, again]));
      watcher?.close();
    },
  };
}
