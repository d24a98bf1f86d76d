// lock.ts: one writer of a flag file at a time, across processes, with nothing but the file system.
//
// The lock keeps our own writers apart. A person's editor knows nothing of it, which is why a write also compares what it
// read with what is there just before it replaces the file (replace.ts).

import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { FlagFileError } from './error.ts';
import { makeFile } from './owner.ts';
import { codeOf } from './snapshot.ts';

/** How often a held lock is looked at. Milliseconds. A write takes about three. */
const retryMs = 10;
/** A lock without contents is one whose maker died between creating and writing it, once it is this old. Milliseconds. */
const emptyIsDeadMs = 2000;

/** Runs `work` holding `<path>.lock`. Throws `locked` when somebody else holds it for longer than `waitMs`. */
export async function withLock<T>(path: string, waitMs: number, work: () => Promise<T>): Promise<T> {
  const lockPath = `${path}.lock`;
  const own = JSON.stringify({ pid: process.pid, host: hostname(), token: randomUUID(), at: new Date().toISOString() });
  const deadline = performance.now() + waitMs;
  while (!(await create(path, lockPath, own))) {
    const held = await readFile(lockPath, 'utf8').catch(() => undefined);
    if (held === undefined) continue;
    if (await isDead(lockPath, held)) await breakLock(lockPath, held);
    else if (performance.now() >= deadline) {
      const { pid, host } = holderOf(held);
      throw new FlagFileError(
        'locked',
        `${lockPath} is held by process ${pid ?? '?'} on ${host ?? '?'}; try again, or delete it if that process is gone`,
      );
    } else await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
  try {
    return await work();
  } finally {
    // Only our own: whoever broke our lock, rightly or not, holds theirs.
    if ((await readFile(lockPath, 'utf8').catch(() => undefined)) === own) await rm(lockPath, { force: true });
  }
}

async function create(path: string, lockPath: string, contents: string): Promise<boolean> {
  try {
    return await makeFile(lockPath, path, contents);
  } catch (error) {
    throw new FlagFileError('file_unavailable', `${lockPath} cannot be created (${codeOf(error)}); the folder must be writable`, {
      cause: error,
    });
  }
}

function holderOf(held: string): { readonly pid: number | undefined; readonly host: string | undefined } {
  try {
    const { pid, host } = JSON.parse(held) as { pid?: unknown; host?: unknown };
    return { pid: typeof pid === 'number' ? pid : undefined, host: typeof host === 'string' ? host : undefined };
  } catch {
    return { pid: undefined, host: undefined };
  }
}

async function isDead(lockPath: string, held: string): Promise<boolean> {
  const { pid, host } = holderOf(held);
  if (pid === undefined) {
    const made = await stat(lockPath).catch(() => undefined);
    return made !== undefined && Date.now() - made.mtimeMs > emptyIsDeadMs;
  }
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}

/** Takes the dead lock away by name, looks at what it took, and gives it back if somebody made a new one in between. */
async function breakLock(lockPath: string, dead: string): Promise<void> {
  const aside = `${lockPath}.${randomUUID()}`;
  try {
    await rename(lockPath, aside);
    if ((await readFile(aside, 'utf8')) !== dead) await link(aside, lockPath);
  } catch {
    // Somebody else broke it first, or holds it again. The caller looks anew.
  } finally {
    await rm(aside, { force: true });
  }
}
