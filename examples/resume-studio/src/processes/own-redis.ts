// own-redis.ts: a redis-server of this fleet's own, with its data in the state folder. It ends when whoever started it ends, however that was.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { StudioError } from '../documents-error.ts';

const program = fileURLToPath(new URL('./own-redis-process.js', import.meta.url));

export interface OwnRedis {
  readonly url: string;
  close(): Promise<void>;
}

/** Rejects with `local_failed` where there is no redis-server on the PATH, or it does not come up. */
export async function startOwnRedis(folder: string): Promise<OwnRedis> {
  // In a group of its own: Ctrl-C in the terminal is for the fleet, which writes on while it parks.
  const child = spawn(process.execPath, [program, folder], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    said = (said + part).slice(-2_000);
  });
  child.stdin.on('error', () => undefined);
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    createInterface({ input: child.stdout }).once('line', resolve);
    void gone.then(() =>
      reject(new StudioError('local_failed', `redis-server did not start, or is not on the PATH: ${said.trim()}`)),
    );
  });
  for (const one of [child, child.stdin, child.stdout, child.stderr] as { unref?(): void }[]) one.unref?.();
  return {
    url,
    async close() {
      child.ref();
      child.stdin.end();
      await gone;
    },
  };
}
