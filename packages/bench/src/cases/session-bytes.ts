// session-bytes.ts: what one idle live session costs, its journal on disk as by default: a root that has done a turn and
// waits for its user, as most sessions do most of the time, and would go on from its checkpoint. Beside it one that waits
// inside its first turn.
//
// Ours is what the toolkit adds: the same agent is measured without it too, in the same process, and taken off. An agent that
// waits has frames and promises of its own, and a process with an AsyncLocalStorage (ours, or any tracer's) pays more for each.

import { join } from 'node:path';
import type { KillSwitches } from '@offswitch/core';
import { createRuntime, folderStore, type Session } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import type { Case } from '../case.ts';
import { switches } from '../fleet.ts';
import { liveHeapBytes, turnOfLoop, until } from '../measure.ts';

const sessions = 100_000;

/** As much of a session as these agents use. */
type Turns = Pick<Session, 'state' | 'turn'>;

export const sessionBytes: Case = {
  figures: ['session.bytes'],
  async run({ folder }) {
    const runtime = await createRuntime({
      switches,
      source: memorySource(switches as KillSwitches),
      store: folderStore(join(folder, 'sessions')),
    });
    const forever = new Promise<never>(() => {});
    let waiting = 0;
    const betweenTurns = async (session: Turns): Promise<void> => {
      if (session.state === undefined) await session.turn(async () => true);
      waiting++;
      await forever;
    };
    const insideTurn = async (session: Turns): Promise<void> => {
      await session.turn(() => {
        waiting++;
        return forever;
      });
    };
    let body = betweenTurns;
    const agent = runtime.agent('batch', (session) => body(session));
    const started = async (start: (i: number) => unknown, count: number): Promise<void> => {
      const goal = waiting + count;
      for (let i = 0; i < count; i++) {
        start(i);
        if (i % 1000 === 999) await turnOfLoop();
      }
      await until(`${count} sessions that wait`, () => waiting === goal);
    };
    const governed = (i: number): unknown => agent.start(undefined, { userId: `u-${i % 1000}` });
    const alone: Turns = { state: undefined, turn: (one) => one(undefined as never) };
    const bare = (): unknown => body(alone);
    /** Bytes each. */
    const cost = async (start: (i: number) => unknown): Promise<number> => {
      const before = await liveHeapBytes();
      await started(start, sessions);
      return ((await liveHeapBytes()) - before) / sessions;
    };
    await started(governed, 2_000);
    await started(bare, 2_000);
    const between = { gross: await cost(governed), bare: await cost(bare) };
    body = insideTurn;
    const inside = { gross: await cost(governed), bare: await cost(bare) };
    const note =
      `waits between turns: gross ${between.gross.toFixed(0)}, the agent alone ${between.bare.toFixed(0)}; ` +
      `inside a turn ${(inside.gross - inside.bare).toFixed(0)}: gross ${inside.gross.toFixed(0)}, the agent alone ${inside.bare.toFixed(0)}`;
    return [{ name: 'session.bytes', value: between.gross - between.bare, unit: 'bytes', target: 1024, note }];
  },
};
