// budget.ts: eight processes with four calls at once each spend of one user's cap: how much more than it they spend, and how often
// they ask the store for it. Over Redis where there is one on the machine, else over a folder, which the note says.

import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startLocalRedis, whyNoRedis } from '@offswitch/testing';
import type { Paid } from '../budget-worker.ts';
import { type Case, check } from '../case.ts';

const processes = 8;
const capMicros = 40_000_000;
const worker = fileURLToPath(new URL('../budget-worker.js', import.meta.url));

export const budget: Case = {
  figures: ['budget.overspend', 'budget.roundtrips'],
  async run({ folder }) {
    const isRedis = whyNoRedis() === undefined;
    const server = isRedis ? await startLocalRedis() : undefined;
    try {
      const paid = await spendAll(server?.url ?? join(mkdtempSync(join(folder, 'budget-')), 'state'));
      const sum = (of: (one: Paid) => number): number => paid.reduce((total, one) => total + of(one), 0);
      const spent = sum((one) => one.spentMicros);
      const calls = sum((one) => one.calls);
      check(spent > 0.5 * capMicros, `only ${spent} of ${capMicros} were spent`);
      const over = `${processes} processes x 4 calls over ${isRedis ? 'Redis' : 'a folder'}`;
      return [
        {
          name: 'budget.overspend',
          value: Math.max(0, spent - capMicros),
          unit: 'micros',
          target: 0,
          note: `${over}: ${spent} of ${capMicros} in ${calls} calls, ${(100 - (100 * spent) / capMicros).toFixed(1)} % left`,
        },
        {
          name: 'budget.roundtrips',
          value: sum((one) => one.roundTrips) / calls,
          unit: 'a call',
          target: 0.1,
          note: `leases and settlings, ${over}`,
        },
      ];
    } finally {
      await server?.close();
    }
  },
};

/** Every process until the cap is reached. */
async function spendAll(place: string): Promise<readonly Paid[]> {
  const children: ChildProcess[] = [];
  let ready = 0;
  try {
    return await Promise.all(
      Array.from({ length: processes }, (_, i) => {
        const child = fork(worker, [place, String(capMicros), String(i + 1)], { execArgv: [] });
        children.push(child);
        return new Promise<Paid>((resolve, reject) => {
          child.on('message', (message) => {
            if (message !== 'ready') resolve(message as Paid);
            else if (++ready === processes) for (const one of children) one.send('go');
          });
          child.once('exit', (code, signal) => reject(new Error(`a process that pays ended with ${signal ?? code}`)));
        });
      }),
    );
  } finally {
    for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
}
