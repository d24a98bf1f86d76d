// identical-calls-woken-after-abort.ts: https://github.com/earendil-works/pi/issues/9637
//
// There: an agent made more than 220 byte-identical calls in 25 minutes; after each abort an extension in the background woke it again.
// Here: the breaker stops it at the sixth, no waking lifts that, over a restart too, and a stopped conversation starts no run any more.

import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';
import { incident, within } from './check.ts';

await incident(async ({ tools, ok, closeAfter }) => {
  const switches = defineKillSwitches({
    global: { authorized: ['on-call'] },
    features: { shell: { authorized: ['on-call'] } },
    instance: { authorized: ['on-call'] },
  });
  const control = flagFileControl('switches.flagd.json');
  await control.provision(switches, { apply: true });
  const start = async () => {
    const runtime = await createRuntime({
      switches,
      source: flagFile('switches.flagd.json'),
      breakers: { shell: { repeats: 5 } },
      parkAfterMs: 20,
    });
    closeAfter(() => runtime.close());
    const shell = runtime.agent('shell', async (session, commands: readonly string[]) => {
      const at = (session.state as number | undefined) ?? 0;
      for (let n = at; n < 60; n++) {
        await session.turn(async (turn) => {
          const command = commands[n % commands.length]!;
          await turn.tool('run', command, () => tools.call('run', session.conversationId ?? '', command));
          return n + 1;
        });
      }
      return 'done';
    });
    return { runtime, shell };
  };
  const looping = ['git status'];
  const varied = Array.from({ length: 60 }, (_, n) => `echo ${n}`);
  const looped = () => tools.of('c-loop').length;

  const first = await start();
  const run = first.shell.start(looping, { conversationId: 'c-loop' });
  const rested = await within('the run rests', run.outcome);
  const isRepeats = rested.status === 'paused' && first.runtime.stops()[0]?.breaker === 'repeats';
  ok('five identical calls are made, and at the sixth the run is paused by the breaker', isRepeats && looped() === 5, looped());
  const other = await first.shell.run(varied, { conversationId: 'c-other' });
  ok(
    'a run of 60 different calls beside it is not touched',
    other.status === 'completed' && tools.of('c-other').length === 60,
    other,
  );

  // What an extension in the background might do to wake it.
  await first.runtime.refresh();
  await first.runtime.close();
  const second = await start();
  await second.runtime.refresh();
  await second.shell.run(varied, { conversationId: 'c-third' });
  const { state } = second.runtime.session(run.id) ?? {};
  ok('neither a refresh nor a restart wakes it: 0 further calls while another run makes 60', looped() === 5, looped());
  ok('  it is parked, with its work', state === 'parked', state);

  // A person aborts it, by the name of the conversation, and the extension starts it again after each abort.
  const flag = switches.instance!;
  const ending = second.runtime.settled(run.id);
  await control.engage({ flag, target: 'c-loop', targetKind: 'conversation', reason: 'runs in circles', by: 'on-call' });
  const ended = await within('the run has ended', ending);
  ok('the conversation is stopped: the run is terminated', ended.status === 'terminated', ended);
  const woken: string[] = [];
  for (let n = 0; n < 20; n++) woken.push((await second.shell.run(looping, { conversationId: 'c-loop' })).status);
  ok(
    'woken 20 times, it is terminated 20 times',
    woken.every((status) => status === 'terminated'),
    woken,
  );
  await second.runtime.close();
  const third = await start();
  const again = await third.shell.run(looping, { conversationId: 'c-loop' });
  ok('and once more after a restart', again.status === 'terminated', again);
  ok('at no further call: 5 in all', looped() === 5, looped());
  const goesOn = await third.shell.run(varied, { conversationId: 'c-loop-2' });
  ok('a conversation of almost the same name goes on', goesOn.status === 'completed', goesOn);
});
