// scripted-harness.ts: the scripted Unleash behind a fault proxy, as both contracts drive it.

import type { KillSwitches, SwitchFlag } from '@offswitch/core';
import { type Fault, type FaultHarness, faultUsers, type OtherFlag, openFaultProxy, waitUntil } from '@offswitch/testing';
import type {
  StoredConstraint,
  StoredFlag,
  StoredStrategy,
  UnleashPayload,
  UnleashServerOptions,
} from '@offswitch/testing/unleash';
import { type UnleashSource, unleash } from '@offswitch/unleash';
import { by, flipper, quick, reason, scripted, subjectOf, until } from './vendor.ts';

/** A flag of the application as Unleash holds one: booleans are on or off, anything else is the payload of a variant. */
function strategiesOf({ value, targeted }: OtherFlag): StoredStrategy[] {
  const one = (id: string, given: OtherFlag['value'], constraints: StoredConstraint[]): StoredStrategy => {
    const type = typeof given === 'object' ? 'json' : typeof given;
    const payload = { type, value: typeof given === 'object' ? JSON.stringify(given) : String(given) };
    return {
      id,
      name: 'flexibleRollout',
      title: null,
      disabled: false,
      sortOrder: 0,
      parameters: { rollout: '100', stickiness: 'default', groupId: id },
      constraints,
      segments: [],
      variants: typeof given === 'boolean' ? [] : [{ name: id, weight: 1000, stickiness: 'default', payload }],
    };
  };
  const to = (operator: 'IN' | 'NOT_IN'): StoredConstraint[] =>
    targeted ? [{ contextName: 'userId', operator, values: [targeted.targetingKey] }] : [];
  const all = [
    ...(targeted && targeted.value !== false ? [one('targeted', targeted.value, to('IN'))] : []),
    ...(value === false ? [] : [one('everybody', value, to('NOT_IN'))]),
  ];
  return all;
}

/** A source of another making over the server at this address, and how to free what it stands on. */
export type SourceOver = (url: string, token: string) => { readonly source: UnleashSource; free(): void };

export async function scriptedHarness(
  switches: KillSwitches,
  options: UnleashServerOptions = {},
  over?: SourceOver,
): Promise<FaultHarness> {
  const vendor = await scripted(switches, options);
  const { server, control } = vendor;
  const proxy = await openFaultProxy({ port: server.port });
  const made = over?.(proxy.url, server.token);
  const source = made?.source ?? vendor.source({ url: proxy.url });
  const flip = flipper(source, control);
  const before = server.payload();
  const others: { close(): Promise<void> }[] = [];
  const user = switches.user!;
  let kept: StoredFlag | undefined;

  const asked = (): number => server.requests.filter((one) => one.startsWith('GET /api/client/features')).length;
  /** The answer to a request that began after now has been taken. */
  const polled = async (): Promise<void> => {
    const from = asked();
    await waitUntil(source, 5000, () => asked() >= from + 2);
  };
  const store = async (action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void> => {
    await control[action]({ flag, reason, by, ...(target === undefined ? {} : { target }) });
  };
  const again = (payload: UnleashPayload, mark: string): UnleashPayload => ({
    ...payload,
    etag: `"${mark}:${server.stored.revision}:v1"`,
  });
  const nameMany = (flag: SwitchFlag, targets: readonly string[]): void =>
    server.edit(flag.key, (stored) => {
      const { strategies } = stored.environments.get(server.environment)!;
      const constraints = [{ contextName: 'userId', operator: 'IN', values: [...targets] }];
      strategies.push({ ...strategies[0]!, id: 'many', constraints, parameters: { rollout: '100', stickiness: 'default' } });
    });
  const wrongType = { enabled: 'true' };
  const inject: Readonly<Record<Fault, () => Promise<void> | void>> = {
    drop: () => proxy.mode('drop'),
    reset: () => proxy.mode('reset'),
    'black-hole': () => proxy.mode('black-hole'),
    refuse: () => proxy.mode('refuse'),
    slow: () => proxy.mode('slow'),
    'half-frame': () => proxy.mode('half-frame'),
    unauthorized: () => server.fault('unauthorized'),
    forbidden: () => server.fault('forbidden'),
    'not-found': () => server.fault('not-found'),
    'rate-limited': () => server.fault('rate-limited'),
    'server-error': () => server.fault('server-error'),
    'truncated-json': () => server.fault('truncated-json'),
    'wrong-shape': () => server.fault('wrong-shape'),
    'empty-set': () => server.fault('empty-set'),
    'flag-deleted': () => {
      kept = server.stored.flags.get(switches.global.key);
      server.edit(switches.global.key, () => {
        server.stored.flags.delete(switches.global.key);
      });
    },
    'flag-archived': () =>
      server.edit(switches.global.key, (stored) => {
        stored.archived = true;
      }),
    'wrong-type': () =>
      server.edit(switches.global.key, (stored) => {
        stored.raw = wrongType;
      }),
    'older-version': () => server.override(before),
    duplicate: () => server.queue([again(server.payload(), 'again')]),
    async reordered() {
      server.override(server.payload());
      await store('engage', user, faultUsers.first);
      const first = server.payload();
      await store('engage', user, faultUsers.second);
      server.queue([server.payload(), first]);
      server.override(undefined);
    },
    async 'change-in-gap'() {
      await proxy.mode('refuse');
      await store('engage', user, faultUsers.first);
      await proxy.heal();
    },
    async 'two-quick-changes'() {
      await store('engage', user, faultUsers.first);
      await store('engage', user, faultUsers.second);
    },
    'many-targets': () =>
      nameMany(
        user,
        Array.from({ length: 100_000 }, (_, n) => `many-${n}`),
      ),
  };

  return {
    source,
    store,
    async inject(fault) {
      await inject[fault]();
    },
    async heal() {
      server.fault(undefined);
      server.override(undefined);
      if (kept) server.stored.flags.set(kept.name, kept);
      kept = undefined;
      server.edit(switches.global.key, (stored) => {
        stored.archived = false;
        delete stored.raw;
      });
      await proxy.heal();
    },
    async engage(flag, target) {
      server.override(undefined);
      await flip('engage', flag, target);
    },
    release: (flag, target) => flip('release', flag, target),
    async turnOn(flag) {
      // What a person does who moves the slider of the strategy that matches nobody.
      server.edit(flag.key, (stored) => {
        stored.environments.get(server.environment)!.strategies[0]!.parameters.rollout = '100';
      });
      await until(source, () => source.read(flag, subjectOf(flag)).state !== 'released');
    },
    async remove(flag) {
      server.edit(flag.key, (stored) => {
        stored.archived = true;
      });
      await until(source, () => source.read(flag, subjectOf(flag)).state === 'unknown');
    },
    async setWrongType(flag) {
      server.edit(flag.key, (stored) => {
        stored.raw = wrongType;
      });
      await until(source, () => source.read(flag, subjectOf(flag)).state === 'unknown');
    },
    async lose() {
      await proxy.mode('drop');
      await until(source, () => source.health.state === 'stale');
    },
    stall: () => proxy.mode('black-hole'),
    async recover() {
      await proxy.heal();
      await until(source, () => source.health.state === 'fresh');
    },
    async serveOlder() {
      server.override(before);
      await polled();
    },
    async feed(text) {
      server.override({ etag: `"feed:${server.stored.revision}:v1"`, text });
      await polled();
    },
    async engageMany(flag, targets) {
      nameMany(flag, targets);
      await until(source, () => source.read(flag, subjectOf(flag, targets[0])).state === 'engaged');
    },
    async putFlag(key, flag) {
      await fetch(`${server.url}/api/admin/projects/default/features`, {
        method: 'POST',
        headers: { authorization: server.adminToken, 'content-type': 'application/json' },
        body: JSON.stringify({ name: key, type: 'release' }),
      });
      server.edit(key, (stored) => {
        const place = stored.environments.get(server.environment)!;
        place.strategies = strategiesOf(flag);
        place.enabled = place.strategies.length > 0;
      });
      await polled();
    },
    async unanswered() {
      const hole = await openFaultProxy({ port: server.port });
      await hole.mode('black-hole');
      others.push(hole);
      return unleash({ ...quick, url: hole.url, token: server.token, openWithinMs: 100 });
    },
    async elsewhere() {
      const other = await scripted(switches);
      others.push(other);
      return other.source();
    },
    async close() {
      made?.free();
      for (const one of others) await one.close();
      await proxy.close();
      await vendor.close();
    },
  };
}
