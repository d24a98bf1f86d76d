// small-source.ts: a source over the small vendor that holds the contract, and variants of it that must be found out, each broken
// in the way in which real adapters break.

import {
  type KillSwitches,
  type Reading,
  type SourceChange,
  type SourceHealth,
  type SwitchSource,
  unknown,
} from '@offswitch/core';
import { type FaultHarness, type SourceHarness, waitUntil } from '@offswitch/testing';
import { type SmallSet, SmallVendor } from './small-vendor.ts';

export type Broken =
  /** An empty set is taken at its word, and what is not in it was released. */
  | 'lifts on an empty set'
  /** What is kept of a lost vendor is still called live. */
  | 'calls old data live'
  /** A flag that is gone reads as what the caller would have had: not engaged. */
  | 'takes the fallback of the caller'
  /** Data that cannot be understood is a rejection nobody handles. */
  | 'crashes the host'
  /** There is no clock, only what the connection says. */
  | 'never goes stale'
  /** The last that came is the truth, whatever its version. */
  | 'believes older data'
  /** A set that cannot be understood stops everybody. */
  | 'stops everybody'
  /** After one refusal it never asks again. */
  | 'gives up'
  /** A connection that is back is taken for one that was never away. */
  | 'does not ask again after a gap'
  /** A release at the vendor is not believed. */
  | 'never releases'
  /** A read during trouble throws. */
  | 'throws from read'
  /** It waits for the vendor as long as it takes. */
  | 'opens for ever'
  /** Changes are taken and nobody is told. */
  | 'keeps changes to itself'
  /** Two environments are one series. */
  | 'takes every environment for the same'
  /** A timer goes on after `close`. */
  | 'leaves a timer behind'
  /** An id is a prefix. */
  | 'matches by the beginning of an id';

const tickMs = 10;
/** Counted, and not timed: where the machine stands still, the vendor's heartbeat does too. */
const staleAfterTicks = 6;

export function smallSource(vendor: SmallVendor, broken?: Broken, environment = 'small:test'): SwitchSource {
  const series = broken === 'takes every environment for the same' ? 'small' : environment;
  const listeners = new Set<(change: SourceChange) => void>();
  const wasEngaged = new Set<string>();
  let health: SourceHealth = { state: 'starting', since: Date.now(), why: 'not opened' };
  let seen: SmallSet | undefined;
  let silentTicks = 0;
  let hasData = false;
  let disconnect: (() => void) | undefined;
  let hasGivenUp = false;
  let ticker: NodeJS.Timeout | undefined;

  const become = (state: SourceHealth['state'], why?: string): void => {
    if (health.state === state) return;
    health = { state, since: Date.now(), ...(why === undefined ? {} : { why }) };
    tell({});
  };
  const tell = (change: SourceChange): void => {
    for (const listener of [...listeners]) {
      try {
        listener(change);
      } catch {
        // Outside the decision.
      }
    }
  };
  const parsed = (text: string): SmallSet | undefined => {
    try {
      const set = JSON.parse(text) as SmallSet;
      if (typeof set.n === 'number' && typeof set.flags === 'object' && set.flags !== null) return set;
    } catch {
      if (broken === 'crashes the host') void Promise.reject(new Error('a listener of somebody else'));
    }
    return undefined;
  };
  const take = (text: string): void => {
    if (health.state === 'closed') return;
    if (text === 'ping') {
      if (hasData) silentTicks = 0;
      return;
    }
    const set = parsed(text);
    if (!set && broken === 'stops everybody' && seen) {
      seen = {
        n: seen.n + 1,
        flags: Object.fromEntries(Object.keys(seen.flags).map((key) => [key, { engaged: true, targets: [] }])),
      };
      tell({});
    }
    const isEmpty = set !== undefined && Object.keys(set.flags).length === 0 && broken !== 'lifts on an empty set';
    const isOlder = set !== undefined && set.n < (seen?.n ?? 0) && broken !== 'believes older data';
    // Data in doubt: what comes next on this connection, a heartbeat included, proves nothing.
    hasData = set !== undefined && !isEmpty;
    if (!set || isEmpty || isOlder) return;
    silentTicks = 0;
    seen = set;
    if (health.state !== 'fresh') become('fresh');
    else if (broken !== 'keeps changes to itself') tell({});
  };
  const connect = (): void => {
    if (disconnect || hasGivenUp || health.state === 'closed') return;
    let isFirst = true;
    try {
      disconnect = vendor.connect({
        text: (text) => {
          const skip = broken === 'does not ask again after a gap' && isFirst && seen !== undefined;
          isFirst = false;
          if (skip) {
            hasData = true;
            silentTicks = 0;
            become('fresh');
          } else take(text);
        },
        end: () => {
          disconnect = undefined;
        },
      });
    } catch {
      if (broken === 'gives up') hasGivenUp = true;
    }
  };
  const tick = (): void => {
    if (broken !== 'never goes stale' && ++silentTicks > staleAfterTicks) {
      become('stale', 'the vendor said nothing for a while');
      disconnect?.();
      disconnect = undefined;
      silentTicks = 0;
    }
    connect();
  };
  const answer = (key: string, id: string | undefined): Reading => {
    if (health.state === 'closed') return unknown('error', 'closed');
    if (!seen) return unknown('not-ready', 'no data yet');
    if (health.state !== 'fresh' && broken === 'throws from read') throw new Error('not now');
    const flag = Object.hasOwn(seen.flags, key) ? seen.flags[key] : undefined;
    const isLive = health.state === 'fresh' || broken === 'calls old data live';
    const position = { series, n: seen.n };
    const origin = isLive ? 'live' : 'cached';
    const isLenient = broken === 'takes the fallback of the caller' || broken === 'lifts on an empty set';
    if (!flag && !isLenient) return unknown('not-found', `there is no ${key}`);
    if (typeof flag?.engaged === 'string') return unknown('wrong-type', `${key} is a string`);
    const isEngaged =
      flag?.engaged === true ||
      (id !== undefined &&
        flag?.targets.some((one) => one === id || (broken === 'matches by the beginning of an id' && id.startsWith(one))) ===
          true);
    if (broken === 'never releases' && !isEngaged && wasEngaged.has(key)) return unknown('error', 'not sure');
    if (isEngaged) wasEngaged.add(key);
    return { state: isEngaged ? 'engaged' : 'released', origin, position };
  };
  return {
    name: 'small',
    async open() {
      connect();
      ticker ??= setInterval(tick, tickMs);
      silentTicks = 0;
      const isPatient = broken === 'opens for ever';
      await waitUntil(
        this,
        isPatient ? 8000 : 1000,
        () => health.state !== 'starting' && !(isPatient && health.state === 'stale'),
      );
    },
    read: (flag, subject) =>
      answer(flag.key, flag.tier === 'user' ? subject?.userId : flag.tier === 'instance' ? subject?.sessionId : undefined),
    get health() {
      return health;
    },
    subscribe(listener) {
      const own = (change: SourceChange): void => listener(change);
      listeners.add(own);
      return () => listeners.delete(own);
    },
    async close() {
      if (broken !== 'leaves a timer behind') clearInterval(ticker);
      disconnect?.();
      become('closed');
      listeners.clear();
    },
  };
}

/** The small vendor as the contracts drive it. */
export async function smallHarness(switches: KillSwitches, broken?: Broken): Promise<FaultHarness> {
  const vendor = new SmallVendor(switches);
  const source = smallSource(vendor, broken);
  const others: SmallVendor[] = [];
  const seen = (): Promise<boolean> => {
    const probe = `seen-${vendor.set.n}`;
    const user = switches.user!;
    vendor.flip('engage', user, probe);
    return waitUntil(source, 10_000, async () => (await source.read(user, { userId: probe })).state === 'engaged');
  };
  const flip =
    (action: 'engage' | 'release'): SourceHarness['engage'] =>
    async (flag, target) => {
      vendor.flip(action, flag, ...(target === undefined ? [] : [target]));
      await seen();
    };
  return {
    source,
    engage: flip('engage'),
    release: flip('release'),
    turnOn: flip('engage'),
    async remove({ key }) {
      vendor.change(key, () => undefined);
      await seen();
    },
    async setWrongType({ key }) {
      vendor.change(key, (flag) => ({ ...flag, engaged: 'true' }));
      await seen();
    },
    async lose() {
      vendor.inject('drop');
      await waitUntil(source, 10_000, () => source.health.state === 'stale');
    },
    async recover() {
      vendor.heal();
      await waitUntil(source, 10_000, () => source.health.state === 'fresh');
    },
    stall: async () => vendor.inject('black-hole'),
    async serveOlder() {
      vendor.inject('older-version');
      await new Promise((resolve) => setImmediate(resolve));
    },
    async feed(text) {
      vendor.feed(text);
      // What was sent later is seen later.
      await new Promise((resolve) => setImmediate(resolve));
    },
    async engageMany(flag, targets) {
      vendor.flip('engage', flag, ...targets);
      await seen();
    },
    async unanswered() {
      vendor.inject('black-hole');
      return smallSource(vendor, broken);
    },
    async elsewhere() {
      const other = new SmallVendor(switches);
      others.push(other);
      return smallSource(other, broken, 'small:elsewhere');
    },
    store: async (action, flag, target) => vendor.flip(action, flag, ...(target === undefined ? [] : [target])),
    inject: async (fault) => vendor.inject(fault),
    heal: async () => vendor.heal(),
    close: async () => {
      for (const one of [vendor, ...others]) one.close();
    },
  };
}
