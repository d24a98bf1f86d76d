// state-bench.ts: the bench of a test that is run twice: with its state in the folder, and in a Redis of its own.

import { redisStore } from '@offswitch/redis';
import { type LocalRedis, startLocalRedis, whyNoRedis } from '@offswitch/testing';
import { type Clock, folderStore, type StateStore } from 'offswitch';
import type { TestContext } from 'vitest';
import { Bench } from './bench.ts';

const why = whyNoRedis();

export const stateKinds = ['folder', 'redis'] as const;

export class StateBench extends Bench {
  private server: LocalRedis | undefined;

  /** Skips the test, and says why, where it needs a Redis and the machine has none; fails where OFFSWITCH_REQUIRE_REDIS=1 asks for one. */
  static async open(kind: (typeof stateKinds)[number], context: TestContext): Promise<StateBench> {
    if (kind === 'redis' && why !== undefined) {
      if (process.env.OFFSWITCH_REQUIRE_REDIS === '1') throw new Error(`OFFSWITCH_REQUIRE_REDIS=1, and ${why}`);
      context.skip(why);
    }
    const bench = new StateBench();
    await bench.provision();
    bench.server = kind === 'redis' ? await startLocalRedis() : undefined;
    bench.installed.set('@offswitch/redis', await import('@offswitch/redis'));
    return bench;
  }

  /** What `--state` is given. */
  get state(): string {
    return this.server?.url ?? this.folder;
  }

  openStore({ clock, ...options }: { readonly leaseMs?: number; readonly clock?: Clock } = {}): StateStore {
    const timed = clock === undefined ? {} : { clock };
    return this.server
      ? redisStore({ url: this.server.url, anchor: false, ...options, ...timed })
      : folderStore(this.folder, timed);
  }

  override async close(): Promise<void> {
    await super.close();
    await this.server?.close();
  }
}
