// call.ts: a governed tool call over the bare call, in memory and with the durable intent, beside the disk's own flush.

import { closeSync, fdatasync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { folderStore, memoryStore, type StateStore, type Turn } from '@offswitch/runtime';
import { type Case, check } from '../case.ts';
import { openFleet } from '../fleet.ts';
import { median, percentile, spread, timeEach } from '../measure.ts';

/** 200 bytes as JSON, each call with other ones, as agents make them. */
interface Args {
  readonly to: string;
  readonly text: string;
}
const argsOf = (i: number): Args => ({
  to: `person-${String(i).padStart(9, '0')}@example.org`,
  text: 'x'.repeat(153),
});
const tool = async (args: Args): Promise<number> => args.text.length;
const callsPerTurn = 20;
const rounds = 9;
const callsPerRound = 4_000;

export const call: Case = {
  figures: ['call.overhead.p50.us', 'call.overhead.p99.us'],
  async run() {
    check(JSON.stringify(argsOf(7)).length === 200, `arguments of ${JSON.stringify(argsOf(7)).length} bytes`);
    // The bare call is timed before the runtime exists: with it comes an AsyncLocalStorage, whose price on every await is ours.
    const bare: number[][] = [];
    for (let round = -2; round < rounds; round++) {
      const samples = await timeEach(callsPerRound, (i) => tool(argsOf(i)));
      if (round >= 0) bare.push(samples);
    }
    const governed: number[][] = [];
    await inTurns(memoryStore(), (rounds + 2) * callsPerRound, (samples, i) => {
      if (i >= 2 * callsPerRound) governed.push(samples);
    });
    const all = governed.flat();
    const over = (share: number): number[] => {
      const alone = median(bare.map((samples) => percentile(samples, share)));
      return bare.map((_, i) => {
        const round = all.slice(i * callsPerRound, (i + 1) * callsPerRound);
        return (percentile(round, share) - alone) * 1000;
      });
    };
    return [
      { name: 'call.overhead.p50.us', value: median(over(0.5)), unit: 'us', target: 2, note: `rounds ${spread(over(0.5))}` },
      { name: 'call.overhead.p99.us', value: median(over(0.99)), unit: 'us', target: 8, note: `rounds ${spread(over(0.99))}` },
    ];
  },
};

export const durable: Case = {
  figures: ['call.durable.p50.us', 'disk.fdatasync.p50.us'],
  async run({ folder }) {
    const fd = openSync(join(folder, 'fdatasync'), 'ax');
    const line = Buffer.from(`${'x'.repeat(299)}\n`);
    const flush = (): Promise<void> =>
      new Promise((resolve, reject) => {
        writeSync(fd, line);
        fdatasync(fd, (error) => (error ? reject(error) : resolve()));
      });
    await timeEach(50, flush);
    const disk: number[] = [];
    const ours: number[] = [];
    // In turn, so that both see the same disk.
    await inTurns(folderStore(join(folder, 'durable')), 600, async (samples) => {
      ours.push(...samples);
      disk.push(...(await timeEach(callsPerTurn, flush)));
    });
    closeSync(fd);
    const beside = { what: 'fdatasync', value: median(disk) * 1000 };
    return [
      { name: 'call.durable.p50.us', value: median(ours) * 1000, unit: 'us', beside, note: `p99 ${us(percentile(ours, 0.99))}` },
      { name: 'disk.fdatasync.p50.us', value: beside.value, unit: 'us', note: `p99 ${us(percentile(disk, 0.99))}` },
    ];
  },
};

/** Calls the tool `calls` times, twenty to a turn, in one session; tells of the times of each turn. */
async function inTurns(
  store: StateStore,
  calls: number,
  told: (samples: number[], i: number) => void | Promise<void>,
): Promise<void> {
  const fleet = await openFleet({ store });
  const outcome = await fleet.runtime.run('batch', async (session) => {
    for (let i = 0; i < calls; i += callsPerTurn) {
      const samples = await session.turn((turn: Turn) =>
        timeEach(callsPerTurn, (n) => turn.tool('send-email', argsOf(i + n), tool)),
      );
      await told(samples, i);
    }
  });
  check(outcome.status === 'completed', `the session ${outcome.status}: ${JSON.stringify(outcome)}`);
  await fleet.close();
}

function us(ms: number): string {
  return `${(ms * 1000).toFixed(0)} us`;
}
