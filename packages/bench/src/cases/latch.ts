// latch.ts: a durable stop of a graph, from the order to the moment it survives a loss of power, beside what the disk itself
// takes to make one new file's name durable.

import { closeSync, fsync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { folderStore } from '@offswitch/runtime';
import { type Case, check } from '../case.ts';
import { openFleet } from '../fleet.ts';
import { median, percentile, spread, until } from '../measure.ts';

const sizes = [
  { sessions: 1_000, stops: 15 },
  { sessions: 10_000, stops: 7 },
  { sessions: 100_000, stops: 3 },
] as const;

export const latch: Case = {
  figures: [...sizes.map(({ sessions }) => `stop.latch.${sessions}.ms`), 'disk.latch.ms'],
  async run({ folder }) {
    const own = join(folder, 'own');
    mkdirSync(own);
    const disk: number[] = [];
    const ours = new Map<number, number[]>();
    for (let i = 0; i < 20; i++) disk.push(await createAndFlush(own, disk.length));
    for (const { sessions, stops } of sizes) {
      const samples: number[] = [];
      const fleet = await openFleet({ store: folderStore(join(folder, `latch-${sessions}`)) });
      for (let i = 0; i < stops; i++) {
        for (let n = 0; n < 5; n++) disk.push(await createAndFlush(own, disk.length));
        fleet.live.length = 0;
        const root = await fleet.startTree(sessions);
        let recordedAt = 0;
        let isDone = false;
        const end = fleet.runtime.subscribe((event) => {
          if (event.type !== 'stage') return;
          if (event.stage === 'recorded') recordedAt = performance.now();
          if (event.stage === 'done') isDone = true;
        });
        const start = performance.now();
        const fenced = fleet.runtime.stop({ session: root, reason: 'bench', by: 'bench' });
        await fenced;
        check(recordedAt > start, 'the stop was fenced before it was recorded');
        samples.push(recordedAt - start);
        await until('the end of the stop', () => isDone);
        check(
          fleet.live.every((one) => one.decision.action === 'terminate'),
          'a session survived its stop',
        );
        end();
      }
      ours.set(sessions, samples);
      await fleet.close();
    }
    const beside = { what: 'create + fsync of the folder', value: median(disk) };
    return [
      ...[...ours].map(([sessions, samples]) => ({
        name: `stop.latch.${sessions}.ms`,
        value: median(samples),
        unit: 'ms' as const,
        target: 1.5 * beside.value + 0.2,
        beside,
        note: `${samples.length} stops, ${spread(samples)}`,
      })),
      { name: 'disk.latch.ms', value: beside.value, unit: 'ms', note: `p99 ${percentile(disk, 0.99).toFixed(2)}` },
    ];
  },
};

/** What any durable latch must do: a new name in a folder, some words in it, and one flush of the folder. Milliseconds. */
async function createAndFlush(folder: string, i: number): Promise<number> {
  const start = performance.now();
  const fd = openSync(join(folder, `stop.${i}`), 'wx', 0o600);
  writeSync(fd, '{"reason":"bench","by":"bench","at":1700000000000}');
  closeSync(fd);
  const dir = openSync(folder, 'r');
  await new Promise<void>((resolve, reject) => fsync(dir, (error) => (error ? reject(error) : resolve())));
  closeSync(dir);
  return performance.now() - start;
}
