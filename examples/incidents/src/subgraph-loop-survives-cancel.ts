// subgraph-loop-survives-cancel.ts: https://github.com/langchain-ai/langgraph/issues/8302 https://github.com/langchain-ai/langgraph/issues/5682
//
// There: the parent graph was cancelled, and the loop of model and tool calls in its subgraph went on to its own end.
// Here: an AI SDK loop inside a tool of another, to which no signal was forwarded, asks no model and calls no tool after the stop.

import { govern } from '@offswitch/ai-sdk';
import { generateText, stepCountIs, tool } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';
import { z } from 'zod';
import { incident, receiptOf, within } from './check.ts';

await incident(async ({ tools: server, ok, closeAfter }) => {
  const switches = defineKillSwitches({
    global: { authorized: ['on-call'] },
    features: { report: { authorized: ['on-call'] } },
    instance: { authorized: ['on-call'] },
  });
  await flagFileControl('switches.flagd.json').provision(switches, { apply: true });
  const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json') });
  closeAfter(() => runtime.close());

  /** A model that always wants the same tool, until the server says that it has enough. `who` is the subject of the run. */
  const modelThatWants = (toolName: string, kind: string) =>
    new MockLanguageModelV3({
      doGenerate: async ({ prompt }) => {
        const [who] = /cats|dogs/.exec(JSON.stringify(prompt)) ?? [''];
        const isEnough = (await server.call(kind, who)) === 'enough';
        const content = isEnough
          ? { type: 'text' as const, text: 'done' }
          : {
              type: 'tool-call' as const,
              toolCallId: `${kind}-${prompt.length}`,
              toolName,
              input: JSON.stringify({ about: who }),
            };
        return {
          content: [content],
          finishReason: { unified: isEnough ? 'stop' : 'tool-calls', raw: undefined },
          usage: {
            inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
            outputTokens: { total: 1, text: 1, reasoning: 0 },
          },
          warnings: [],
        };
      },
    });
  const inputSchema = z.object({ about: z.string() });
  const inner = govern({
    model: modelThatWants('search', 'inner-model'),
    tools: { search: tool({ inputSchema, execute: ({ about }) => server.call('search', about) }) },
  });
  const research = async (about: string): Promise<string> =>
    (await generateText({ ...inner, prompt: `search for ${about}`, stopWhen: stepCountIs(1_000) })).text;
  const outer = govern({
    model: modelThatWants('research', 'outer-model'),
    tools: { research: tool({ inputSchema, execute: ({ about }) => research(about) }) },
    delegates: ['research'],
  });
  const report = runtime.agent(
    'report',
    async (_, about: string) => (await generateText({ ...outer, prompt: `report on ${about}`, stopWhen: stepCountIs(10) })).text,
  );

  let stop: { id: string } | undefined;
  let isBystanderDone = false;
  server.answer = async ({ who, tool: kind }) => {
    const count = server.calls.filter((call) => call.who === who && call.tool === kind).length;
    // Between two turns of the inner loop: its third search is about to answer.
    if (who === 'cats' && kind === 'search' && count === 3 && stop)
      await runtime.stop({ session: stop.id, reason: 'wrong subject', by: 'on-call' });
    const isEnough = (kind === 'outer-model' && count === 2) || (kind === 'inner-model' && who === 'dogs' && count === 12);
    return isEnough ? 'enough' : 'go on';
  };
  stop = report.start('cats');
  const run = stop as ReturnType<typeof report.start>;
  const bystander = report.start('dogs');
  void bystander.outcome.then(() => {
    isBystanderDone = true;
  });

  const outcome = await within('the run has ended', run.outcome);
  ok('the parent is terminated', outcome.status === 'terminated', outcome);
  const receipt = await receiptOf(runtime, outcome);
  const states = receipt?.sessions.map(({ agent, state }) => `${agent} ${state}`);
  ok(
    'the receipt names it and the loop inside its tool as stopped',
    states?.join() === 'report stopped,research stopped',
    states,
  );
  const other = await within('the other run has ended', bystander.outcome);
  ok('another run of the same agent comes to its end', other.status === 'completed' && isBystanderDone, other);
  const count = (kind: string) => server.calls.filter(({ who, tool: name }) => who === 'cats' && name === kind).length;
  const counts = [count('outer-model'), count('inner-model'), count('search')];
  ok('model and tool calls: 1 outer, 3 inner, 3 searches, and 0 after the stop', counts.join() === '1,3,3', counts);
});
