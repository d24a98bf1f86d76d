// harness.ts: LaunchDarkly as the contract suites drive it: the scripted server behind a fault proxy, flipped through our control.

import * as nine from '@launchdarkly/node-server-sdk';
import type { KillSwitches, SwitchFlag, SwitchSource } from '@offswitch/core';
import { type LaunchDarklyOptions, type LaunchDarklySdk, launchDarkly } from '@offswitch/launchdarkly';
import { launchDarklyControl } from '@offswitch/launchdarkly/control';
import { type Fault, type FaultHarness, faultUsers, openFaultProxy, waitUntil } from '@offswitch/testing';
import { type LaunchDarklyServer, type LdFault, type LdFlag, openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import seven from 'launchdarkly-node-server-sdk';

export const sdks: Readonly<Record<'9' | '7', LaunchDarklySdk>> = { '9': nine, '7': seven };

/** Short, so that the suites are quick. */
const staleAfterMs = 400;
const pollMs = 80;
const boundMs = 8000;

const byServer: Readonly<Partial<Record<Fault, LdFault>>> = {
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
  'not-found': 'not-found',
  'rate-limited': 'rate-limited',
  'server-error': 'server-error',
  'truncated-json': 'truncated-json',
  'wrong-shape': 'wrong-shape',
  'empty-set': 'empty-set',
};

export interface LaunchDarklyHarness extends FaultHarness {
  readonly server: LaunchDarklyServer;
}

export async function launchDarklyHarness(
  switches: KillSwitches,
  sdk: LaunchDarklySdk,
  more: Partial<LaunchDarklyOptions> = {},
): Promise<LaunchDarklyHarness> {
  const server = await openLaunchDarklyServer();
  const proxy = await openFaultProxy({ port: server.port });
  const control = launchDarklyControl({
    token: server.token,
    project: server.project,
    environment: server.environment,
    baseUrl: server.url,
  });
  const from = (url: string): SwitchSource =>
    launchDarkly({
      sdkKey: server.sdkKey,
      sdk,
      baseUri: url,
      streamUri: url,
      eventsUri: server.url,
      staleAfterMs,
      pollMs,
      openWithinMs: 1000,
      ...more,
    });
  const source = from(proxy.url);
  await control.provision(switches, { apply: true });
  const before = server.snapshot();
  const { global } = switches;
  const others: (() => Promise<void>)[] = [];
  let undo: () => void = () => {};

  const store = async (action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void> => {
    await control[action]({ flag, ...(target === undefined ? {} : { target }), reason: 'the contract', by: 'suite' });
  };
  const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
    if (!(await waitUntil(source, boundMs, holds))) throw new Error(`not within ${boundMs} ms: ${what}`);
  };
  const seen = async (flag: SwitchFlag): Promise<void> => {
    await until(`${flag.key} as stored`, async () => {
      await source.refresh?.();
      const reading = await source.read(flag, {});
      const n = server.flag(flag.key)?.config.version;
      if (reading.state === 'unknown') return reading.cause !== 'not-ready';
      return (
        n !== undefined &&
        (reading.position.n === n || reading.position.n === n * 2 ** 26 + (server.segment('killswitch-sessions')?.version ?? 0))
      );
    });
  };
  const flip = async (action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void> => {
    server.serveText(undefined);
    await store(action, flag, target);
    const segment = server.segment('killswitch-sessions');
    await seen(flag);
    if (flag.tier === 'instance' && segment && target !== undefined)
      await until('the segment', async () => {
        const reading = await source.read(flag, { sessionId: target });
        return reading.state === (action === 'engage' ? 'engaged' : 'released');
      });
  };
  const engagedIndex = (flag: LdFlag, one: SwitchFlag): number => flag.variations.findIndex((v) => v.value === one.engagedWhen);
  /** A change of the global flag, and the way back. */
  const broken = (change: (flag: LdFlag) => LdFlag): void => {
    const was = server.flag(global.key)!;
    server.changeFlag(global.key, change);
    undo = () => void server.changeFlag(global.key, (flag) => ({ ...flag, archived: was.archived, variations: was.variations }));
  };
  const polledAgain = async (): Promise<void> => {
    const count = (): number => server.requests.filter((line) => line === 'GET /sdk/latest-all').length;
    const goal = count() + 2;
    await until('another poll', () => count() >= goal);
  };

  return {
    source,
    server,
    engage: (flag, target) => flip('engage', flag, target),
    release: (flag, target) => flip('release', flag, target),
    store,
    async turnOn(flag) {
      server.changeFlag(flag.key, (one) => ({
        ...one,
        config: { ...one.config, on: true, fallthrough: { variation: engagedIndex(one, flag) } },
      }));
      await seen(flag);
    },
    async remove(flag) {
      server.removeFlag(flag.key);
      await until('the flag is gone', async () => (await source.read(flag, {})).state === 'unknown');
    },
    async setWrongType(flag) {
      server.changeFlag(flag.key, (one) => ({
        ...one,
        variations: one.variations.map((variation) => ({ ...variation, value: 'engaged' })),
      }));
      await until('the other type', async () => (await source.read(flag, {})).state === 'unknown');
    },
    async lose() {
      await proxy.mode('refuse');
      await until('stale', () => source.health.state === 'stale');
    },
    async stall() {
      await proxy.mode('black-hole');
    },
    async recover() {
      await proxy.heal();
      await until('fresh', () => source.health.state === 'fresh');
      for (const flag of switches.flags) await seen(flag);
    },
    async serveOlder() {
      server.serve(before);
      await polledAgain();
    },
    async feed(text) {
      server.serveText(text);
      await polledAgain();
    },
    async engageMany(flag, targets) {
      const variation = (one: LdFlag): number => engagedIndex(one, flag);
      server.changeFlag(flag.key, (one) => ({
        ...one,
        config: { ...one.config, targets: [{ contextKind: 'user', values: targets, variation: variation(one) }] },
      }));
      await seen(flag);
    },
    async unanswered() {
      const silent = await openFaultProxy({ port: server.port });
      await silent.mode('black-hole');
      others.push(() => silent.close());
      return from(silent.url);
    },
    async elsewhere() {
      const other = await launchDarklyHarness(switches, sdk, more);
      others.push(() => other.close());
      return other.source;
    },
    async putFlag(key, { value, targeted }) {
      server.setFlag({
        key,
        variations: targeted ? [value, targeted.value] : [value],
        on: true,
        fallthrough: 0,
        offVariation: 0,
        ...(targeted ? { targets: [{ contextKind: 'user', values: [targeted.targetingKey], variation: 1 }] } : {}),
      });
      await until(`the flag ${key}`, async () => {
        const { errorCode } = await source.resolve!(key, 'boolean', { targetingKey: 'someone' });
        return errorCode === undefined || errorCode === 'TYPE_MISMATCH';
      });
    },
    async inject(fault) {
      const served = byServer[fault];
      if (served) {
        server.fault(served);
        undo = () => server.fault(undefined);
        return;
      }
      switch (fault) {
        case 'drop':
        case 'reset':
        case 'black-hole':
        case 'refuse':
        case 'slow':
        case 'half-frame':
          await proxy.mode(fault);
          return;
        case 'flag-deleted': {
          const was = server.flag(global.key)!;
          server.removeFlag(global.key);
          undo = () => void server.putFlag(was);
          return;
        }
        case 'flag-archived':
          broken((flag) => ({ ...flag, archived: true }));
          return;
        case 'wrong-type':
          broken((flag) => ({ ...flag, variations: flag.variations.map((one) => ({ ...one, value: 'engaged' })) }));
          return;
        case 'older-version':
          server.serve(before);
          undo = () => server.serve(undefined);
          return;
        case 'duplicate':
          server.resend(switches.user!.key);
          return;
        case 'reordered': {
          const flush = server.holdAndReverse();
          await store('engage', switches.user!, faultUsers.first);
          await store('engage', switches.user!, faultUsers.second);
          flush();
          return;
        }
        case 'change-in-gap':
          await proxy.mode('drop');
          await store('engage', switches.user!, faultUsers.first);
          await proxy.heal();
          return;
        case 'two-quick-changes':
          await store('engage', switches.user!, faultUsers.first);
          await store('engage', switches.user!, faultUsers.second);
          return;
        case 'many-targets': {
          const many = Array.from({ length: 100_000 }, (_, i) => `many-${i}`);
          server.changeFlag(switches.user!.key, (one) => ({
            ...one,
            config: {
              ...one.config,
              targets: one.config.targets.map((list) => ({ ...list, values: [...list.values, ...many] })),
            },
          }));
          return;
        }
        case 'unauthorized':
        case 'forbidden':
        case 'not-found':
        case 'rate-limited':
        case 'server-error':
        case 'truncated-json':
        case 'wrong-shape':
        case 'empty-set':
          throw new Error(`the server has no fault for ${fault}`);
      }
    },
    async heal() {
      await proxy.heal();
      undo();
      undo = () => {};
    },
    async close() {
      for (const end of others.splice(0)) await end();
      await proxy.close();
      await server.close();
      if (server.unknown.length > 0) throw new Error(`requests nobody scripted: ${server.unknown.join(', ')}`);
    },
  };
}
