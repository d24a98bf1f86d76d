// stop.test.ts: a stop waits for nobody who hangs (S3): what a person has said yes to is durable at once, whoever answers.

import type { ControlAnswer } from 'offswitch';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { commandOf, type Done } from '../src/cli/command.ts';
import type { Io } from '../src/cli/io.ts';
import { folderPlace, type Place } from '../src/cli/place.ts';
import { stop } from '../src/cli/stop.ts';

const who = { reason: 'runs wild', by: 'ann' };

/** One process that is well and one that hangs until it is given up; and what was asked of whom. */
class Scene {
  readonly asked: string[] = [];
  readonly marked: string[] = [];
  canWrite = true;
  readonly released = new Set<string>();
  /** While the question is open. */
  meanwhile = (): void => {};
  /** Before it is recorded. */
  atMark = (): void => {};
  state = 'running';
  /** Another session under it runs. */
  hasOneUnder = false;
  isAnybodyHanging = true;
  /** What was left, as it cannot be read. */
  damage: string | undefined;
  /** Which of the two has the session. */
  owner: 'well' | 'hangs' = 'well';
  out = '';
  readonly questions: string[] = [];
  private readonly givingUp: (() => void)[] = [];

  /** The time is up for whoever has not answered. */
  readonly giveUp = async (): Promise<void> => {
    await settle();
    for (const one of this.givingUp.splice(0)) one();
    await settle();
  };

  private readonly isInForce = (id: string): boolean => !this.released.has(id);

  private readonly ask = async (method: string, _params = {}, process?: string): Promise<readonly ControlAnswer[]> => {
    this.asked.push(`${method} ${process ?? 'all'}`);
    const isWell = process !== 'hangs';
    const answers: ControlAnswer[] = isWell ? [{ process: 'well', pid: 4, result: this.well(method) }] : [];
    if (process === 'well' || !this.isAnybodyHanging) return answers;
    await new Promise<void>((over) => this.givingUp.push(over));
    return [...answers, { process: 'hangs', pid: 5, error: { code: 'timeout', message: 'no answer' } }];
  };

  private well(method: string): unknown {
    const stops = [...new Set(this.marked)].filter(this.isInForce).map((id) => ({
      id,
      cause: 'operator',
      tier: 'instance',
      action: 'terminate',
      subject: { sessionId: 's-1' },
      since: 1,
    }));
    const stages = { recorded: 1, fenced: 1, drained: 1, revoked: 1, done: 1 };
    if (method === 'sessions') {
      const under = this.hasOneUnder ? [{ id: 's-2', path: ['s-1', 's-2'], state: 'running' }] : [];
      return this.owner === 'well' ? [{ id: 's-1', path: ['s-1'], state: this.state }, ...under] : [];
    }
    if (method === 'status') return { stops };
    if (method === 'stop') this.marked.push('act.of.the.process');
    if (method === 'receipts' || method === 'stop') {
      const receipts = this.well('status') as { stops: { id: string }[] };
      const all = receipts.stops.map((one) => ({ id: one.id, stop: one, stages, sessions: [], grants: [], residue: [] }));
      return method === 'stop' ? all[0] : all;
    }
    return { sessions: this.owner === 'well' ? 1 : 0 };
  }

  readonly run = (isYes: boolean): Promise<Done> => {
    const place: Place = {
      ...folderPlace('/nowhere'),
      exists: () => true,
      ask: this.ask,
      stops: async () => this.marked.map((key) => ({ key, marks: { engaged: 0, released: this.released.has(key) ? 0 : -1 } })),
      journals: async () => ({ journals: [], ...(this.damage === undefined ? {} : { damage: this.damage }) }),
      receipts: async () => [],
      mark: async (key) => {
        if (!this.canWrite) throw new Error('the disk is full');
        this.atMark();
        this.marked.push(key);
      },
    };
    let now = 0;
    const io: Io = {
      out: (text) => {
        this.out += text;
      },
      err: () => {},
      isInteractive: true,
      hasColour: false,
      env: {},
      user: 'ann',
      ask: async (question) => {
        this.questions.push(question);
        this.meanwhile();
        return 'y';
      },
      now: () => now,
      sleep: async (ms) => {
        now += ms;
      },
    };
    return stop(commandOf(io, place, false), 's-1', 'terminate', who, isYes);
  };
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
};

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => vi.useRealTimers());

describe.each(['well', 'hangs'] as const)(
  'offswitch stop beside a process that hangs, of a session that the one has that %s',
  (owner) => {
    test('with --yes is durable half a second later, before anybody has given up waiting', async () => {
      const scene = Object.assign(new Scene(), { owner });
      const ran = scene.run(true);
      await settle();
      expect(scene.marked).toEqual([]);
      await vi.advanceTimersByTimeAsync(500);
      await settle();
      expect(scene.marked).toEqual([expect.stringMatching(/^act\..*s-1/)]);
      expect(scene.asked).toContain('reread all');
      await scene.giveUp();
      expect(await ran).toMatchObject({
        exitCode: 4,
        json: { latchedBy: 'folder', silent: [expect.stringContaining('process 5')] },
      });
    });

    test('is durable with the yes, and asks nobody again who did not answer', async () => {
      const scene = Object.assign(new Scene(), { owner });
      const ran = scene.run(false);
      await scene.giveUp();
      // What follows comes to its end by itself.
      expect(await ran).toMatchObject({
        exitCode: 4,
        json: { confirmed: false, processes: 1, stages: expect.arrayContaining(['done']) },
      });
      expect(scene.questions).toHaveLength(1);
      expect(scene.marked).toHaveLength(1);
      expect(scene.asked.slice(0, 2).sort()).toEqual(['preview all', 'sessions all']);
      expect(scene.asked.slice(2)).toContain('reread well');
      expect(scene.asked.slice(2).filter((one) => !one.endsWith(' well'))).toEqual([]);
      expect(scene.out).toContain('✓ recorded in /nowhere');
      expect(scene.out).toContain('not confirmed by every process. It is recorded');
    });
  },
);

describe('offswitch stop', () => {
  test('asked for again is the same stop, so that one release lifts it (I10)', async () => {
    const scene = new Scene();
    const first = scene.run(false);
    await scene.giveUp();
    const again = scene.run(false);
    await scene.giveUp();
    expect((await again).json.stop).toBe((await first).json.stop);
  });

  test.each([
    ['while it is asked for again', 'meanwhile', 2],
    ['in the moment in which it is recorded again', 'atMark', 3],
  ] as const)('that was asked for before, and is released %s, is a stop of its own (S10)', async (_, when, marks) => {
    const scene = new Scene();
    const first = scene.run(false);
    await scene.giveUp();
    const { stop: one } = (await first).json as { stop: string };
    scene[when] = () => scene.released.add(one);
    const again = scene.run(false);
    await scene.giveUp();
    expect((await again).json).toMatchObject({ stop: expect.not.stringMatching(one), stages: expect.arrayContaining(['done']) });
    expect(scene.marked).toHaveLength(marks);
  });

  test('of a session that has ended records nothing and says how it ended', async () => {
    const scene = Object.assign(new Scene(), { state: 'completed', isAnybodyHanging: false });
    const ran = scene.run(true);
    ran.catch(() => {});
    await scene.giveUp();
    await expect(ran).rejects.toMatchObject({ code: 'session_ended' });
    expect(scene.marked).toEqual([]);
  });

  test.each([
    ['something runs under it', { hasOneUnder: true, isAnybodyHanging: false }, 1],
    ['somebody hangs, who may run something under it', {}, 0],
    ['what was left cannot be read, and may go on under it', { damage: 'torn', isAnybodyHanging: false }, 0],
  ])('of a session that has ended is made where %s (S2)', async (_, one, sessions) => {
    const scene = Object.assign(new Scene(), { state: 'completed', ...one });
    const ran = scene.run(false);
    await scene.giveUp();
    expect((await ran).json).toMatchObject({ known: true, preview: { sessions }, latchedBy: 'folder' });
    expect(scene.marked).toHaveLength(1);
  });

  test('says of no session that nobody knows it where what was left cannot be read, and what that was (S10)', async () => {
    const scene = Object.assign(new Scene(), { owner: 'hangs', damage: 'torn', isAnybodyHanging: false });
    const { json, exitCode } = await scene.run(true);
    expect(json).toMatchObject({ problems: ['torn'] });
    expect(json).not.toHaveProperty('known');
    expect(exitCode).toBe(4);
    expect(scene.out).toContain('torn; what was left there is not counted');
    expect(scene.out).not.toContain('is known in');
  });

  test('where the state cannot be written goes through the process that has the session, and says so (I13)', async () => {
    const scene = Object.assign(new Scene(), { canWrite: false });
    const ran = scene.run(false);
    await scene.giveUp();
    await scene.giveUp();
    expect(await ran).toMatchObject({ json: { stop: 'act.of.the.process', latchedBy: 'process' } });
    expect(scene.out).toContain('! the disk is full; the process that has it was told instead');
    expect(scene.out).not.toContain('recorded in');
  });
});
