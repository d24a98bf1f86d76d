// real-harness.ts: the real Unleash server behind a fault proxy, as both contracts drive it. One server for all of a test file;
// each harness begins with flags made anew.

import type { KillSwitches, SwitchFlag } from '@offswitch/core';
import { type Fault, type FaultHarness, faults, faultUsers, openFaultProxy } from '@offswitch/testing';
import type { LocalUnleash } from '@offswitch/testing/unleash';
import { type UnleashSource, unleash } from '@offswitch/unleash';
import { unleashControl } from '@offswitch/unleash/control';
import { by, flipper, quick, reason, subjectOf, until } from './vendor.ts';

/** A request to the admin API as somebody in the dashboard makes it. Throws for what is refused. */
export async function admin(server: LocalUnleash, method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${server.url}/api/admin/${path}`, {
    method,
    headers: { authorization: server.control.token, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok && response.status !== 404) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

export const flagPath = (key: string): string => `projects/default/features/${key}`;
export const placePath = (key: string): string => `${flagPath(key)}/environments/development`;

export async function removeFlag(server: LocalUnleash, key: string): Promise<void> {
  await admin(server, 'DELETE', flagPath(key));
  await admin(server, 'DELETE', `archive/${key}`);
}

/** A strategy as the dashboard's form saves it. */
export const strategyOf = (key: string, more: Readonly<Record<string, unknown>> = {}): unknown => ({
  name: 'flexibleRollout',
  parameters: { rollout: '100', stickiness: 'default', groupId: key },
  constraints: [],
  ...more,
});
const variant = {
  name: 'engaged',
  weight: 1000,
  weightType: 'variable',
  stickiness: 'default',
  payload: { type: 'string', value: 'engaged' },
};

const here: readonly Fault[] = [
  'drop',
  'reset',
  'black-hole',
  'refuse',
  'slow',
  'half-frame',
  'unauthorized',
  'wrong-type',
  'change-in-gap',
  'two-quick-changes',
];

const scriptedOnly = 'the real server cannot be brought to it; made against the scripted one';
const comesBackOff =
  'Unleash brings a flag back with its environments off, and that is a release; made against the scripted server';

export async function realHarness(server: LocalUnleash, switches: KillSwitches): Promise<FaultHarness> {
  const control = unleashControl(server.control);
  await Promise.all(switches.flags.map((flag) => removeFlag(server, flag.key)));
  await control.provision(switches, { apply: true });
  const proxy = await openFaultProxy({ port: Number(new URL(server.url).port) });
  const tokens = [server.source.token];
  const newToken = async (environment: string): Promise<string> => {
    const made = { tokenName: `made-${environment}-${tokens.length}`, type: 'client', environment, projects: ['default'] };
    const { secret } = (await admin(server, 'POST', 'api-tokens', made)) as { secret: string };
    return secret;
  };
  const source = unleash({ ...quick, url: proxy.url, token: () => tokens.at(-1)!, series: 'unleash:real:development' });
  const flip = flipper(source, control);
  const { global } = switches;
  const user = switches.user!;
  const store = async (action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void> => {
    await control[action]({ flag, reason, by, ...(target === undefined ? {} : { target }) });
  };
  const others: UnleashSource[] = [];
  let faulty: Fault | undefined;
  let strange: { readonly id: string } | undefined;

  const inject: Readonly<Partial<Record<Fault, () => Promise<unknown>>>> = {
    // A token that is deleted at the server goes on working for a minute or so; one that never was is refused at once.
    async unauthorized() {
      tokens.push('default:development.0000000000000000000000000000000000000000');
    },
    async 'wrong-type'() {
      strange = (await admin(
        server,
        'POST',
        `${placePath(global.key)}/strategies`,
        strategyOf(global.key, { variants: [variant] }),
      )) as {
        id: string;
      };
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
  };
  const heal: Readonly<Partial<Record<Fault, () => Promise<unknown>>>> = {
    async unauthorized() {
      tokens.push(server.source.token);
    },
    'wrong-type': () => admin(server, 'DELETE', `${placePath(global.key)}/strategies/${strange!.id}`),
  };

  return {
    source,
    store,
    cannot: {
      ...Object.fromEntries(faults.filter((one) => !here.includes(one)).map((one) => [one, scriptedOnly])),
      'flag-deleted': comesBackOff,
      'flag-archived': comesBackOff,
    },
    async inject(fault) {
      faulty = fault;
      const own = inject[fault];
      if (own) await own();
      else await proxy.mode(fault as Parameters<typeof proxy.mode>[0]);
    },
    async heal() {
      await (faulty && heal[faulty])?.();
      faulty = undefined;
      await proxy.heal();
    },
    engage: (flag, target) => flip('engage', flag, target),
    release: (flag, target) => flip('release', flag, target),
    async turnOn(flag) {
      await admin(server, 'POST', `${placePath(flag.key)}/strategies`, strategyOf(flag.key));
      await until(source, () => source.read(flag, subjectOf(flag)).state !== 'released');
    },
    async remove(flag) {
      await admin(server, 'DELETE', flagPath(flag.key));
      await until(source, () => source.read(flag, subjectOf(flag)).state === 'unknown');
    },
    async setWrongType(flag) {
      await admin(server, 'POST', `${placePath(flag.key)}/strategies`, strategyOf(flag.key, { variants: [variant] }));
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
    async unanswered() {
      const hole = await openFaultProxy({ port: Number(new URL(server.url).port) });
      await hole.mode('black-hole');
      const other = unleash({ ...quick, url: hole.url, token: server.source.token, openWithinMs: 100 });
      const close = other.close.bind(other);
      return Object.assign(Object.create(other) as UnleashSource, {
        async close() {
          await close();
          await hole.close();
        },
      });
    },
    async elsewhere() {
      const other = unleash({ ...quick, url: server.url, token: await newToken('production') });
      others.push(other);
      return other;
    },
    async close() {
      for (const one of others) await one.close();
      await proxy.close();
    },
  };
}
