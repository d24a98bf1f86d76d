// local.ts: the real Unleash server on this machine, for tests and for trying out: nothing here pretends.
//
// The server and its Postgres are some 250 MB, so they are in no package of ours: a folder with a lock file of its own
// (packages/unleash/real-server) installs them when they are first needed and serves them from a process of its own.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface LocalUnleashOptions {
  /** The folder with `prepare.mjs` and `serve.mjs`. Default: the one of this repository; elsewhere, copy it and say where. */
  readonly folder?: string;
  /**
   * Makes changes visible to clients this often. Milliseconds. Default: the server's own schedule, once a second (fixed in
   * unleash-server 7.5.1). Tests that wait for many changes ask for 25.
   */
  readonly revisionEveryMs?: number;
  /** Strategies that one environment of a flag may hold (UNLEASH_FEATURE_ENVIRONMENT_STRATEGIES_LIMIT). Default 30, as delivered. */
  readonly strategyLimit?: number;
}

/** A running server. Its tokens are made for this run and end with it. */
export interface LocalUnleash {
  readonly url: string;
  /** What `unleash(...)` of `@offswitch/unleash` takes. */
  readonly source: { readonly url: string; readonly token: string; readonly appName: string };
  /** What `unleashControl(...)` of `@offswitch/unleash/control` takes. */
  readonly control: { readonly url: string; readonly token: string; readonly project: string; readonly environment: string };
  /** The processes behind it: the server's and Postgres'. */
  readonly pids: readonly number[];
  /** Ends both and removes their data. Idempotent. They also end when this process does, however it ends. */
  close(): Promise<void>;
}

// The same number of folders up from src and from dist.
const defaultFolder = fileURLToPath(new URL('../../../unleash/real-server', import.meta.url));

/** Why the real server cannot run here, as the end of a sentence; `undefined` where it can. Asks nobody and installs nothing. */
export function whyNoLocalUnleash(folder: string = defaultFolder): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `its Postgres is installed for Linux x64 only, and this is ${process.platform} ${process.arch}`;
  if (!existsSync(join(folder, 'serve.mjs'))) return `${folder} holds no serve.mjs`;
  return undefined;
}

/**
 * Installs the server if this folder has not, starts it on a copy of a migrated database, and answers when it serves.
 * The first time takes a minute and needs the package registry; after that three to seven seconds. Rejects with what the
 * install or the server said.
 */
export async function startLocalUnleash(options: LocalUnleashOptions = {}): Promise<LocalUnleash> {
  const folder = resolve(options.folder ?? defaultFolder);
  const why = whyNoLocalUnleash(folder);
  if (why !== undefined) throw new Error(`the real Unleash server cannot run here: ${why}`);
  await ended(spawn(process.execPath, ['prepare.mjs'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] }), 'prepare.mjs');

  const admin = `*:*.${randomBytes(24).toString('hex')}`;
  const client = `default:development.${randomBytes(24).toString('hex')}`;
  // Its stdin is the lead: when this process is gone, however it went, the pipe closes and the server ends itself.
  const child = spawn(process.execPath, ['serve.mjs'], { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
  const { revisionEveryMs, strategyLimit } = options;
  const order = { adminToken: admin, clientToken: client, revisionEveryMs, strategyLimit };
  child.stdin.on('error', () => {});
  child.stdin.write(`${JSON.stringify(order)}\n`);
  const gone = ended(child, 'serve.mjs');
  gone.catch(() => {});
  const { url, pids } = await Promise.race([firstLine(child.stdout), gone.then(tooEarly)]);
  // A server must not keep the process that uses it alive; the pipe tells it when that is over.
  child.unref();
  for (const pipe of [child.stdin, child.stdout, child.stderr]) (pipe as { unref?: () => void }).unref?.();

  let closing: Promise<void> | undefined;
  return {
    url,
    source: { url: `${url}/api`, token: client, appName: 'offswitch-local' },
    control: { url, token: admin, project: 'default', environment: 'development' },
    pids,
    close() {
      closing ??= (async () => {
        child.ref();
        const tooLate = setTimeout(() => pids.forEach(kill), 5000);
        child.stdin.end();
        await gone.catch(() => {});
        clearTimeout(tooLate);
      })();
      return closing;
    },
  };
}

type Child = ReturnType<typeof spawn>;

function ended(child: Child, name: string): Promise<void> {
  let said = '';
  child.stderr?.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-4000);
  });
  return new Promise((done, failed) => {
    child.once('error', failed);
    child.once('exit', (code, signal) =>
      code === 0 ? done() : failed(new Error(`${name} ended with ${code ?? signal}: ${said}`)),
    );
  });
}

const tooEarly = (): never => {
  throw new Error('the Unleash server ended before it served');
};

function firstLine(stdout: NodeJS.ReadableStream): Promise<{ url: string; pids: number[] }> {
  return new Promise((done) => {
    let text = '';
    const hear = (part: Buffer): void => {
      text += part.toString();
      if (!text.includes('\n')) return;
      stdout.off('data', hear);
      stdout.resume();
      done(JSON.parse(text.slice(0, text.indexOf('\n'))) as { url: string; pids: number[] });
    };
    stdout.on('data', hear);
  });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
