// options.ts: what a store in Redis is told, and what it takes where it is told nothing.

import { type Clock, RuntimeError, systemClock } from '@offswitch/runtime';
import type { RedisClientLike } from './connection/link.ts';

export interface RedisStoreOptions {
  /** `redis[s]://[[username][:password]@]host[:port][/db]`. This or `client`. Never logged. */
  readonly url?: string;
  /** A node-redis client of the application. It is only copied (`duplicate()`): never used, closed or changed here. */
  readonly client?: RedisClientLike;
  /**
   * What every key begins with. Default `os1`: 1 is the version of how things are kept. Two systems in one Redis need two. For a Redis
   * Cluster it begins with a hash tag, as `{os1}` does: everything is in one slot then, as steps that touch several keys need it.
   */
  readonly prefix?: string;
  /**
   * How long a process may go on after it last heard from Redis. Milliseconds, default 5,000, at least 100. It is renewed every third
   * of it. Shorter: a stop is confirmed sooner where a process hangs, and a shorter loss of Redis holds everybody.
   */
  readonly leaseMs?: number;
  /** How long an answer of Redis may take before its connection is given up. Milliseconds, default 2,000, and never more than 0.4 of the lease. */
  readonly timeoutMs?: number;
  /**
   * A small file on this machine that remembers which Redis this is and which stops it held, so that another one, or one that lost its
   * data, is not taken for it. Default `.offswitch/redis.json`. `false`: remembered in this process alone.
   */
  readonly anchor?: string | false;
  /**
   * Whether this process makes the store where there is none. Default true. Whoever only looks, or marks a stop and goes, as the command does,
   * gives false: a Redis that has lost its data must stay known as such to those who knew it, or they could not write their stops there again.
   */
  readonly founds?: boolean;
  /** How long a graph is kept once it has settled. Milliseconds, default 7 days. */
  readonly retentionMs?: number;
  /** How much may wait to be written while Redis cannot be reached; then `append` and `claim` throw, but for what became of a session. Bytes, default 64 MiB. */
  readonly maxQueuedBytes?: number;
  /** Default: the machine's own. */
  readonly clock?: Clock;
}

export interface Settings {
  readonly prefix: string;
  readonly leaseMs: number;
  readonly timeoutMs: number;
  readonly anchor: string | undefined;
  readonly founds: boolean;
  readonly retentionMs: number;
  readonly maxQueuedBytes: number;
  readonly clock: Clock;
}

/** Throws `invalid_option`. */
export function settingsOf(options: RedisStoreOptions): Settings {
  const {
    prefix = 'os1',
    leaseMs = 5000,
    retentionMs = 604_800_000,
    maxQueuedBytes = 67_108_864,
    founds = true,
    clock = systemClock,
  } = options;
  if ((options.url === undefined) === (options.client === undefined)) throw invalid('give either url or client');
  if (!/^(\{[a-zA-Z0-9:_.-]+\})?[a-zA-Z0-9:_.-]*$/.test(prefix) || prefix === '' || prefix.length > 64)
    throw invalid('prefix is 1 to 64 letters, digits, and : _ . -, of which the first may stand in braces');
  const timeoutMs = options.timeoutMs ?? Math.min(2000, leaseMs * 0.4);
  for (const [name, value, least] of [
    ['leaseMs', leaseMs, 100],
    ['timeoutMs', timeoutMs, 10],
    ['retentionMs', retentionMs, 1000],
    ['maxQueuedBytes', maxQueuedBytes, 1024],
  ] as const)
    if (!Number.isSafeInteger(Math.round(value)) || value < least)
      throw invalid(`${name} must be a number of at least ${least}, got ${String(value)}`);
  if (timeoutMs > leaseMs * 0.4) throw invalid('timeoutMs is more than 0.4 of leaseMs: a lease could not be renewed in time');
  const anchor = options.anchor === false ? undefined : (options.anchor ?? '.offswitch/redis.json');
  return { prefix, leaseMs, timeoutMs, anchor, founds, retentionMs: Math.round(retentionMs), maxQueuedBytes, clock };
}

export function invalid(message: string, cause?: unknown): RuntimeError {
  return new RuntimeError('invalid_option', message, cause === undefined ? undefined : { cause });
}
