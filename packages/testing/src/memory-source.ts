// memory-source.ts: a switch source in memory, with a vendor behind it that a test can flip, break and lose.
//
// It keeps two pictures: what the vendor stores and what the source has seen of it. While the source is lost the vendor
// moves on and the source does not, which is what an outage is.

import {
  type KillSwitches,
  type Position,
  type Reading,
  type SourceChange,
  type SourceHealth,
  type Subject,
  type SwitchFlag,
  type SwitchSource,
  unknown,
} from '@offswitch/core';

export interface FlipWords {
  readonly reason?: string;
  readonly by?: string;
  /** What a target of the instance tier is. Default `session`. */
  readonly targetKind?: 'session' | 'conversation';
}

export interface MemorySourceOptions {
  /** Default `memory`. */
  readonly name?: string;
  /** Default `memory:test`. */
  readonly series?: string;
  /** `read` answers with a promise, as an adapter over an asynchronous SDK does. Default false. */
  readonly async?: boolean;
  /** Positions carry no n, as with a vendor that has no usable counter: release is then an act (S3). Default false. */
  readonly withoutPositions?: boolean;
  /** Wall clock for `health.since`. Default `Date.now`. */
  readonly now?: () => number;
}

export interface MemorySource extends SwitchSource {
  /** Flips a switch on: for one target, or with no target a global or feature switch. Throws for a key nobody declared. */
  engage(key: string, target?: string, words?: FlipWords): void;
  release(key: string, target?: string, words?: FlipWords): void;
  /** The whole flag on, for everybody: for a user or instance switch the mistake of S11. `release(key)` undoes it. */
  turnOn(key: string, words?: FlipWords): void;
  /** From now on the switch answers this instead. `undefined` heals it. */
  fail(key: string, reading: Extract<Reading, { state: 'unknown' }> | undefined): void;
  /** The vendor loses the flag. */
  remove(key: string): void;
  /** The connection is lost: health `stale`, readings cached. Flips still reach the vendor. */
  lose(why?: string): void;
  /** The connection is back: what the vendor stores is seen again. */
  recover(): void;
  /** The vendor's n now. */
  readonly n: number;
  readonly openCount: number;
  readonly closeCount: number;
  readonly listenerCount: number;
}

interface Flag {
  readonly everybody: FlipWords | undefined;
  readonly targets: ReadonlyMap<string, FlipWords>;
  readonly failing: Extract<Reading, { state: 'unknown' }> | undefined;
}
interface Stored {
  readonly n: number;
  readonly flags: ReadonlyMap<string, Flag>;
}

const released: Flag = { everybody: undefined, targets: new Map(), failing: undefined };
const targetId = (kind: 'workflow' | 'user' | 'session' | 'conversation', id: string): string => `${kind}:${id}`;

/** Starts with every switch released at n = 1. Reads `unknown: not-ready` until it is opened. */
export function memorySource(switches: KillSwitches, options: MemorySourceOptions = {}): MemorySource {
  const now = options.now ?? Date.now;
  const series = options.series ?? 'memory:test';
  const listeners = new Set<(change: SourceChange) => void>();
  let stored: Stored = { n: 1, flags: new Map(switches.flags.map((flag) => [flag.key, released])) };
  let seen: Stored | undefined;
  let health: SourceHealth = { state: 'starting', since: now(), why: 'the source was not opened yet' };
  let openCount = 0;
  let closeCount = 0;

  const notify = (change: SourceChange): void => {
    for (const listener of [...listeners]) {
      try {
        listener(change);
      } catch {
        // A listener is outside the decision: it cannot keep the others from hearing (I13).
      }
    }
  };
  const store = (key: string, change: (flag: Flag) => Flag | undefined): void => {
    const flags = new Map(stored.flags);
    const next = change(flags.get(key) ?? released);
    if (next) flags.set(key, next);
    else flags.delete(key);
    stored = { n: stored.n + 1, flags };
    if (health.state !== 'fresh') return;
    seen = stored;
    notify({ flagsChanged: [key] });
  };
  const declared = (key: string): SwitchFlag => {
    const flag = switches.flags.find((one) => one.key === key);
    if (!flag) throw new Error(`memorySource: ${JSON.stringify(key)} is not among the declared switches`);
    return flag;
  };
  const targetOf = (key: string, target: string | undefined, words: FlipWords | undefined): string | undefined => {
    const { tier } = declared(key);
    switch (tier) {
      case 'global':
      case 'feature':
        if (target !== undefined) throw new Error(`memorySource: a ${tier} switch takes no target`);
        return undefined;
      case 'user':
        if (target === undefined) throw new Error('memorySource: a user switch needs a target; turnOn() is the whole flag');
        return targetId('user', target);
      case 'instance':
        if (target === undefined) throw new Error('memorySource: an instance switch needs a target; turnOn() is the whole flag');
        return targetId(words?.targetKind ?? 'session', target);
    }
  };
  const engagedFor = (flag: SwitchFlag, state: Flag, subject: Subject): FlipWords | undefined => {
    if (state.everybody) return state.everybody;
    const has = (kind: 'user' | 'session' | 'conversation', id: unknown): FlipWords | undefined =>
      typeof id === 'string' ? state.targets.get(targetId(kind, id)) : undefined;
    switch (flag.tier) {
      case 'global':
      case 'feature':
        return undefined;
      case 'user':
        return has('user', subject.userId);
      case 'instance':
        return has('session', subject.sessionId) ?? has('conversation', subject.conversationId);
    }
  };
  const answer = (flag: SwitchFlag, subject: Subject): Reading => {
    if (health.state === 'closed') return unknown('error', 'the source is closed');
    if (!seen) return unknown('not-ready', health.why ?? 'no data yet');
    const state = seen.flags.get(flag.key);
    if (!state) return unknown('not-found', `there is no flag ${JSON.stringify(flag.key)}`);
    if (state.failing) return state.failing;
    const position: Position = options.withoutPositions ? { series } : { series, n: seen.n };
    const origin = health.state === 'fresh' ? 'live' : 'cached';
    const words = engagedFor(flag, state, subject ?? {});
    if (!words) return { state: 'released', origin, position };
    return {
      state: 'engaged',
      origin,
      position,
      ...(words.reason === undefined ? {} : { reason: words.reason }),
      ...(words.by === undefined ? {} : { by: words.by }),
    };
  };

  return {
    name: options.name ?? 'memory',
    location: 'memory',
    async open() {
      openCount++;
      if (health.state !== 'starting') return;
      seen = stored;
      health = { state: 'fresh', since: now() };
      notify({});
    },
    read: (flag, subject) => (options.async ? Promise.resolve().then(() => answer(flag, subject)) : answer(flag, subject)),
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
    async close() {
      closeCount++;
      if (health.state === 'closed') return;
      health = { state: 'closed', since: now() };
      notify({});
      listeners.clear();
    },
    engage(key, target, words) {
      const id = targetOf(key, target, words);
      store(key, (flag) =>
        id === undefined
          ? { ...flag, everybody: words ?? {} }
          : { ...flag, targets: new Map([...flag.targets, [id, words ?? {}] as const]) },
      );
    },
    release(key, target, words) {
      if (target === undefined) {
        declared(key);
        store(key, (flag) => ({ ...flag, everybody: undefined }));
        return;
      }
      const id = targetOf(key, target, words);
      store(key, (flag) => ({ ...flag, targets: new Map([...flag.targets].filter(([one]) => one !== id)) }));
    },
    turnOn(key, words) {
      declared(key);
      store(key, (flag) => ({ ...flag, everybody: words ?? {} }));
    },
    fail(key, reading) {
      declared(key);
      store(key, (flag) => ({ ...flag, failing: reading }));
    },
    remove(key) {
      store(key, () => undefined);
    },
    lose(why = 'the connection was lost') {
      if (health.state !== 'fresh') return;
      health = { state: 'stale', since: now(), why };
      notify({});
    },
    recover() {
      if (health.state !== 'stale') return;
      seen = stored;
      health = { state: 'fresh', since: now() };
      notify({});
    },
    get n() {
      return stored.n;
    },
    get openCount() {
      return openCount;
    },
    get closeCount() {
      return closeCount;
    },
    get listenerCount() {
      return listeners.size;
    },
  };
}
