// above.test.ts: a session whose root has ended in another process, or cannot be asked there: what reaches it by its path, the command counts and ends.

import { setTimeout as wait } from 'node:timers/promises';
import { newPathKey } from 'offswitch';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Bench } from './bench.ts';

let bench: Bench;
beforeEach(async () => {
  bench = new Bench();
  await bench.provision();
  vi.stubEnv('OFFSWITCH_PATH_KEYS', newPathKey());
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await bench.close();
});

/** A root of u-lea, and what it began in another process for u-ann, of another workflow, and did not wait for. */
async function began() {
  const [here, there] = [await bench.start(), await bench.start()];
  let child = '';
  const helper = there.agent('batch-scoring', async (session) => {
    child = session.id;
    while (!bench.isOver) await session.turn(() => wait(2));
  });
  const root = here.agent('resume-rewrite', (session) =>
    session.turn((turn) =>
      turn.tool(
        'delegate',
        {},
        async () => {
          const parent = await there.accept((await session.carry()).headers);
          void helper.run(undefined, { parent, userId: 'u-ann' });
          while (child === '') await wait(2);
        },
        { delegates: true },
      ),
    ),
  );
  const run = root.start(undefined, { userId: 'u-lea', conversationId: 'thread-9' });
  await run.outcome;
  return { here, there, root: run.id, child, end: there.settled(child) };
}

const flip = (...args: string[]) => bench.cli([...args, '--reason', 'x', '--yes']);

describe('a session that runs on after its root has ended in another process', () => {
  test.each([
    ['its user', ['terminate', '--user', 'u-lea']],
    ['its workflow', ['terminate', '--workflow', 'resume-rewrite']],
  ])('is ended with what is ended of %s (S2)', async (_, args) => {
    const { end } = await began();
    expect(await flip(...args)).toMatchObject({ code: 0, out: expect.stringContaining('ends 1 session in 1 graph') });
    expect((await end).status).toBe('terminated');
  });

  test.each([
    ['its user', ['engage', 'user', 'u-lea']],
    ['its workflow', ['engage', 'feature', 'resume-rewrite']],
    ['its conversation', ['engage', 'instance', 'thread-9', '--conversation']],
  ])('is counted by the switch of %s (S12)', async (_, args) => {
    await began();
    expect(await flip(...args)).toMatchObject({ code: 0, out: expect.stringContaining('stops 1 session\n') });
  });

  test('is stopped with it, which is known by what is under it (S2, S10)', async () => {
    const { root, end } = await began();
    const ran = await flip('stop', root);
    expect(ran).toMatchObject({ code: 0, out: expect.stringContaining('stops 1 session\n') });
    expect(ran.out).not.toContain('is known');
    expect((await end).status).toBe('terminated');
  });

  test('is ended also where its own process is gone (S2, S6)', async () => {
    const { here, there, child } = await began();
    await there.close();
    await here.close();
    expect(await flip('terminate', '--user', 'u-lea')).toMatchObject({
      out: expect.stringContaining('ends 1 session in 1 graph'),
    });
    const [line] = (await bench.cli(['sessions', '--all', '--json'])).json.sessions as { id: string; action: string }[];
    expect(line).toMatchObject({ id: child, action: 'terminate' });
  });

  test('is not ended with what is ended of others (I7)', async () => {
    const { there, child } = await began();
    expect(await flip('terminate', '--user', 'u-le')).toMatchObject({
      out: expect.stringContaining('ends 0 sessions in 0 graphs'),
    });
    expect(there.session(child)?.state).toBe('running');
  });
});
