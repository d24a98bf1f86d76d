// fleet.ts: stores as processes of their own on one real Redis, each behind a proxy that can cut it off.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RedisStoreOptions, redisStore } from '@offswitch/redis';
import { type StateStore, systemClock } from '@offswitch/runtime';
import { type FaultProxy, type LineageHarness, type LocalRedis, openFaultProxy, type StoreHarness } from '@offswitch/testing';

let prefixes = 0;

/** Short enough for a test to wait for, long enough for a busy machine. */
export const leaseMs = 3000;

export interface Fleet extends LineageHarness, StoreHarness {
  readonly prefix: string;
  readonly proxies: ReadonlyMap<StateStore, FaultProxy>;
  key(name: string): string;
}

export async function fleet(server: LocalRedis, options: Partial<RedisStoreOptions> = {}): Promise<Fleet> {
  const prefix = options.prefix ?? `t${process.pid}-${++prefixes}`;
  const folder = mkdtempSync(join(tmpdir(), 'offswitch-redis-anchor-'));
  const stores: StateStore[] = [];
  const proxies = new Map<StateStore, FaultProxy>();
  /** By how much each one's wall clock is set forward. Milliseconds. */
  const ahead = new Map<StateStore, number>();
  const key = (name: string): string => `${prefix}:{ctl}:${name}`;
  const make = async (): Promise<StateStore> => {
    const proxy = await openFaultProxy({ port: server.port });
    const url = new URL(server.url);
    url.port = String(proxy.port);
    const anchor = join(folder, `${stores.length}.json`);
    const clock = { ...systemClock, now: () => Date.now() + (ahead.get(store) ?? 0) };
    const store: StateStore = redisStore({ url: url.href, prefix, leaseMs, anchor, clock, ...options });
    stores.push(store);
    proxies.set(store, proxy);
    return store;
  };
  const expire = (store: StateStore): Promise<string> => server.command('ZADD', key('lease'), 'XX', '0', store.processId);
  const kill = async (store: StateStore): Promise<void> => {
    await proxies.get(store)!.mode('refuse');
    await expire(store);
  };
  return {
    store: await make(),
    prefix,
    proxies,
    key,
    needsFlush: 'an append goes over the network, so it is safe once flushed',
    share: make,
    kill,
    async retentionPasses() {
      for (const one of (await server.command('KEYS', `${prefix}:*`)).split('\n'))
        if (Number(await server.command('PTTL', one)) >= 0) await server.command('UNLINK', one);
    },
    async reopen() {
      await Promise.all(stores.map(kill));
      return make();
    },
    lease: {
      cut: (store) => proxies.get(store)!.mode('black-hole'),
      async mend(store) {
        // What hung is told so: how long a dead connection takes to be noticed is another test's (hostile.process.test.ts).
        await proxies.get(store)!.mode('reset');
        await proxies.get(store)!.heal();
      },
      async runOut(store) {
        await expire(store);
        // A lease ends by whichever clock says so first: nobody waits for it here.
        ahead.set(store, (ahead.get(store) ?? 0) + (options.leaseMs ?? leaseMs));
        if (!store.lineage!.isCutOff()) throw new Error('the lease does not run out');
      },
    },
    async close() {
      await Promise.all(stores.map((store) => store.close()));
      for (const proxy of proxies.values()) await proxy.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
