// fleet.ts: a runtime with live sessions in it, the state in which most figures are measured.

import { defineKillSwitches, type KillSwitches, type SwitchSource } from '@offswitch/core';
import { type Agent, createRuntime, memoryStore, type Runtime, type Session, type StateStore } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { check } from './case.ts';
import { turnOfLoop, until } from './measure.ts';

export type Workflow = 'work' | 'batch';

export const switches: KillSwitches<Workflow> = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { work: { authorized: ['on-call'] }, batch: { authorized: ['on-call'] } },
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});

export interface Fleet {
  readonly runtime: Runtime<Workflow>;
  /** Sessions that are inside a turn and wait there. */
  readonly live: Session[];
  /** Starts roots that wait inside their first turn; resolves when they do. */
  startRoots(count: number): Promise<void>;
  /** One graph of `count` sessions, sixteen children to a parent, all inside a turn; answers the id of its root. */
  startTree(count: number): Promise<string>;
  close(): Promise<void>;
}

export async function openFleet(options: { source?: SwitchSource; store?: StateStore } = {}): Promise<Fleet> {
  const runtime = await createRuntime<Workflow>({
    switches,
    source: options.source ?? memorySource(switches as KillSwitches),
    store: options.store ?? memoryStore(),
  });
  const live: Session[] = [];
  const forever = new Promise<never>(() => {});
  const idle = runtime.agent('batch', async (session) => {
    await session.turn(() => {
      live.push(session);
      return forever;
    });
  });
  const branch: Agent<number, unknown> = runtime.agent('work', async (session, count: number) => {
    await session.turn(async (turn) => {
      live.push(session);
      const children = shares(count - 1).map((share) => turn.spawn(branch, share));
      await (children.length === 0 ? forever : Promise.all(children));
    });
  });
  return {
    runtime,
    live,
    async startRoots(count) {
      const goal = live.length + count;
      for (let i = 0; i < count; i++) {
        idle.start(undefined, { userId: `u-${i % 1000}` });
        if (i % 1000 === 999) await turnOfLoop();
      }
      await until(`${count} live sessions`, () => live.length === goal);
    },
    async startTree(count) {
      const goal = live.length + count;
      const { id } = branch.start(count, { userId: 'u-1' });
      await until(`a graph of ${count} live sessions`, () => live.length >= goal);
      check(live.length === goal, `${live.length - goal} sessions too many`);
      return id;
    },
    close: () => runtime.close(),
  };
}

/** How many sessions each of at most sixteen children has in its own subtree, itself included. */
function shares(count: number): number[] {
  const children = Math.min(16, count);
  return Array.from({ length: children }, (_, i) => Math.floor(count / children) + (i < count % children ? 1 : 0));
}
