// command-hint.ts: how the `offswitch` command is called for this store, in the words of a message: a person copies it as it stands.

import { resolve } from 'node:path';
import type { StateStore } from './store.ts';

/** `offswitch`, with `--state` where the command would not find the folder by itself from here. */
export function commandFor({ location }: Pick<StateStore, 'location'>): string {
  const isInRedis = /^rediss?:/.test(process.env.OFFSWITCH_STATE ?? '');
  const found = resolve(process.env.OFFSWITCH_STATE || '.offswitch');
  // Its address may hold credentials, and is not repeated; its prefix, which stands last in the location, is no secret.
  if (location !== undefined && /^redis[s ]?/.test(location)) {
    const [, prefix = 'os1'] = /(?: \(|\?prefix=)([a-zA-Z0-9{}:_.-]+)\)?$/.exec(location) ?? [];
    return isInRedis ? 'offswitch' : `offswitch --state "$REDIS_URL${prefix === 'os1' ? '' : `?prefix=${prefix}`}"`;
  }
  if (location === undefined || resolve(location) === found) return 'offswitch';
  return `offswitch --state ${/^[\w./@:+-]+$/.test(location) ? location : `'${location.replaceAll("'", "'\\''")}'`}`;
}
