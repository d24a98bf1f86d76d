// cluster.process.test.ts: a real Redis Cluster: everything is in the one slot of the prefix's hash tag, on whichever server has it.

import { createServer } from 'node:net';
import { readRedisJournals, redisStore, requestRedisControl } from '@offswitch/redis';
import { formatStopKey, type StateStore, type StoredStop } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { createClient } from 'redis';
import { afterEach, expect, test } from 'vitest';
import { describeRedis } from './real-redis.ts';

const closings: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close().catch(() => {});
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function node(): Promise<LocalRedis> {
  // The bus is the port plus 10,000 where nothing is said, which may be none.
  const bus = String(await freePort());
  const config = [['cluster-enabled', 'yes'] as const, ['cluster-port', bus] as const, ['cluster-node-timeout', '2000'] as const];
  const one = await startLocalRedis({ config });
  closings.push(() => one.close());
  return Object.assign(one, { bus });
}

async function until(what: string, isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const endsAt = performance.now() + 20_000;
  while (!(await isTrue())) {
    if (performance.now() > endsAt) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** `owner` has the slot of the prefix and `replica` its data, `other` has the rest. */
async function cluster(prefix: string): Promise<{ owner: LocalRedis; replica: LocalRedis; other: LocalRedis }> {
  const [low, high, replica] = await Promise.all([node(), node(), node()]);
  await low.command('CLUSTER', 'ADDSLOTSRANGE', '0', '8191');
  await high.command('CLUSTER', 'ADDSLOTSRANGE', '8192', '16383');
  for (const one of [high, replica]) {
    const { bus } = one as LocalRedis & { readonly bus: string };
    await low.command('CLUSTER', 'MEET', '127.0.0.1', String(one.port), bus);
  }
  const slot = Number(await low.command('CLUSTER', 'KEYSLOT', `${prefix}:{ctl}:ev`));
  const [owner, other] = slot < 8192 ? [low, high] : [high, low];
  const ownerId = await owner.command('CLUSTER', 'MYID');
  await until('the cluster', async () => {
    const infos = await Promise.all([low, high, replica].map((one) => one.command('CLUSTER', 'INFO')));
    return infos.every((info) => /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info));
  });
  await until('a replica', () =>
    replica.command('CLUSTER', 'REPLICATE', ownerId).then(
      () => true,
      () => false,
    ),
  );
  await until('its data', async () => /master_link_status:up/.test(await replica.command('INFO', 'replication')));
  return { owner, replica, other };
}

async function open(options: Parameters<typeof redisStore>[0]): Promise<StateStore> {
  const store = redisStore({ anchor: false, ...options });
  closings.push(() => store.close());
  await store.open();
  return store;
}

const stop = (id: string): string =>
  formatStopKey({ kind: 'act', cause: 'operator', action: 'terminate', tier: 'instance', subject: 's-1', id });
const details = { reason: 'test', by: 'test', at: 1 };

describeRedis('in a Redis Cluster', () => {
  test('a prefix without a hash tag is refused, with the way out', async () => {
    const one = await node();
    await expect(open({ url: one.url, prefix: 'os1' })).rejects.toMatchObject({
      code: 'invalid_option',
      message: expect.stringContaining('{os1}'),
    });
  });

  test.each(['url', 'client'] as const)('a store goes to the server that has its slot, whichever the %s names', async (by) => {
    const prefix = '{os1}';
    const { owner, other } = await cluster(prefix);
    const place = (one: LocalRedis) => (by === 'url' ? { url: one.url } : { client: createClient({ url: one.url }) });
    const a = await open({ ...place(other), prefix });
    const b = await open({ ...place(owner), prefix });
    expect(a.health).toEqual({ state: 'ok' });
    const heard: string[] = [];
    b.watch(({ stops }) => heard.push(...(stops ?? []).map((one) => one.key)));
    await b.serve!(async () => 'here');
    await a.mark(stop('1'), 'engaged', 0, details);
    expect(await a.lineage.confirm(stop('1'), 0)).toEqual({ confirmed: [b.processId], unconfirmed: [], runners: [] });
    expect(heard).toEqual([stop('1')]);
    expect(await a.lineage.register({ session: 's-1', path: ['s-1'], agent: 'a', workflow: 'w', isLocalRoot: true })).toEqual({
      status: 'registered',
    });
    expect(await b.lineage.find('s-1', 's-1')).toMatchObject({ session: 's-1', process: a.processId });
    expect(await requestRedisControl({ ...place(other), prefix }, 'hello')).toMatchObject([{ result: 'here' }]);
    expect(await readRedisJournals({ ...place(other), prefix }, ['s-1'])).toEqual({ journals: [] });
  });

  test('a stop outlives the server that had it, in processes that know no other by name', { timeout: 60_000 }, async () => {
    const prefix = '{os1}';
    const { owner, replica } = await cluster(prefix);
    const a = await open({ url: owner.url, prefix, leaseMs: 3000 });
    const b = await open({ url: owner.url, prefix, leaseMs: 3000 });
    await a.mark(stop('1'), 'engaged', 0, details);
    await until('the replica has it', async () => (await replica.command('DBSIZE')) === (await owner.command('DBSIZE')));
    await owner.kill();
    await replica.command('CLUSTER', 'FAILOVER', 'TAKEOVER');
    // Their leases may still be good from before.
    let known: readonly StoredStop[] | undefined;
    await until('one is back', async () => {
      known = await b.stops().catch(() => undefined);
      return known !== undefined;
    });
    expect(known!.map((one) => one.key)).toEqual([stop('1')]);
    await until('a second stop', () =>
      a.mark(stop('2'), 'engaged', 0, details).then(
        () => true,
        () => false,
      ),
    );
    await until('both are back', () => a.health.state === 'ok' && b.health.state === 'ok' && !a.lineage.isCutOff());
    expect(await a.lineage.confirm(stop('2'), 0)).toEqual({ confirmed: [b.processId], unconfirmed: [], runners: [] });
  });
});
