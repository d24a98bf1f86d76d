// members-with-ids-of-their-own.ts: https://github.com/agno-agi/agno/issues/7730
//
// There: a team was cancelled by the run id of its leader, and its members, which had ids of their own, went on.
// Here: whoever cancels knows the leader's id and no other; all members and their helpers stop, and the other team does not.

import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';
import { incident, receiptOf, within } from './check.ts';

await incident(async ({ tools, ok, closeAfter }) => {
  const switches = defineKillSwitches({
    global: { authorized: ['on-call'] },
    features: { team: { authorized: ['on-call'] } },
    user: { authorized: ['support'] },
    instance: { authorized: ['on-call'] },
  });
  const control = flagFileControl('switches.flagd.json');
  await control.provision(switches, { apply: true });
  const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json') });
  closeAfter(() => runtime.close());

  const helper = runtime.agent('helper', async (session) => {
    for (;;) await session.turn((turn) => turn.tool('look-up', null, () => tools.call('look-up', session.id), { effect: false }));
  });
  const member = runtime.agent('member', (session) =>
    session.turn(async (turn) => {
      void turn.spawn(helper, null);
      for (;;) await turn.tool('write', null, () => tools.call('write', session.id));
    }),
  );
  const team = runtime.agent('team', (session) =>
    session.turn((turn) =>
      // Each member works for a user of its own, too.
      Promise.all(['u-ann', 'u-ben', 'u-cleo'].map((userId) => turn.spawn(member, null, { key: userId, userId }))).then(
        () => null,
      ),
    ),
  );
  const leader = team.start(null, { userId: 'u-lea' });
  const others = team.start(null, { userId: 'u-lea' });
  const idsOf = (root: string) =>
    runtime
      .sessions()
      .filter((one) => one.root === root)
      .map(({ id }) => id);
  await tools.more(60, 'both teams at work', ({ tool }) => tool === 'look-up');
  const [own, bystanders] = [idsOf(leader.id), idsOf(others.id)];
  ok('a team is 7 sessions with 7 ids', new Set(own).size === 7, own);

  await control.engage({ flag: switches.instance!, target: leader.id, reason: 'wrong brief', by: 'on-call' });
  const outcome = await within('the team has ended', leader.outcome);
  const callsAtEnd = tools.of(...own).length;
  const receipt = await receiptOf(runtime, outcome);
  const stopped = receipt?.sessions.filter(({ state }) => state === 'stopped').map(({ session }) => session);
  ok('the receipt names each of the 7 as stopped', own.every((id) => stopped?.includes(id)) && stopped?.length === 7, stopped);

  await tools.more(120, 'the other team goes on', ({ who }) => bystanders.includes(who));
  const after = tools.of(...own).length - callsAtEnd;
  ok('0 calls of the team while the other one made 120', after === 0, after);
  const running = bystanders.filter((id) => runtime.session(id)?.state === 'running').length;
  ok('all 7 of the other team run, although they work for the same users', running === 7, running);
});
