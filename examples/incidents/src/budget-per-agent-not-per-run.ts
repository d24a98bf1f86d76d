// budget-per-agent-not-per-run.ts: https://github.com/Mininglamp-OSS/cc-channel-octo/issues/185 https://github.com/openai/openai-agents-js/issues/444
//
// There: each agent had a limit of its own and gave each of its sub-agents another one: 1,466 sub-sessions, 31 deep, from a few requests.
// Here: one budget holds for a run with everything that it started, to the call, and what more a person allows is held as exactly.

import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';
import { incident, receiptOf, until, within } from './check.ts';

await incident(async ({ tools, ok, closeAfter }) => {
  const switches = defineKillSwitches({
    global: { authorized: ['on-call'] },
    features: { answer: { authorized: ['on-call'] } },
    instance: { authorized: ['on-call'] },
  });
  await flagFileControl('switches.flagd.json').provision(switches, { apply: true });
  const callMicros = 1_000;
  const runtime = await createRuntime({
    switches,
    source: flagFile('switches.flagd.json'),
    breakers: { answer: { costMicros: 100 * callMicros } },
  });
  closeAfter(() => runtime.close());
  const rests = (id: string) =>
    until('the run rests', () => runtime.session(id)?.state === 'paused' || runtime.session(id)?.state === 'parked');

  // Each asks the model once and has three others do the work, 31 deep: without a shared budget, more than there are atoms.
  const depthOf = new Map<string, number>();
  const delegate = runtime.agent('delegate', async (session, depth: number): Promise<void> => {
    depthOf.set(session.id, depth);
    await session.turn((turn) =>
      turn.model(
        'small',
        (signal) => tools.call('model', session.rootId, depth, signal),
        () => ({ costMicros: callMicros }),
        { maxCostMicros: callMicros },
      ),
    );
    if (depth === 31) return;
    await session.turn((turn) =>
      Promise.all([1, 2, 3].map((n) => turn.spawn(delegate, depth + 1, { key: String(n) }))).then(() => null),
    );
  });
  const answer = runtime.agent('answer', (session, isSmall: boolean) =>
    session.turn((turn) => turn.spawn(delegate, isSmall ? 31 : 1).then(() => 'answered')),
  );
  const run = answer.start(false);
  await rests(run.id);
  const spent = () => tools.of(run.id).length;
  const sessions = () => runtime.sessions().filter(({ root }) => root === run.id);
  ok('a budget of 100 calls is 100 calls, whoever makes them', spent() === 100, spent());
  ok(`  of ${sessions().length} sessions, not one of which had a limit of its own`, sessions().length > 100, sessions().length);
  const cost = sessions().reduce((sum, { costMicros }) => sum + costMicros, 0);
  ok('  and what they say they cost is the budget', cost === 100 * callMicros, cost);
  const [stop] = runtime.stops();
  const isRoot = stop?.cause === 'breaker' && stop.breaker === 'cost' && stop.subject.sessionId === run.id;
  ok('the cost breaker holds the run at its root', runtime.stops().length === 1 && isRoot, runtime.stops());

  const other = await answer.run(true);
  ok('another run has its own budget', other.status === 'completed', other);
  ok('  while the first makes 0 calls', spent() === 100, spent());

  await runtime.release({ breaker: 'cost', allowance: 25 * callMicros, reason: 'a long question', by: 'on-call' });
  await until('it goes on to its new limit', () => spent() >= 125);
  await rests(run.id);
  ok('allowed 25 calls more, it makes 25 more and rests again', spent() === 125, spent());
  const ending = runtime.settled(run.id);
  await runtime.stop({ session: run.id, reason: 'no end to it', by: 'on-call' });
  const receipt = await receiptOf(runtime, await within('the run has ended', ending));
  const stopped = receipt?.sessions.filter(({ state }) => state === 'stopped').length ?? 0;
  ok('terminated, it is gone with everything under it', stopped > 100, receipt?.sessions.length);
  ok('  at no further call', spent() === 125, spent());
});
