// history-broken-by-an-abort.ts: https://github.com/earendil-works/pi/issues/3344
//
// There: an abort in the middle of a tool left a tool call without its result in the history, and no model took the session again.
// Here: the work of a run that was ended in the middle of a tool is taken up by a new run; its model, as strict, refuses nothing.

import { govern, messagesOf } from '@offswitch/ai-sdk';
import { generateText, type ModelMessage, stepCountIs, tool } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';
import { z } from 'zod';
import { incident, receiptOf, until, within } from './check.ts';

await incident(async ({ tools: server, ok, closeAfter }) => {
  const switches = defineKillSwitches({
    global: { authorized: ['on-call'] },
    features: { trip: { authorized: ['on-call'] } },
    instance: { authorized: ['on-call'] },
  });
  await flagFileControl('switches.flagd.json').provision(switches, { apply: true });
  const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json'), effectDeadlineMs: 50 });
  closeAfter(() => runtime.close());

  /** What the model asks for, one after the other; then it is done. */
  const plan = ['find', 'book', 'find', 'book'];
  const prompts: number[] = [];
  const strict = new MockLanguageModelV3({
    doGenerate: async ({ prompt }) => {
      const parts = prompt.flatMap(({ content }): readonly { type: string; toolCallId?: string }[] =>
        typeof content === 'string' ? [] : content,
      );
      const ids = (type: string) => parts.filter((part) => part.type === type).map(({ toolCallId }) => toolCallId);
      const [called, answered] = [ids('tool-call'), ids('tool-result')];
      prompts.push(called.length);
      // As providers do: 400, tool_use ids were found without tool_result blocks.
      if (called.join() !== answered.join()) throw new Error(`invalid history: called ${called}, answered ${answered}`);
      const toolName = plan[called.length];
      return {
        content: [
          toolName === undefined
            ? { type: 'text' as const, text: 'booked' }
            : { type: 'tool-call' as const, toolCallId: `call-${called.length}`, toolName, input: '{}' },
        ],
        finishReason: { unified: toolName === undefined ? 'stop' : 'tool-calls', raw: undefined },
        usage: {
          inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
          outputTokens: { total: 1, text: 1, reasoning: 0 },
        },
        warnings: [],
      };
    },
  });
  const inputSchema = z.object({});
  const governed = govern({
    model: strict,
    tools: {
      find: tool({ inputSchema, execute: (_, { abortSignal }) => server.call('find', 'trip', null, abortSignal) }),
      book: tool({ inputSchema, execute: (_, { abortSignal }) => server.call('book', 'trip', null, abortSignal) }),
    },
    effects: { find: false },
  });
  const trip = runtime.agent('trip', async (session, goal: string) => {
    const messages: ModelMessage[] = messagesOf(session) ?? [{ role: 'user', content: goal }];
    return (await generateText({ ...governed, messages, stopWhen: stepCountIs(20), maxRetries: 0 })).text;
  });
  const count = (name: string) => server.calls.filter(({ tool: one }) => one === name).length;
  /** Ends the run in the middle of this call, which is never answered; resolves with what the receipt says of it. */
  const abortIn = async (name: string, nth: number, run: ReturnType<typeof trip.start>) => {
    server.answer = (call) => (call.tool === name && count(name) === nth ? new Promise(() => {}) : `${call.tool} ${nth}`);
    await until(`${name} number ${nth} is under way`, () => count(name) === nth);
    await runtime.stop({ session: run.id, reason: 'wrong dates', by: 'on-call' });
    const receipt = await receiptOf(runtime, await within('the run has ended', run.outcome));
    server.answer = (call) => `${call.tool} answered`;
    return receipt?.sessions[0];
  };

  const first = trip.start('two days in Ghent');
  const told = await abortIn('find', 2, first);
  const readTold = told?.calls.find(({ name }) => name === 'find')?.outcome;
  ok('a run is ended in the middle of its third tool call', told?.state === 'stopped' && readTold === 'aborted', told);
  ok('  with its checkpoint at turn 2, before that call', told?.checkpointTurn === 2, told);

  // What only reads is read again; then it is ended in the middle of an effect.
  const second = trip.start('two days in Ghent', { restartOf: first.id });
  const booking = await abortIn('book', 2, second);
  const bookTold = booking?.calls.find(({ name }) => name === 'book')?.outcome;
  ok('the run that takes it up goes on from there: the search is made again', count('find') === 3 && prompts[2] === 2, prompts);
  ok('ended in the middle of a booking, that is of unknown outcome', bookTold === 'unknown', booking);

  const third = trip.start('two days in Ghent', { restartOf: second.id });
  const [call] = await until('it rests on it', () => {
    const { unknownCalls = [] } = runtime.session(third.id) ?? {};
    return unknownCalls.length > 0 && unknownCalls;
  });
  ok('the run that takes it up does not book again, and rests', count('book') === 2, count('book'));
  await runtime.resolve(third.id, call?.id ?? '', 'happened', { value: 'booked, says the hotel', by: 'on-call' });
  const outcome = await within('the third run has ended', third.outcome);
  ok('told what became of it, it comes to its end', outcome.status === 'completed' && outcome.result === 'booked', outcome);
  ok('  with two bookings in all', count('book') === 2, count('book'));
  ok('  and no model call was refused or paid twice', prompts.join() === '0,1,2,3,4', prompts);
});
