// harness.ts: the scripted GrowthBook, provisioned and flipped through our own control, with a source over it.

import type { KillSwitches, SwitchControl, SwitchFlag } from '@offswitch/core';
import { type GrowthBookOptions, type GrowthBookSource, growthBook } from '@offswitch/growthbook';
import { growthBookControl } from '@offswitch/growthbook/control';
import { contractSwitches, type Fault, type FaultHarness, type FaultProxy, faultUsers, openFaultProxy } from '@offswitch/testing';
import {
  type FeatureDefinition,
  type GrowthBookServer,
  type GrowthBookServerOptions,
  startGrowthBookServer,
} from '@offswitch/testing/growthbook';
import { until } from './until.ts';

/** Limits so short that a suite is quick; what they are relative to each other is as in the defaults. */
export const quick = {
  staleAfterMs: 600,
  reconcileMs: 100,
  requestTimeoutMs: 400,
  heartbeatMs: 400,
  reconnectWithinMs: 100,
  openWithinMs: 1000,
} as const;

export interface GrowthBookHarness extends FaultHarness {
  readonly source: GrowthBookSource;
  readonly server: GrowthBookServer;
  readonly control: SwitchControl;
  readonly proxy: FaultProxy | undefined;
  /** Resolves when the source has read what the vendor now has. */
  caughtUp(): Promise<void>;
}

export interface HarnessOptions {
  readonly server?: GrowthBookServerOptions;
  readonly source?: Partial<GrowthBookOptions>;
  /** Puts the fault proxy between the source and the server. */
  readonly proxied?: boolean;
}

const words = { reason: 'the contract says so', by: 'ada' };

export async function growthBookHarness(
  switches: KillSwitches = contractSwitches,
  options: HarnessOptions = {},
): Promise<GrowthBookHarness> {
  const server = await startGrowthBookServer({ pingEveryMs: 100, ...options.server });
  const proxy = options.proxied ? await openFaultProxy({ port: server.port }) : undefined;
  const control = growthBookControl({ baseUrl: server.url, token: server.token, environment: server.environment });
  await control.provision(switches, { apply: true });
  const first = server.payload();
  const source = growthBook({
    apiHost: proxy?.url ?? server.url,
    clientKey: server.clientKey,
    ...quick,
    ...(options.server?.encryptionKey === undefined ? {} : { decryptionKey: options.server.encryptionKey }),
    ...options.source,
  });
  const caughtUp = async (): Promise<void> => {
    const n = Date.parse(String(server.payload().dateUpdated));
    await until(source, () => {
      const reading = source.read(switches.global, {});
      return reading.state === 'unknown'
        ? reading.cause !== 'not-ready' && (seenN(source, switches) ?? 0) >= n
        : (reading.position.n ?? 0) >= n;
    });
  };
  const feature = (flag: SwitchFlag) => server.stored.features.get(flag.key)!;
  const store = async (action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void> => {
    await control[action]({ flag, ...words, ...(target === undefined ? {} : { target }) });
  };
  const others: GrowthBookServer[] = [];
  const heal = (): void => {
    server.intercept = undefined;
    server.streams.freeze(false);
    server.override(undefined);
    server.fault(undefined);
  };
  const flip = async (action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void> => {
    server.intercept = undefined;
    await store(action, flag, target);
    await caughtUp();
  };
  let undo: (() => void | Promise<void>) | undefined;
  const user = switches.user!;

  const inject = async (fault: Fault): Promise<void> => {
    switch (fault) {
      case 'drop':
      case 'reset':
      case 'black-hole':
      case 'refuse':
      case 'slow':
      case 'half-frame':
        await proxy!.mode(fault);
        // Something must be sent for a frame to be cut in its middle.
        if (fault === 'half-frame') server.push();
        undo = () => proxy!.heal();
        return;
      case 'unauthorized':
      case 'forbidden':
      case 'not-found':
      case 'rate-limited':
      case 'server-error':
      case 'truncated-json':
      case 'wrong-shape':
      case 'empty-set':
        server.fault(fault);
        undo = () => server.fault(undefined);
        return;
      case 'flag-deleted': {
        const gone = feature(switches.global);
        server.edit(({ features }) => features.delete(gone.id));
        undo = () => server.edit(({ features }) => features.set(gone.id, gone));
        return;
      }
      case 'flag-archived':
      case 'wrong-type': {
        const { archived, valueType, defaultValue, rules } = feature(switches.global);
        server.edit(() => {
          if (fault === 'flag-archived') feature(switches.global).archived = true;
          else Object.assign(feature(switches.global), { valueType: 'string', defaultValue: 'engaged', rules: [] });
        });
        undo = () => server.edit(() => Object.assign(feature(switches.global), { archived, valueType, defaultValue, rules }));
        return;
      }
      case 'older-version':
        server.override(first);
        server.push();
        undo = () => server.override(undefined);
        return;
      case 'duplicate':
        server.push();
        return;
      case 'change-in-gap':
        await proxy!.mode('drop');
        await store('engage', user, faultUsers.first);
        await proxy!.heal();
        return;
      case 'two-quick-changes':
        await store('engage', user, faultUsers.first);
        await store('engage', user, faultUsers.second);
        return;
      case 'reordered': {
        server.streams.freeze(true);
        await store('engage', user, faultUsers.first);
        const earlier = JSON.stringify(server.payload());
        await store('engage', user, faultUsers.second);
        server.streams.freeze(false);
        server.push();
        server.push(earlier);
        return;
      }
      case 'many-targets':
        server.edit(({ groups }) => {
          for (const group of groups.values())
            if (group.attributeKey === 'userId')
              group.values = [...Array.from({ length: 100_000 }, (_, i) => `many-${i}`), ...group.values];
        });
        return;
    }
  };

  return {
    source,
    server,
    control,
    proxy,
    caughtUp,
    store,
    engage: (flag, target) => flip('engage', flag, target),
    release: (flag, target) => flip('release', flag, target),
    async turnOn(flag) {
      server.edit(() => {
        feature(flag).defaultValue = String(flag.engagedWhen);
      });
      await caughtUp();
    },
    async remove(flag) {
      server.edit(({ features }) => features.delete(flag.key));
      await caughtUp();
    },
    async setWrongType(flag) {
      server.edit(() => Object.assign(feature(flag), { valueType: 'string', defaultValue: 'engaged', rules: [] }));
      await caughtUp();
    },
    async lose() {
      server.fault('server-error');
      await until(source, () => source.health.state === 'stale');
    },
    async stall() {
      server.streams.freeze(true);
      server.intercept = () => 'hang';
    },
    async serveOlder() {
      server.override(first);
      server.push();
      await until(source, () => source.health.state === 'stale');
    },
    async feed(text) {
      // The management API is as ever: what is fed is what agents get.
      server.intercept = ({ path }) => (path.startsWith('/api/features/') ? { status: 200, body: text } : undefined);
      await source.refresh();
    },
    async recover() {
      heal();
      await until(source, () => source.health.state === 'fresh');
    },
    async engageMany(flag, targets) {
      server.edit(({ groups }) => {
        const field = flag.tier === 'user' ? 'userId' : 'sessionId';
        for (const group of groups.values()) if (group.attributeKey === field) group.values = [...group.values, ...targets];
      });
      await caughtUp();
    },
    async unanswered() {
      const silent = await startGrowthBookServer();
      others.push(silent);
      silent.intercept = () => 'hang';
      return growthBook({ apiHost: silent.url, clientKey: silent.clientKey, ...quick, openWithinMs: 100 });
    },
    async elsewhere() {
      const other = await startGrowthBookServer();
      others.push(other);
      await growthBookControl({ baseUrl: other.url, token: other.token, environment: other.environment }).provision(switches, {
        apply: true,
      });
      return growthBook({ apiHost: other.url, clientKey: other.clientKey, ...quick });
    },
    async putFlag(key, { value, targeted }) {
      const rules = targeted ? [{ condition: { id: targeted.targetingKey }, force: targeted.value }] : [];
      server.setFeature(key, JSON.parse(JSON.stringify({ defaultValue: value, rules })) as FeatureDefinition);
      await caughtUp();
    },
    inject,
    async heal() {
      await undo?.();
      undo = undefined;
    },
    async close() {
      await proxy?.close();
      for (const one of [server, ...others]) await one.close();
      if (server.unknown.length > 0)
        throw new Error(`asked for what the scripted server does not know: ${server.unknown.join(', ')}`);
    },
  };
}

/** The n of any switch that reads definite. */
function seenN(source: GrowthBookSource, switches: KillSwitches): number | undefined {
  for (const flag of switches.flags) {
    const reading = source.read(flag, {});
    if (reading.state !== 'unknown') return reading.position.n;
  }
  return undefined;
}
