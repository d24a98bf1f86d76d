// interrupt-loses-background-work.ts: https://github.com/anthropics/claude-code/issues/76807
//
// There: an interrupt of the foreground turn killed every background agent, and marked them as not to be resumed.
// Here: ending the foreground agent leaves the others at work; pausing the whole session loses nothing, even over a restart.

import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';
import { incident, until, within } from './check.ts';

await incident(async ({ tools, ok, closeAfter }) => {
  const switches = defineKillSwitches({
    global: { authorized: ['on-call'] },
    features: { chat: { authorized: ['on-call'] } },
    instance: { authorized: ['on-call'] },
  });
  await flagFileControl('switches.flagd.json').provision(switches, { apply: true });
  const steps = 30;
  const start = async () => {
    const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json') });
    closeAfter(() => runtime.close());
    const answer = runtime.agent('answer', async (session) => {
      for (;;) await session.turn((turn) => turn.tool('answer', null, () => tools.call('answer', session.id)));
    });
    const background = runtime.agent('background', async (session, name: string) => {
      let step = (session.state as number | undefined) ?? 0;
      while (step < steps)
        step = await session.turn(async (turn) => {
          await turn.tool(name, step, () => tools.call(name, session.id, step));
          return step + 1;
        });
      return name;
    });
    const chat = runtime.agent('chat', (session) =>
      session.turn(async (turn) => {
        const work = ['index', 'tests'].map((name) => turn.spawn(background, name, { key: name }));
        const { status } = await turn.spawn(answer, null, { key: 'answer' });
        const ends = await Promise.all(work);
        return [status, ...ends.map((end) => end.status)];
      }),
    );
    return { runtime, chat };
  };
  const stepsOf = (name: string) => tools.calls.filter(({ tool }) => tool === name).map(({ args }) => args as number);
  const isBackground = ({ tool }: { tool: string }) => tool === 'index' || tool === 'tests';

  const first = await start();
  const { id } = first.chat.start(null);
  await tools.more(3, 'all at work', ({ tool }) => tool === 'answer');
  const foreground = first.runtime.sessions().find(({ agent }) => agent === 'answer')?.id ?? '';
  const receipt = await first.runtime.stop({ session: foreground, reason: 'interrupted', by: 'user' });
  const ended = await within('the foreground agent has ended', first.runtime.settled(foreground));
  const answers = stepsOf('answer').length;
  await tools.more(10, 'the background agents go on', isBackground);
  ok('the foreground agent is terminated', ended.status === 'terminated', ended);
  ok('  and makes 0 calls while those in the background make 10', stepsOf('answer').length === answers);
  ok('  and is the only one in the receipt', receipt.sessions.map(({ agent }) => agent).join() === 'answer', receipt.sessions);

  await first.runtime.stop({ session: id, action: 'pause', reason: 'interrupted', by: 'user' });
  await until('all rest', () => first.runtime.sessions().every(({ state }) => state !== 'running'));
  const doneAtPause = ['index', 'tests'].map((name) => stepsOf(name).length);
  ok(
    'a pause of the whole session rests the others in the middle',
    doneAtPause.every((done) => done > 0 && done < steps),
    doneAtPause,
  );
  await first.runtime.close();

  const second = await start();
  await second.runtime.refresh();
  const views = second.runtime.sessions().filter(({ agent }) => agent === 'background');
  ok('in the next process both are there, at rest', views.length === 2 && views.every(({ state }) => state === 'parked'), views);
  await second.runtime.resume(id, { by: 'user', reason: 'go on' });
  const outcome = await within('the session has ended', second.runtime.settled(id));
  const result = outcome.status === 'completed' ? (outcome.result as string[] | undefined) : undefined;
  ok('resumed, the session comes to its end', result?.join() === 'terminated,completed,completed', outcome);
  const all = [...Array(steps).keys()].join();
  ok(
    '  each step of the background work done once',
    ['index', 'tests'].every((name) => stepsOf(name).join() === all),
    doneAtPause,
  );
  ok('  and the foreground agent not started again', stepsOf('answer').length === answers);
});
