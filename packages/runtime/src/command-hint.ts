// command-hint.ts: how the `offswitch` command is called for this store, in the words of a message: a person copies it as it stands.

import { resolve } from 'node:path';
import type { StateStore } from './store.ts';

/** `offswitch`, with `--state` where the command would not find the folder by itself from here. */
export function commandFor({ location }: Pick<StateStore, 'location'>): string {
  const isInRedis = /^rediss?:/.test(process.env.OFFSWITCH_STATE ?? '');
  const found = resolve(process.env.OFFSWITCH_STATE || '.offswitch');
  // What the location has of the address holds no credentials; where the environment has the whole of it, that is meant.
  if (location !== undefined && /^redis[s ]?/.test(location)) {
    const [, prefix = 'os1'] = /(?: \(|\?prefix=)([a-zA-Z0-9{}:_.-]+)\)?$/.exec(location) ?? [];
    const [, address] = /^rediss?(?: |:\/\/)([^\s?@]+)(?=[\s?]|$)/.exec(location) ?? [];
    const url = process.env.REDIS_URL || address === undefined ? '$REDIS_URL' : `redis://${address}`;
    return isInRedis ? 'offswitch' : `offswitch --state "${url}${prefix === 'os1' ? '' : `?prefix=${prefix}`}"`;
  }
  if (location === undefined || resolve(location) === found) return 'offswitch';
  return `offswitch --state ${/^[\w./@:+-]+$/.test(location) ? location : `'${location.replaceAll("'", "'\\''")}'`}`;
}
