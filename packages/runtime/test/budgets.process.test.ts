// Eight real processes with four sessions each spend of one user's cap through one state folder; two are killed on the way. The
// oracle is a file with one line for each call that was sent.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { folderStore } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';

const capMicros = 10_000_000;
const processes = 8;
const killed = 2;

describe('eight processes with four sessions each, of which two are killed', () => {
  test('spend no more than the cap, and all of it is known or still counts as spent (I8)', async () => {
    const place = mkdtempSync(join(tmpdir(), 'ofx-budget-'));
    const seed = Number(process.env.OFFSWITCH_SEED ?? Date.now() % 1_000_000);
    const program = join(import.meta.dirname, 'budget-agent.mjs');
    const children: ChildProcess[] = [];
    let errors = '';
    let ready = 0;
    let paying = 0;
    try {
      const ends = Array.from({ length: processes }, (_, i) => {
        const child = spawn(
          process.execPath,
          [program, place, String(capMicros), String(seed + i), String(i < killed ? 2 + i : 0)],
          {
            stdio: ['pipe', 'pipe', 'pipe'],
          },
        );
        children.push(child);
        child.stderr!.on('data', (data) => {
          errors = (errors + String(data)).slice(-4000);
        });
        createInterface({ input: child.stdout! }).on('line', (line) => {
          if (line === 'ready' && ++ready === processes) for (const one of children.slice(0, killed)) one.stdin!.end('go\n');
          // Those that are to die have begun to pay: else the others might spend all before they come to it.
          if (line === 'paid' && i < killed && ++paying === killed)
            for (const one of children.slice(killed)) one.stdin!.end('go\n');
        });
        return once(child, 'exit');
      });
      const codes = (await Promise.all(ends)).map(([code, signal]) => signal ?? code);
      expect(codes, `seed ${seed}\n${errors}`).toEqual(['SIGKILL', 'SIGKILL', 0, 0, 0, 0, 0, 0]);
      const paid = readFileSync(join(place, 'paid'), 'utf8')
        .trim()
        .split('\n')
        .reduce((sum, line) => sum + Number(line), 0);
      const store = folderStore(join(place, 'state'));
      await store.open();
      const { spentMicros, leasedMicros } = await store.budgets!.spent('user.u-1');
      await store.close();
      expect(paid, `seed ${seed}`).toBeLessThanOrEqual(capMicros);
      expect(spentMicros + leasedMicros, `seed ${seed}`).toBeGreaterThanOrEqual(paid);
      expect(spentMicros + leasedMicros, `seed ${seed}`).toBeLessThanOrEqual(capMicros);
      expect(paid, `seed ${seed}`).toBeGreaterThan(0);
    } finally {
      for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      rmSync(place, { recursive: true, force: true });
    }
  });
});
