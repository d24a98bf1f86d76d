// run-lives-in-another-process.ts: https://github.com/mastra-ai/mastra/issues/19869
//
// There: abort() was called on instance A, the run lived on instance B, and went on.
// Here: by the time `offswitch stop` has ended in A, and by the time instance A's own request is answered, the run in B makes no call.

import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRuntime, defineKillSwitches, flagFile, flagFileControl, type Receipt, requestControl } from 'offswitch';
import { callTool, incident, until } from './check.ts';

const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { import: { authorized: ['on-call'] } },
  instance: { authorized: ['on-call'] },
});
const urlOfTools = process.argv[2];
if (urlOfTools === undefined) await instanceA();
else await instanceB(urlOfTools);

/** Three runs, each of which has a sub-agent, until it is told to go. */
async function instanceB(url: string): Promise<void> {
  process.once('disconnect', () => process.exit());
  const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json') });
  const page = runtime.agent('page', async (session) => {
    for (;;) await session.turn((turn) => turn.tool('page', null, () => callTool(url, 'page', session.id)));
  });
  const load = runtime.agent('import', async (session) => {
    await session.turn((turn) => turn.spawn(page, null));
  });
  const ids = [1, 2, 3].map(() => load.start(null).id);
  process.send!(ids);
  await once(process, 'message');
  await runtime.close();
  process.disconnect();
}

async function instanceA(): Promise<void> {
  await incident(async ({ tools, ok, closeAfter, folder }) => {
    await flagFileControl('switches.flagd.json').provision(switches, { apply: true });
    const b = fork(fileURLToPath(import.meta.url), [tools.url], { cwd: folder });
    closeAfter(async () => {
      if (b.exitCode !== null) return;
      b.kill('SIGKILL');
      await once(b, 'exit');
    });
    const [ids] = (await once(b, 'message')) as [readonly string[]];
    const [first = '', second = '', bystander = ''] = ids;
    await tools.more(15, 'the runs in B at work', () => true);
    // It is another instance on the same state folder, and has none of these runs.
    const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json') });
    closeAfter(() => runtime.close());
    const childrenOf = async (root: string) => {
      const [answer] = await requestControl('.offswitch', 'sessions', {}, { except: runtime.store.processId });
      const views = answer && 'result' in answer ? (answer.result as { id: string; root: string }[]) : [];
      return views.filter((view) => view.root === root).map(({ id }) => id);
    };
    const [ofFirst, ofSecond, ofBystander] = [await childrenOf(first), await childrenOf(second), await childrenOf(bystander)];
    ok(
      'each run in B has a sub-agent there',
      [ofFirst, ofSecond, ofBystander].every(({ length }) => length === 2),
    );

    const bin = join(dirname(createRequire(import.meta.url).resolve('offswitch')), '..', 'bin', 'offswitch.js');
    const why = ['--reason', 'wrong tenant', '--by', 'on-call', '--yes'];
    const command = spawn(process.execPath, [bin, 'stop', first, ...why], { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    command.stdout.setEncoding('utf8').on('data', (part: string) => {
      printed += part;
    });
    const [code] = (await once(command, 'close')) as [number];
    const atExit = tools.of(...ofFirst).length;
    ok(
      'offswitch stop in A confirms: exit code 0, "nothing new starts"',
      code === 0 && printed.includes('nothing new starts'),
      printed,
    );
    await tools.more(40, 'the bystander in B goes on', ({ who }) => ofBystander.includes(who));
    const afterExit = tools.of(...ofFirst).length - atExit;
    ok('since it ended at most the call that was on its way arrived, while another run made 40', afterExit <= 1, afterExit);

    const began = Date.now();
    const order = { session: second, reason: 'wrong tenant', by: 'instance-a' };
    const [answer] = await requestControl('.offswitch', 'stop', order, { except: runtime.store.processId });
    const tookMs = Date.now() - began;
    const atAnswer = tools.of(...ofSecond).length;
    const receipt = answer && 'result' in answer ? (answer.result as Receipt) : undefined;
    ok('instance A asks B itself, and is answered with a fenced receipt', receipt?.stages.fenced !== undefined, answer);
    ok('  within the 5 s after which a process counts as not confirmed', tookMs < 5_000, tookMs);
    await tools.more(40, 'the bystander in B goes on', ({ who }) => ofBystander.includes(who));
    const afterAnswer = tools.of(...ofSecond).length - atAnswer;
    ok('since then at most the call that was on its way arrived, while another run made 40', afterAnswer <= 1, afterAnswer);

    const told = await until('both receipts are closed', async () => {
      const all = await runtime.receipts();
      const both = [first, second].map((id) => all.find(({ stop }) => stop.subject.sessionId === id));
      return both.every((one) => one?.stages.done !== undefined) && both.map((one) => one?.sessions ?? []);
    });
    const isNamed = told.every((sessions) => sessions.length === 2 && sessions.every(({ state }) => state === 'stopped'));
    ok('the receipts, read in A, name both runs with their sub-agents as stopped', isNamed, told);
    const exited = once(b, 'exit');
    b.send('end');
    await exited;
    ok('instance B ends by itself', b.exitCode === 0, b.exitCode);
  });
}
