// local-redis.ts: a real Redis server of a test's own: a free port on loopback, a folder that goes with it, stopped by its own pid.

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface LocalRedisOptions {
  /** Default: on, flushed every second, as docs/redis.md asks for. `false`: nothing survives a restart. */
  readonly appendOnly?: boolean;
  /** Default: none. */
  readonly password?: string;
  /** More lines of its configuration, `name value`. */
  readonly config?: readonly (readonly [string, string])[];
}

export interface LocalRedis {
  /** `redis://127.0.0.1:<port>`, with the password where there is one. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** One command, answered as redis-cli prints it. Rejects with what the server says when it refuses. */
  command(...argv: readonly string[]): Promise<string>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT: a server that takes connections and does not answer. */
  halt(): void;
  goOn(): void;
  /** Starts again on the same port and folder. `fresh`: as another server, with nothing in it. */
  start(options?: { readonly fresh?: boolean }): Promise<void>;
  /** Leaves no process and no file. Idempotent. */
  close(): Promise<void>;
}

/** Why no Redis can be started on this machine; `undefined` where one can. */
export function whyNoRedis(): string | undefined {
  const found = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  if (found.status !== 0) return 'no redis-server on this machine: apt-get install redis-server';
  const version = /v=(\d+)/.exec(found.stdout)?.[1];
  return Number(version) >= 7 ? undefined : `redis-server is of version ${version}, and 7.0 is needed`;
}

/** How long a server may take to come up. Milliseconds. */
const upWithinMs = 20_000;

/** Rejects where it does not come up. */
export async function startLocalRedis(options: LocalRedisOptions = {}): Promise<LocalRedis> {
  const port = await freePort();
  let folder = mkdtempSync(join(tmpdir(), 'offswitch-redis-'));
  const folders = [folder];
  let child: ChildProcess | undefined;
  const { appendOnly = true, password, config = [] } = options;

  const start = async ({ fresh = false } = {}): Promise<void> => {
    if (fresh) {
      folder = mkdtempSync(join(tmpdir(), 'offswitch-redis-'));
      folders.push(folder);
    }
    const argv = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--daemonize', 'no'];
    argv.push('--appendonly', appendOnly ? 'yes' : 'no', '--appendfsync', 'everysec');
    if (password !== undefined) argv.push('--requirepass', password);
    for (const [name, value] of config) argv.push(`--${name}`, value);
    const started = spawn('redis-server', argv, { stdio: 'ignore' });
    child = started;
    await up(port, started);
  };
  const kill = async (): Promise<void> => {
    const one = child;
    child = undefined;
    if (!one || one.exitCode !== null || one.signalCode !== null) return;
    const gone = new Promise((resolve) => one.once('exit', resolve));
    one.kill('SIGKILL');
    await gone;
  };
  await start();

  return {
    url: `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    port,
    get pid() {
      return child?.pid ?? 0;
    },
    command: (...argv) =>
      new Promise((resolve, reject) => {
        const env = password === undefined ? process.env : { ...process.env, REDISCLI_AUTH: password };
        const done = execFile(
          'redis-cli',
          ['-p', String(port), '-e', ...argv],
          { env, maxBuffer: 1 << 28 },
          (error, out, said) => {
            if (error) reject(new Error(said || out || error.message));
            else resolve(out.trimEnd());
          },
        );
        done.stdin?.end();
      }),
    kill,
    halt: () => void child?.kill('SIGSTOP'),
    goOn: () => void child?.kill('SIGCONT'),
    start,
    async close() {
      await kill();
      for (const one of folders) rmSync(one, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

/** Asks until it answers: while it loads its data it says so. */
async function up(port: number, child: ChildProcess): Promise<void> {
  const endsAt = performance.now() + upWithinMs;
  while (performance.now() < endsAt) {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
    if (await answers(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  child.kill('SIGKILL');
  throw new Error(`redis-server did not come up within ${upWithinMs} ms`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (isUp: boolean): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.setTimeout(500, () => end(false));
    socket.on('error', () => end(false));
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', (data) => end(/^(\+PONG|-NOAUTH)/.test(data.toString())));
  });
}
