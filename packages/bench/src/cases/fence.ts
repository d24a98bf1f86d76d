// fence.ts: how long after a stop is learned every guard of the process refuses: with 100,000 sessions in one graph, and in
// 100,000 graphs. The time is that of the call which learns of the stop; the guards are asked after it, all of them.

import type { KillSwitches } from '@offswitch/core';
import { memorySource } from '@offswitch/testing';
import { type Case, check } from '../case.ts';
import { openFleet, switches } from '../fleet.ts';
import { median, spread, turnOfLoop } from '../measure.ts';

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
  for (let round = 0; round < 4; round++) {
    fleet.live.length = 0;
    const root = await fleet.startTree(sessions);
    const start = performance.now();
    const fenced = fleet.runtime.stop({ session: root, reason: 'bench', by: 'bench' });
    const took = performance.now() - start;
    check(
      fleet.live.every((session) => session.decision.action === 'terminate'),
      'a guard still let a session go on after runtime.stop returned',
    );
    // The first stop is compiled while it runs: nobody's process is that young when it has 100,000 sessions.
    if (round > 0) samples.push(took);
    await fenced;
    for (let turns = 0; fleet.runtime.session(root) && turns < 100_000; turns++) await turnOfLoop();
  }
  await fleet.close();
  return samples;
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
  await fleet.close();
  return samples;
}
