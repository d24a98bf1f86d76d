// namesake.test.ts: an id that is a conversation's is no session's, and the reverse: what is counted, said and covered is what is stopped.

import { flagFile, folderStore, type Gate, openGate } from 'offswitch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bench, switches } from './bench.ts';

let bench: Bench;
beforeEach(async () => {
  bench = new Bench();
  await bench.provision();
});
afterEach(() => bench.close());

const engage = (id: string, ...more: string[]) => bench.cli(['engage', 'instance', id, '--reason', 'x', '--yes', ...more]);
const stop = (id: string, ...more: string[]) => bench.cli(['stop', id, '--reason', 'x', '--yes', ...more]);

describe('a session that runs, of a conversation', () => {
  let id: string;
  let outcome: Promise<{ readonly status: string }>;
  let runtime: Awaited<ReturnType<Bench['start']>>;
  beforeEach(async () => {
    runtime = await bench.start();
    ({ id, outcome } = bench.agentOn(runtime, 'resume-rewrite').start(undefined, { conversationId: 'thread-9' }));
  });

  test('is not said to be stopped by a switch that names its conversation as a session, and the way is told (S10, S12)', async () => {
    const ran = await engage('thread-9');
    expect(ran.out).toContain('stops 0 sessions');
    expect(ran.out).toContain('thread-9 is the id of a conversation, and of no session');
    expect(ran.out).toContain('--conversation');
    expect(ran.code).toBe(4);
    expect(runtime.session(id)?.decision.action).toBe('run');
    expect(await engage('thread-9', '--json')).toMatchObject({
      code: 4,
      json: { namesake: 'conversation', preview: { sessions: 0 } },
    });
    expect(await engage('thread-9', '--conversation', '--json')).toMatchObject({ code: 0, json: { preview: { sessions: 1 } } });
    expect((await outcome).status).toBe('terminated');
  });

  test('is not said to be stopped by a switch that names it as a conversation (S10, S12)', async () => {
    const ran = await engage(id, '--conversation');
    expect(ran.out).toContain('stops 0 sessions');
    expect(ran.out).toContain(`${id} is the id of a session, and of no conversation: leave out --conversation`);
    expect(ran.code).toBe(4);
    expect(runtime.session(id)?.decision.action).toBe('run');
    expect(await engage(id)).toMatchObject({ code: 0, out: expect.stringContaining('stops 1 session\n') });
  });

  test('is not counted by a stop of its conversation as a session, which says that nobody knows one (S10)', async () => {
    const ran = await stop('thread-9');
    expect(ran).toMatchObject({ code: 4, out: expect.stringContaining('no session thread-9 is known') });
    expect(ran.out).toContain('stops 0 sessions');
    expect(ran.out).toContain('thread-9 is the id of a conversation');
    expect((await stop('thread-9', '--json')).json.namesake).toBe('conversation');
    expect(runtime.session(id)?.decision.action).toBe('run');
  });

  test('that was left behind is told of in the same way', async () => {
    await runtime.close();
    expect(await engage('thread-9')).toMatchObject({
      code: 4,
      out: expect.stringContaining('thread-9 is the id of a conversation'),
    });
  });
});

test('a switch that is engaged before anybody has the id is well, and says that nobody is covered (S4)', async () => {
  await bench.start();
  for (const more of [[], ['--conversation']])
    expect(await engage('to-come', ...more)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/no live session of (instance|conversation) to-come(.|\n)*no live session is covered/),
    });
});

describe('a loop at a gate, of a conversation', () => {
  let gate: Gate<'resume-rewrite' | 'batch-scoring'>;
  beforeEach(async () => {
    gate = await openGate({ switches, source: flagFile(bench.file), store: folderStore(bench.folder), onAlarm: () => {} });
  });
  afterEach(() => gate.close());
  const ask = async () =>
    (await gate.decide({ workflow: 'resume-rewrite', sessionId: 's-1', conversationId: 'thread-9' })).action;
  const covered = async () =>
    ((await bench.cli(['receipts', '--json'])).json.receipts as { sessions: { session: string }[] }[]).map((one) =>
      one.sessions.map(({ session }) => session),
    );

  test('is in no receipt of a stop that does not hold it (S10)', async () => {
    expect(await ask()).toBe('run');
    expect((await stop('thread-9')).code).toBe(4);
    expect([await ask(), await covered()]).toEqual(['run', [[]]]);
  });

  test('is in that of a switch of its conversation, and of its own stop', async () => {
    expect(await ask()).toBe('run');
    expect((await engage('thread-9', '--conversation')).code).toBe(0);
    expect([await ask(), (await covered()).every((one) => one.includes('s-1'))]).toEqual(['terminate', true]);
  });
});
