// latch.ts: a durable stop of a graph, from the order to the moment it survives a loss of power, beside what the disk itself
// takes to make one new file's name durable.

import { closeSync, fsync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { folderStore } from '@offswitch/runtime';
import { type Case, check } from '../case.ts';
import { openFleet } from '../fleet.ts';
import { median, percentile, quiet, spread } from '../measure.ts';

/** Not counted: as many as the disk gets before it is measured, so that neither is timed while its code is being compiled. */
const warmUp = { sessions: 100, stops: 20 };
const sizes = [
  { sessions: 1_000, stops: 15 },
  { sessions: 10_000, stops: 11 },
  { sessions: 100_000, stops: 9 },
] as const;

export const latch: Case = {
  figures: [...sizes.map(({ sessions }) => `stop.latch.${sessions}.ms`), 'disk.latch.ms'],
  async run({ folder }) {
    const own = join(folder, 'own');
    mkdirSync(own);
    const disk: number[] = [];
    const ours = new Map<number, { readonly samples: number[]; readonly disk: number[] }>();
    for (let i = 0; i < 20; i++) disk.push(await createAndFlush(own, disk.length));
    for (const size of [warmUp, ...sizes]) {
      const { sessions, stops } = size;
      const samples: number[] = [];
      // In turn with ours, in the same process and heap, so that both see the same disk and the same machine.
      const beside: number[] = [];
      const fleet = await openFleet({ store: folderStore(join(folder, `latch-${sessions}`)) });
      const root = await fleet.startTree(sessions);
      let recordedAt = 0;
      fleet.runtime.subscribe((event) => {
        if (event.type === 'stage' && event.stage === 'recorded') recordedAt = performance.now();
      });
      for (let i = 0; i < stops; i++) {
        for (let n = 0; n < 5; n++) {
          const took = await createAndFlush(own, disk.length);
          disk.push(took);
          beside.push(took);
        }
        // One graph serves all: it is paused and released, and terminated at last.
        const action = i === stops - 1 ? 'terminate' : 'pause';
        recordedAt = 0;
        const start = performance.now();
        const { stop } = await fleet.runtime.stop({ session: root, action, reason: 'bench', by: 'bench' });
        check(recordedAt > start, 'the stop was fenced before it was recorded');
        samples.push(recordedAt - start);
        check(
          fleet.live.every((one) => one.decision.action === action),
          'a session survived its stop',
        );
        if (action === 'pause') await fleet.runtime.release({ stop: stop.id, reason: 'bench', by: 'bench' });
        await quiet(200 + sessions / 100);
      }
      await fleet.close();
      if (size !== warmUp) ours.set(sessions, { samples, disk: beside });
    }
    return [
      ...[...ours].map(([sessions, { samples, disk: theirs }]) => ({
        name: `stop.latch.${sessions}.ms`,
        value: median(samples),
        unit: 'ms' as const,
        target: 1.5 * median(theirs) + 0.2,
        beside: { what: 'create + fsync of the folder', value: median(theirs) },
        note: `${samples.length} stops, ${spread(samples)}`,
      })),
      { name: 'disk.latch.ms', value: median(disk), unit: 'ms', note: `p99 ${percentile(disk, 0.99).toFixed(2)}` },
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
