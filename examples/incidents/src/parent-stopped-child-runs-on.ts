// parent-stopped-child-runs-on.ts: https://github.com/anthropics/claude-code/issues/95138
//
// There: the stop of a parent task did not reach its background child, which made 176 more tool calls in 30 minutes, unnamed.
// Here: the child and its own child make no call after the stop, the receipt names both, and the next run is not touched.

import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';
import { incident, receiptOf, within } from './check.ts';

await incident(async ({ tools, ok, closeAfter }) => {
  const switches = defineKillSwitches({
    global: { authorized: ['on-call'] },
    features: { release: { authorized: ['on-call'] } },
    instance: { authorized: ['on-call'] },
  });
  const control = flagFileControl('switches.flagd.json');
  await control.provision(switches, { apply: true });
  const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json') });
  closeAfter(() => runtime.close());

  const reader = runtime.agent('read-log', async (session) => {
    for (;;) await session.turn((turn) => turn.tool('read', null, () => tools.call('read', session.id), { effect: false }));
  });
  const watcher = runtime.agent('watch-log', (session) =>
    session.turn(async (turn) => {
      void turn.spawn(reader, null);
      for (;;) await turn.tool('alert', null, () => tools.call('alert', session.id));
    }),
  );
  const release = runtime.agent('release', (session) =>
    session.turn(async (turn) => {
      void turn.spawn(watcher, null); // in the background: nothing waits for it
      for (;;) await turn.tool('deploy', null, () => tools.call('deploy', session.id));
    }),
  );

  const parent = release.start(null);
  const bystander = release.start(null);
  const sessionsOf = (root: string) => runtime.sessions().filter((one) => one.root === root);
  await tools.more(30, 'both at work', ({ tool }) => tool === 'read');
  const [own, others] = [sessionsOf(parent.id).map(({ id }) => id), sessionsOf(bystander.id).map(({ id }) => id)];

  await control.engage({ flag: switches.instance!, target: parent.id, reason: 'wrong branch', by: 'on-call' });
  const outcome = await within('the parent has ended', parent.outcome);
  ok('the parent is terminated', outcome.status === 'terminated', outcome);
  const receipt = await receiptOf(runtime, outcome);
  const callsAtEnd = tools.of(...own).length;
  const fencedAt = receipt?.stages.fenced ?? 0;
  const afterFence = tools.of(...own).filter((call) => call.at > fencedAt).length;
  ok('after the fence at most the one call of each of the three that was on its way arrives', afterFence <= 3, afterFence);

  await tools.more(75, 'the bystander goes on', ({ who }) => others.includes(who));
  const after = tools.of(...own).length - callsAtEnd;
  ok('0 calls of parent, child and grandchild while the same three of another run made 75', after === 0, after);
  const told = receipt?.sessions.map(({ agent, state }) => `${agent} ${state}`).sort();
  ok('the receipt names each of them as stopped', told?.join() === 'read-log stopped,release stopped,watch-log stopped', told);
  const states = sessionsOf(bystander.id).map(({ state }) => state);
  ok('the other run is not touched', states.join() === 'running,running,running', states);
});
