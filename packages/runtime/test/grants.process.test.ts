// A process that lends credentials is killed at moments that chance picks; the next one finds what it left. The oracle is the
// backend: a folder with a file for each credential that works.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { defineKillSwitches, type KillSwitches } from '@offswitch/core';
import { flagFileControl } from '@offswitch/flag-file';
import { type CredentialBroker, createRuntime, folderStore, systemClock } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { describe, expect, test, vi } from 'vitest';

const kills = Number(process.env.OFFSWITCH_KILLS ?? 5);
const switches = defineKillSwitches({ global: { authorized: ['test'] }, features: { alpha: { authorized: ['test'] } } });

/** Resolves when so many credentials were lent. */
async function lending(place: string, count: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'grant-holder.mjs'), place], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr!.on('data', (data) => {
    errors += String(data);
  });
  let left = count;
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error(errors)));
    createInterface({ input: child.stdout! }).on('line', () => --left === 0 && resolve());
  });
  return child;
}

describe('a process that lends credentials and is killed', () => {
  test(`leaves none that works once the next one has looked, ${kills} times (I4, I5)`, async () => {
    const place = mkdtempSync(join(tmpdir(), 'ofg-'));
    const works = join(place, 'works');
    mkdirSync(works);
    try {
      await flagFileControl(join(place, 'switches.flagd.json')).provision(switches, { apply: true });
      const door: CredentialBroker = {
        caps: { cascade: 'none', effect: 'immediate', maxResidualMs: 0, canVerify: false, revokesById: true },
        issue: () => Promise.reject(new Error('nothing is lent here')),
        async revoke({ id }) {
          rmSync(join(works, id), { force: true });
          return { state: 'revoked', residualMs: 0 };
        },
      };
      for (let kill = 0; kill < kills; kill++) {
        const child = await lending(place, 5 + Math.floor(Math.random() * 40));
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await gone;
        const store = folderStore(join(place, 'state'));
        let aheadMs = 0;
        const clock = { ...systemClock, monotonic: () => performance.now() + aheadMs };
        const runtime = await createRuntime({
          switches,
          source: memorySource(switches as KillSwitches),
          store,
          clock,
          brokers: { door },
        });
        await vi.waitFor(() => expect(readdirSync(works)).toEqual([]), { timeout: 10_000 });
        // Later than anything that was on its way can still arrive.
        aheadMs = 11_000;
        await vi.waitFor(
          async () => {
            const states = (await store.grants!.list()).map(({ record }) => record.state);
            expect(states.filter((state) => state !== 'revoked' && state !== 'not-issued')).toEqual([]);
          },
          { timeout: 10_000 },
        );
        for (const name of readdirSync(join(place, 'state', 'grants')))
          expect(statSync(join(place, 'state', 'grants', name)).mode & 0o777).toBe(0o600);
        await runtime.close();
      }
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  });
});
