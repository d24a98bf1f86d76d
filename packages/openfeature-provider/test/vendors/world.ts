// world.ts: a scripted vendor behind a fault proxy with the vendor's own OpenFeature provider in front, as the contracts drive it.

import type { KillSwitches, SwitchFlag } from '@offswitch/core';
import {
  type Fault,
  type FaultHarness,
  type FaultProxy,
  faultUsers,
  type OtherFlag,
  openFaultProxy,
  waitUntil,
} from '@offswitch/testing';
import { OpenFeature, type Provider } from '@openfeature/server-sdk';
import { fromOpenFeature } from '../../src/index.ts';
import { freshDomain } from '../world.ts';

/** What the vendor stores of one switch. */
export interface Stored {
  readonly everybody: boolean;
  readonly targets: readonly string[];
  readonly isText: boolean;
}

/** The scripted server of one vendor, in the words of the contracts. */
export interface Vendor {
  readonly port: number;
  /** Requests that the server did not know. */
  readonly unknown: readonly string[];
  /** `undefined`: the vendor has no such flag. */
  put(flag: SwitchFlag, stored: Stored | undefined): void;
  putOther(key: string, flag: OtherFlag): void;
  /** A fault that the server makes itself; `undefined` ends it. */
  fault(fault: ServerFault | undefined): void;
  /** The vendor is gone, in a way from which its SDK comes back within a test. */
  lose(isLost: boolean): void;
  archive(flag: SwitchFlag, isArchived: boolean): void;
  /** From now on the server serves what it held at first, until `serveOlder(false)`. */
  serveOlder(isOn: boolean): void;
  /** What was sent last is sent again. */
  again(): void;
  /** What the two changes send arrives in reverse. */
  reversed(changes: () => void): void;
  provider(url: string): Provider;
  /** Resolves when a provider that was made is told of changes. */
  streaming(): Promise<void>;
  close(): Promise<void>;
}
export type ServerFault = Extract<
  Fault,
  'unauthorized' | 'forbidden' | 'not-found' | 'rate-limited' | 'server-error' | 'truncated-json' | 'wrong-shape' | 'empty-set'
>;

const none: Stored = { everybody: false, targets: [], isText: false };
const seenWithinMs = 3000;

export async function vendorHarness(vendor: Vendor, switches: KillSwitches): Promise<FaultHarness> {
  const proxy = await openFaultProxy({ port: vendor.port });
  const proxies: FaultProxy[] = [proxy];
  const stored = new Map<SwitchFlag, Stored>();
  const change = (flag: SwitchFlag, next: (was: Stored) => Stored): void => {
    const is = next(stored.get(flag) ?? none);
    stored.set(flag, is);
    vendor.put(flag, is);
  };
  for (const flag of switches.flags) change(flag, (was) => was);
  const bound = async (url: string, isAwaited: boolean) => {
    const domain = freshDomain();
    if (isAwaited) await OpenFeature.setProviderAndWait(domain, vendor.provider(url)).catch(() => {});
    else OpenFeature.setProvider(domain, vendor.provider(url));
    return fromOpenFeature(OpenFeature.getClient(domain), { openTimeoutMs: 1000 });
  };
  const source = await bound(proxy.url, true);
  await vendor.streaming();
  const user = switches.user!;
  let undo: () => void = () => {};

  const store = (action: 'engage' | 'release', flag: SwitchFlag, ...targets: readonly string[]): void =>
    change(flag, (was) =>
      targets.length === 0
        ? { ...was, everybody: action === 'engage' }
        : {
            ...was,
            targets: [...was.targets.filter((one) => !targets.includes(one)), ...(action === 'engage' ? targets : [])],
          },
    );
  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    if (!(await waitUntil(source, seenWithinMs, holds))) throw new Error(`not within ${seenWithinMs} ms: ${what}`);
  };
  const stateOf = async (flag: SwitchFlag, target = 'nobody-in-particular'): Promise<string> =>
    (await source.read(flag, { userId: target, sessionId: target })).state;
  const flip = async (action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void> => {
    store(action, flag, ...(target === undefined ? [] : [target]));
    const wanted = action === 'engage' ? 'engaged' : 'released';
    await until(`${flag.key} ${wanted}`, async () => (await stateOf(flag, target)) === wanted);
  };

  return {
    source,
    engage: (flag, target) => flip('engage', flag, target),
    release: (flag, target) => flip('release', flag, target),
    async store(action, flag, target) {
      store(action, flag, ...(target === undefined ? [] : [target]));
    },
    turnOn: (flag) => flip('engage', flag),
    async remove(flag) {
      vendor.put(flag, undefined);
      await until(`${flag.key} gone`, async () => (await stateOf(flag)) === 'unknown');
    },
    async setWrongType(flag) {
      change(flag, (was) => ({ ...was, isText: true }));
      await until(`${flag.key} text`, async () => (await stateOf(flag)) === 'unknown');
    },
    async lose() {
      vendor.lose(true);
    },
    async recover() {
      vendor.lose(false);
      await vendor.streaming();
      vendor.again();
      await until('caught up', async () => {
        for (const [flag, { everybody, targets }] of stored) {
          const wanted = everybody || targets.length > 0 ? 'engaged' : 'released';
          if ((await stateOf(flag, targets[0])) !== wanted) return false;
        }
        return true;
      });
    },
    async engageMany(flag, targets) {
      store('engage', flag, ...targets);
      await until('many', async () => (await stateOf(flag, targets.at(-1))) === 'engaged');
    },
    async unanswered() {
      const silent = await openFaultProxy({ port: vendor.port });
      proxies.push(silent);
      await silent.mode('black-hole');
      return bound(silent.url, false);
    },
    async putFlag(key, flag) {
      vendor.putOther(key, flag);
      await until(`the flag ${key}`, async () => {
        const { errorCode } = await source.resolve!(key, 'boolean', { targetingKey: 'someone' });
        return errorCode === undefined || errorCode === 'TYPE_MISMATCH';
      });
    },
    async inject(fault) {
      switch (fault) {
        case 'drop':
        case 'reset':
        case 'black-hole':
        case 'refuse':
        case 'slow':
        case 'half-frame':
          await proxy.mode(fault);
          return;
        case 'unauthorized':
        case 'forbidden':
        case 'not-found':
        case 'rate-limited':
        case 'server-error':
        case 'truncated-json':
        case 'wrong-shape':
        case 'empty-set':
          vendor.fault(fault);
          undo = () => vendor.fault(undefined);
          return;
        case 'flag-deleted':
          vendor.put(switches.global, undefined);
          undo = () => change(switches.global, (was) => was);
          return;
        case 'flag-archived':
          vendor.archive(switches.global, true);
          undo = () => vendor.archive(switches.global, false);
          return;
        case 'wrong-type':
          change(switches.global, (was) => ({ ...was, isText: true }));
          undo = () => change(switches.global, (was) => ({ ...was, isText: false }));
          return;
        case 'older-version':
          vendor.serveOlder(true);
          undo = () => vendor.serveOlder(false);
          return;
        case 'duplicate':
          vendor.again();
          return;
        case 'reordered':
          vendor.reversed(() => {
            store('engage', user, faultUsers.first);
            store('engage', user, faultUsers.second);
          });
          return;
        case 'change-in-gap':
          await proxy.mode('drop');
          store('engage', user, faultUsers.first);
          await proxy.heal();
          return;
        case 'two-quick-changes':
          store('engage', user, faultUsers.first);
          store('engage', user, faultUsers.second);
          return;
        case 'many-targets':
          store('engage', user, ...Array.from({ length: 100_000 }, (_, n) => `many-${n}`));
          return;
      }
    },
    async heal() {
      await proxy.heal();
      undo();
      undo = () => {};
    },
    async close() {
      await OpenFeature.clearProviders();
      for (const one of proxies) await one.close();
      await vendor.close();
      if (vendor.unknown.length > 0) throw new Error(`asked for what is not scripted: ${vendor.unknown.join(', ')}`);
    },
  };
}

/** The attribute that names a switch's targets. */
export function attributeOf(flag: SwitchFlag): 'userId' | 'sessionId' {
  return flag.tier === 'instance' ? 'sessionId' : 'userId';
}
