// fence.ts: how long after a stop is learned every guard of the process refuses: with 100,000 sessions in one graph, and in
// 100,000 graphs. The time is that of the call which learns of the stop; the guards are asked after it, all of them.

import type { KillSwitches } from '@offswitch/core';
import { memorySource } from '@offswitch/testing';
import { type Case, check } from '../case.ts';
import { openFleet, switches } from '../fleet.ts';
import { median, quiet, spread } from '../measure.ts';

const sessions = 100_000;

export const fence: Case = {
  figures: ['stop.fence.one.ms', 'stop.fence.many.ms'],
  async run() {
    const one = await oneGraph();
    const many = await manyGraphs();
    return [
      { name: 'stop.fence.one.ms', value: median(one), unit: 'ms', target: 1, note: `runtime.stop, ${spread(one)}` },
      { name: 'stop.fence.many.ms', value: median(many), unit: 'ms', target: 1, note: `global switch, ${spread(many)}` },
    ];
  },
};

async function oneGraph(): Promise<number[]> {
  const samples: number[] = [];
  const fleet = await openFleet();
  const root = await fleet.startTree(sessions);
  // The first stop is compiled while it runs: nobody's process is that young when it has 100,000 sessions.
  for (const action of ['pause', 'pause', 'pause', 'pause', 'terminate'] as const) {
    const start = performance.now();
    const fenced = fleet.runtime.stop({ session: root, action, reason: 'bench', by: 'bench' });
    const took = performance.now() - start;
    check(
      fleet.live.every((session) => session.decision.action === action),
      'a guard still let a session go on after runtime.stop returned',
    );
    samples.push(took);
    const { stop } = await fenced;
    if (action === 'pause') await fleet.runtime.release({ stop: stop.id, reason: 'bench', by: 'bench' });
    await quiet();
  }
  return samples.slice(1);
}

async function manyGraphs(): Promise<number[]> {
  const samples: number[] = [];
  const source = memorySource(switches as KillSwitches);
  const fleet = await openFleet({ source });
  await fleet.startRoots(sessions);
  const key = switches.global!.key;
  for (let round = 0; round < 6; round++) {
    await fleet.runtime.refresh();
    const start = performance.now();
    source.engage(key);
    const took = performance.now() - start;
    check(
      fleet.live.every((session) => session.decision.action === 'pause'),
      'a guard still let a session go on after the switch was read',
    );
    if (round > 0) samples.push(took);
    source.release(key);
    await fleet.runtime.refresh();
    check(
      fleet.live.every((session) => session.decision.action === 'run'),
      'a session was still held after the release',
    );
  }
  return samples;
}
