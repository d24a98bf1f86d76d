// carry-process.ts: the path in the environment of a process that is started, and out of it once it was read there.
//
// Never among the arguments: every user of the machine can read those of every process.

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { type Carrier, pathVariable, tokenIn } from './carrier.ts';

/**
 * `child_process.spawn` with the path in the environment (`OFFSWITCH_PATH`), beside `options.env` or, as in `spawn`, this process's own. Where `carry`
 * rejects, nothing is started.
 */
export async function spawnCarrying(
  carry: () => Promise<Carrier>,
  command: string,
  args: readonly string[] = [],
  options: SpawnOptions = {},
): Promise<ChildProcess> {
  const carrier = await carry();
  return spawn(command, args, { ...options, env: { ...(options.env ?? process.env), ...carrier.env } });
}

/**
 * The token this process was started with, taken out of its environment: what it starts in its turn inherits that, and would pass for
 * a child of our parent, which no stop of ours reaches. `undefined` where there is none; throws as `tokenIn`, having taken it out.
 */
export function takeToken(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const value = env[pathVariable];
  if (value === undefined) return undefined;
  delete env[pathVariable];
  return tokenIn({ [pathVariable]: value });
}
