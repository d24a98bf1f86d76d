// respawn-race.ts: https://github.com/openai/codex/issues/42032
//
// There: agents that start agents could not be killed: while some were ended others were being started, 469 in all.
// Here: killed in the middle of starting children, the root is followed by no entry into any agent's code, nor is it after a restart.

import { createRuntime, defineKillSwitches, flagFile, flagFileControl, type Runtime, type Turn } from 'offswitch';
import { incident, receiptOf, signalOf, until, within } from './check.ts';

await incident(async ({ tools, ok, closeAfter }) => {
  const switches = defineKillSwitches({
    global: { authorized: ['on-call'] },
    features: { crawl: { authorized: ['on-call'] }, tick: { authorized: ['on-call'] } },
    instance: { authorized: ['on-call'] },
  });
  await flagFileControl('switches.flagd.json').provision(switches, { apply: true });
  const entered: { readonly id: string; readonly parent: string | undefined }[] = [];
  const callsOf = () => tools.of(...entered.map(({ id }) => id));
  const start = async () => {
    const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json') });
    closeAfter(() => runtime.close());
    const crawl = runtime.agent('crawl', async (session, depth: number): Promise<void> => {
      entered.push({ id: session.id, parent: session.parentId });
      await session.turn((turn) => turn.tool('fetch', depth, () => tools.call('fetch', session.id)));
      if (depth === 4) return;
      // Three at a time, and whatever becomes of one, another is started in its place.
      const keepOne = async (turn: Turn): Promise<void> => {
        for (;;) await turn.spawn(crawl, depth + 1);
      };
      await session.turn((turn) => Promise.all([keepOne(turn), keepOne(turn), keepOne(turn)]).then(() => null));
    });
    const tick = runtime.agent('tick', async (session) => {
      for (let n = 0; n < 40; n++) await session.turn((turn) => turn.tool('tick', n, () => tools.call('tick', session.id)));
    });
    return { runtime, crawl, tick };
  };
  const first = await start();
  const root = first.crawl.start(0);

  // One of them is killed: its parent is not stopped, and may start another.
  await tools.more(40, 'forty agents', () => true);
  const victim = first.runtime.sessions().find(({ path, state }) => path.length === 3 && state === 'running');
  const ofItsParent = () => entered.filter(({ parent }) => parent === victim?.parent).length;
  const startedThen = ofItsParent();
  const ending = first.runtime.settled(victim?.id ?? '');
  await first.runtime.stop({ session: victim?.id ?? '', reason: 'too many', by: 'on-call' });
  const { status } = await within('it has ended', ending);
  await until('its parent has started another', () => ofItsParent() > startedThen);
  ok(
    'an agent that was killed alone is terminated, and replaced by its parent, which was not killed',
    status === 'terminated',
    status,
  );

  // The root is killed by the arrival of a call, so that others are on their way at that very moment.
  const stopped = signalOf();
  let enteredAtStop = 0;
  let receipt: ReturnType<Runtime['stop']> | undefined;
  tools.answer = () => {
    if (receipt) return;
    receipt = first.runtime.stop({ session: root.id, reason: 'spawns without end', by: 'on-call' });
    enteredAtStop = entered.length;
    stopped.give();
  };
  await within('the stop is sent', stopped.given);
  const outcome = await within('the root has ended', root.outcome);
  ok('the root is terminated', outcome.status === 'terminated', outcome);
  ok(`${enteredAtStop} agents were entered before the stop, 0 after it`, entered.length === enteredAtStop, entered.length);
  const done = await receiptOf(first.runtime, outcome);
  const loose = done?.sessions.filter(({ state }) => state !== 'stopped' && state !== 'already-ended');
  const isClosed = done?.stages.done !== undefined;
  ok('the receipt is closed, and each of its sessions had ended before or is stopped', isClosed && loose?.length === 0, loose);
  const stoppedCount = done?.sessions.filter(({ state }) => state === 'stopped').length ?? 0;
  ok(`more than one was stopped (${stoppedCount}), so there was a race to lose`, stoppedCount > 1);
  const callsAtEnd = callsOf().length;

  await first.runtime.close();
  const second = await start();
  const bystander = await second.tick.run(null);
  await second.runtime.refresh();
  ok('in the next process another run goes on', bystander.status === 'completed', bystander);
  ok('and no agent of the killed root is entered or calls', entered.length === enteredAtStop && callsOf().length === callsAtEnd);
});
