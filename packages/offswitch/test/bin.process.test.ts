import { execFile, spawn } from 'node:child_process';
import { chmodSync, closeSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bench } from './bench.ts';

const bin = new URL('../bin/offswitch.js', import.meta.url).pathname;
let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'ofb-'));
  mkdirSync(join(place, '.offswitch'));
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

function run(
  program: string,
  args: readonly string[],
  as: { readonly uid?: number; readonly gid?: number } = {},
): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [program, ...args], { cwd: place, ...as }, (_, out, err) =>
      resolve({ code: child.exitCode ?? -1, out, err }),
    );
  });
}

describe('the offswitch program', () => {
  test('stops a session with nothing but a folder, and status shows it', async () => {
    // Nobody knows the session, so it is recorded and not confirmed.
    expect(await run(bin, ['stop', 's-1', '--reason', 'x', '--yes'])).toMatchObject({ code: 4 });
    const status = await run(bin, ['status', '--json']);
    expect(JSON.parse(status.out).stops).toMatchObject([{ subject: { sessionId: 's-1' }, reason: 'x' }]);
  });
  test('makes the stop whole where nobody reads what it prints (| head)', async () => {
    const bench = new Bench();
    try {
      await bench.provision();
      await bench.visit();
      const args = [bin, '--state', bench.folder, 'engage', 'global', '--reason', 'incident', '--yes'];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.destroy();
      expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
      expect((await bench.start()).stops()).toMatchObject([{ tier: 'global', reason: 'incident' }]);
    } finally {
      await bench.close();
    }
  });
  test.skipIf(!existsSync('/dev/full')).each([[[]], [['--json']]])(
    'makes the stop whole where what it prints finds no room, and does not end as if nothing were wrong: %j (I13, S10)',
    async (more) => {
      const bench = new Bench();
      const full = openSync('/dev/full', 'w');
      try {
        await bench.provision();
        await bench.visit();
        const args = [bin, '--state', bench.folder, 'engage', 'global', '--reason', 'incident', '--yes', ...more];
        const child = spawn(process.execPath, args, { stdio: ['ignore', full, 'pipe'] });
        let told = '';
        child.stderr!.on('data', (text) => {
          told += String(text);
        });
        expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1);
        expect(told).toMatch(/^offswitch: .*ENOSPC.*\n$/);
        expect((await bench.start()).stops()).toMatchObject([{ tier: 'global', reason: 'incident' }]);
      } finally {
        closeSync(full);
        await bench.close();
      }
    },
  );
  test.each([[['stop', 's-1', '--reason', 'x', '--yes']], [['resolve', 's-1', 't1-1', '--happened']]])(
    "says of a folder that is somebody else's that nothing was recorded, and nothing of who runs: %j (S10)",
    async (args) => {
      const state = join(place, '.offswitch');
      // Root is refused nothing.
      const other = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
      chmodSync(state, other.uid === undefined ? 0 : 0o700);
      chmodSync(place, 0o755);
      try {
        const ran = await run(bin, ['--state', state, ...args], other);
        expect(ran.code).toBe(1);
        expect(`${ran.out}${ran.err}`).not.toMatch(/✓|no process is running|^recorded|recorded in/m);
        expect(ran.err).toMatch(/not (known|recorded)|nothing was recorded/);
        if (other.uid !== undefined) expect(ran.err).toContain("sudo -u '#0' offswitch");
        expect(ran.err).toContain(state);
      } finally {
        chmodSync(state, 0o700);
      }
      expect(readdirSync(state)).toEqual([]);
    },
  );
  test.each([[['sessions']], [['receipts']], [['audit']], [['stop', 's-1', '--reason', 'x', '--yes']]])(
    "says of a folder below one that is somebody else's whose that is, and not that there is none: %j (S10)",
    async (args) => {
      const other = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
      const above = join(place, 'above');
      mkdirSync(join(above, 'state'), { recursive: true });
      chmodSync(above, other.uid === undefined ? 0 : 0o700);
      chmodSync(place, 0o755);
      const ran = await run(bin, ['--state', join(above, 'state'), ...args], other);
      chmodSync(above, 0o700);
      expect(ran.code).toBe(1);
      expect(ran.err).toContain('EACCES');
      expect(ran.err).not.toContain('there is no state folder');
      if (other.uid !== undefined) expect(ran.err).toContain(`${above} belongs to user 0`);
    },
  );
  test('says of a file of credentials that is not there that it cannot be read', async () => {
    expect(await run(bin, ['--credentials', 'nope', 'inspect'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('nope cannot be read'),
    });
  });
  test('refuses a flip without a terminal, with exit code 3', async () => {
    expect((await run(bin, ['stop', 's-1', '--reason', 'x'])).code).toBe(3);
  });
  test('says how to build it where it is not built', async () => {
    mkdirSync(join(place, 'p', 'bin'), { recursive: true });
    cpSync(bin, join(place, 'p', 'bin', 'offswitch.mjs'));
    const ran = await run(join(place, 'p', 'bin', 'offswitch.mjs'), ['status']);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('npm run build');
  });
});
