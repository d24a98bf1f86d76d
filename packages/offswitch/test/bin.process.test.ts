import { execFile, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
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

function run(program: string, args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [program, ...args], { cwd: place }, (_, out, err) =>
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
