// one-run-cancelled-all-stopped.ts: https://github.com/mastra-ai/mastra/pull/21003
//
// There: the cancel of one run reached every run of the deployment.
// Here: one of 24 runs is cancelled. The 23 others come to their ends without a pause, every step once, and one stop is on record.

import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';
import { incident, within } from './check.ts';

await incident(async ({ tools, ok, closeAfter }) => {
  const switches = defineKillSwitches({
    global: { authorized: ['on-call'] },
    features: { score: { authorized: ['on-call'] } },
    user: { authorized: ['support'] },
    instance: { authorized: ['on-call'] },
  });
  const control = flagFileControl('switches.flagd.json');
  await control.provision(switches, { apply: true });
  const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json') });
  closeAfter(() => runtime.close());
  const paused = new Set<string>();
  runtime.subscribe((event) => {
    if (event.type === 'session' && runtime.session(event.session)?.state === 'paused') paused.add(event.session);
  });

  const steps = 12;
  const score = runtime.agent('score', async (session, name: string) => {
    for (let step = 0; step < steps; step++)
      await session.turn((turn) => turn.tool('score', { name, step }, (args) => tools.call('score', session.id, args)));
    return name;
  });
  // All for the same user, in conversations of which some have almost the same name.
  const runs = Array.from({ length: 24 }, (_, n) => score.start(`run ${n}`, { userId: 'u-ada', conversationId: `c-${n}` }));
  const target = runs[1]!;
  await tools.more(4, 'the run that is cancelled at work', ({ who }) => who === target.id);

  await control.engage({ flag: switches.instance!, target: target.id, reason: 'cancelled by its user', by: 'support' });
  const outcomes = await within('all have ended', Promise.all(runs.map(({ outcome }) => outcome)));
  const terminated = outcomes.filter(({ status }) => status === 'terminated').map(({ session }) => session);
  ok('one run is terminated: the one that was named', terminated.join() === target.id, terminated);
  ok('  before its last step', tools.of(target.id).length < steps, tools.of(target.id).length);
  const completed = outcomes.flatMap((outcome) => (outcome.status === 'completed' ? [outcome.result] : []));
  ok('23 are completed', completed.length === 23, completed);
  const inOrder = runs.filter(
    ({ id }) =>
      tools
        .of(id)
        .map(({ args }) => (args as { step: number }).step)
        .join() === [...Array(steps).keys()].join(),
  );
  ok('  each with its 12 steps, in order and once', inOrder.length === 23, inOrder.length);
  ok('  and none of them was paused meanwhile', paused.size === 0, [...paused]);

  const stops = runtime.stops().map(({ tier, subject, reason, by }) => [tier, subject.sessionId, reason, by].join(' '));
  ok('one stop is in force', stops.join() === `instance ${target.id} cancelled by its user support`, stops);
  const receipts = await runtime.receipts();
  const told = receipts.flatMap(({ sessions }) => sessions.map(({ session, state }) => `${session} ${state}`));
  ok('  its receipt names that run and no other', receipts.length === 1 && told.join() === `${target.id} stopped`, told);
  const flips = (await control.history()).map(({ action, target: whom, by }) => `${action} ${whom} ${by}`);
  ok('  and the history of the flags who did it', flips.join() === `engage ${target.id} support`, flips);
});
