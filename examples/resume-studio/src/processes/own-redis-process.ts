// own-redis-process.ts: the process that holds a redis-server. One line on stdout says where it is; the end of stdin is its end.

import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** How long it may take to come up, its data read again. Milliseconds. */
const upWithinMs = 20_000;

const folder = process.argv[2] ?? '';
mkdirSync(folder, { recursive: true, mode: 0o700 });
const port = await freePort();
const server = spawn(
  'redis-server',
  ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes', '--daemonize', 'no'],
  { stdio: 'ignore' },
);
// A signal at the whole group is the studio's to answer.
process.on('SIGINT', () => undefined).on('SIGTERM', () => undefined);
server.once('error', (error) => fail(error.message));
server.once('exit', (code, signal) => fail(`redis-server ended (${signal ?? code})`));
const end = (): void => {
  // Its own way to end: what is in its buffers is written first.
  server.removeAllListeners('exit').once('exit', () => process.exit(0));
  server.kill('SIGTERM');
};
process.stdin.resume().once('end', end);
const endsAt = Date.now() + upWithinMs;
while (!(await answers())) {
  if (Date.now() > endsAt) {
    server.kill('SIGKILL');
    fail(`redis-server did not come up within ${upWithinMs} ms`);
  }
  await pause(20);
}
process.stdout.write(`redis://127.0.0.1:${port}\n`);

function fail(why: string): void {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

/** While it reads its data it says so. */
function answers(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const done = (isUp: boolean): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.setTimeout(500, () => done(false));
    socket.on('error', () => done(false));
    socket.on('data', (data) => done(data.toString().startsWith('+PONG')));
  });
}

async function freePort(): Promise<number> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
