// acknowledged-is-not-stopped.ts: https://github.com/langchain-ai/langgraphjs/issues/2755 https://github.com/langchain-ai/langgraphjs/issues/2873
//
// There: a cancel that was told to wait answered after 15 ms, and the run was shown as interrupted while graph and subgraph ran on.
// Here: "nothing new starts" is said at once, "done" only when the subgraph's last call has ended, and what is missing is named.

import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';
import { incident, receiptOf, signalOf, within } from './check.ts';

await incident(async ({ tools, ok, closeAfter }) => {
  const switches = defineKillSwitches({
    global: { authorized: ['on-call'] },
    features: { graph: { authorized: ['on-call'] }, tick: { authorized: ['on-call'] } },
    instance: { authorized: ['on-call'] },
  });
  await flagFileControl('switches.flagd.json').provision(switches, { apply: true });
  const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json') });
  closeAfter(() => runtime.close());

  const subgraph = runtime.agent('subgraph', async (session) => {
    // It ignores the signal that it is given, as many tools do.
    for (const step of ['index', 'notify'])
      await session.turn((turn) => turn.tool(step, null, () => tools.call(step, session.id)));
  });
  const graph = runtime.agent('graph', async (session) => {
    await session.turn((turn) => turn.spawn(subgraph, null));
    await session.turn((turn) => turn.tool('publish', null, () => tools.call('publish', session.id)));
  });
  const tick = runtime.agent('tick', async (session) => {
    for (;;) await session.turn((turn) => turn.tool('tick', null, () => tools.call('tick', session.id)));
  });
  const bystander = tick.start(null);

  const letGo = signalOf();
  tools.answer = ({ tool }) => (tool === 'index' ? letGo.given : undefined);
  const isIndexing = tools.more(1, 'the subgraph is in the middle of its call', ({ tool }) => tool === 'index');
  const run = graph.start(null);
  let isSettled = false;
  void run.outcome.then(() => {
    isSettled = true;
  });
  await isIndexing;

  const acknowledged = await runtime.stop({ session: run.id, reason: 'wrong corpus', by: 'on-call' });
  await tools.more(25, 'the bystander goes on', ({ who }) => who === bystander.id);
  const [now] = (await runtime.receipts()).filter(({ stop }) => stop.id === acknowledged.stop.id);
  for (const [when, receipt] of [
    ['at once', acknowledged],
    ['25 calls of a bystander later', now],
  ] as const) {
    const { fenced, drained, done } = receipt?.stages ?? {};
    ok(`${when} it says that nothing new starts, and not that it is done`, !!fenced && !drained && !done, receipt?.stages);
    const inner = receipt?.sessions.find(({ agent }) => agent === 'subgraph');
    const isNamed = inner?.state === 'unconfirmed' && inner.why === 'in flight: t1-1 index';
    ok('  and names the call of the subgraph that is in flight', isNamed && inner.calls[0]?.outcome === 'in-flight', inner);
  }
  const { state } = runtime.session(run.id) ?? {};
  ok('the run is shown as stopping, and its outcome is not out', state === 'stopping' && !isSettled, { state, isSettled });

  letGo.give();
  const outcome = await within('the run has ended', run.outcome);
  const receipt = await receiptOf(runtime, outcome);
  const answeredAt = tools.calls.find(({ tool }) => tool === 'index')?.answeredAt ?? Number.POSITIVE_INFINITY;
  ok('it is done once the call has ended, and not before', (receipt?.stages.done ?? 0) >= answeredAt, receipt?.stages);
  const inner = receipt?.sessions.find(({ agent }) => agent === 'subgraph');
  ok('the receipt then says that it was completed', inner?.state === 'stopped' && inner.calls[0]?.outcome === 'completed', inner);
  await tools.more(25, 'the bystander goes on', ({ who }) => who === bystander.id);
  const next = tools.calls.filter(({ tool }) => tool === 'notify' || tool === 'publish').length;
  ok('0 further calls of graph and subgraph', next === 0, next);
});
