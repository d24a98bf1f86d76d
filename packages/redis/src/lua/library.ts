// library.ts: the server-side functions as one library. Its name holds a digest of its text, so that processes of two versions
// of this package can share a server, and each calls the functions it was written with.

import { createHash } from 'node:crypto';
import { budgets } from './budgets.ts';
import { processes } from './processes.ts';
import { receipts } from './receipts.ts';
import { registry } from './registry.ts';
import { shared } from './shared.ts';
import { stops } from './stops.ts';

/** Those that must work while the server is out of memory too: a stop is not refused for want of room. */
const always = [
  'mark',
  'sync',
  'seen',
  'confirm',
  'join',
  'renew',
  'leave',
  'list',
  'ask',
  'answer',
  'note',
  'forget',
  'unlend',
  'spend',
  'orphans',
  'reconcile',
] as const;
const withRoom = [
  'resolve',
  'keep',
  'adopt',
  'register',
  'find',
  'subtree',
  'journal',
  'claim',
  'lend',
  'borrow',
  'receipt',
  'over',
] as const;
export type FunctionName = (typeof always)[number] | (typeof withRoom)[number];

const body = [shared, stops, processes, registry, receipts, budgets].join('\n');
const version = createHash('sha256').update(body).digest('hex').slice(0, 10);

/** The full name of a function. */
export function functionName(name: FunctionName): string {
  return `offswitch_${version}_${name}`;
}

export const libraryText: string = [
  `#!lua name=offswitch_${version}`,
  `local version = '${version}'`,
  body,
  ...always.map(
    (name) => `redis.register_function{ function_name = '${functionName(name)}', callback = ${name}, flags = { 'allow-oom' } }`,
  ),
  ...withRoom.map((name) => `redis.register_function('${functionName(name)}', ${name})`),
].join('\n');
