import { type Span, type Tracer, trace } from '@opentelemetry/api';
import { afterEach, describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

interface Recorded {
  readonly name: string;
  readonly attributes: Record<string, unknown>;
  readonly events: string[];
  ended: boolean;
}

/** A tracer that records; with `fails`, one whose every method throws once the span is made. */
function record(fails = false): Recorded[] {
  const spans: Recorded[] = [];
  const trouble = (): void => {
    if (fails) throw new Error('the exporter is on fire');
  };
  const tracer = {
    startSpan(name: string, options?: { attributes?: Record<string, unknown> }): Span {
      const one: Recorded = { name, attributes: { ...options?.attributes }, events: [], ended: false };
      spans.push(one);
      return {
        isRecording: () => true,
        spanContext: () => ({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 1 }),
        setAttribute(key: string, value: unknown) {
          trouble();
          one.attributes[key] = value;
          return this;
        },
        setStatus() {
          trouble();
          return this;
        },
        addEvent(event: string) {
          trouble();
          one.events.push(event);
          return this;
        },
        end() {
          one.ended = true;
          trouble();
        },
      } as unknown as Span;
    },
  } as unknown as Tracer;
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  return spans;
}

afterEach(() => trace.disable());

describe('telemetry', () => {
  test('names agents, tools and models as the GenAI conventions do, and tells a pause and its switch', async () => {
    const spans = record();
    const { runtime, source, clock } = await world();
    const gate = deferred();
    const outcome = runtime
      .agent('alpha', async (session) => {
        await session.turn(async (turn) => {
          await turn.model(
            'gpt-test',
            async () => 'reply',
            () => ({ inputTokens: 7, outputTokens: 3 }),
          );
          await turn.tool('send', {}, async () => gate.promise);
        });
        await session.turn(async () => {});
      })
      .run(undefined, { userId: 'u-1', conversationId: 'c-1' });
    await settle(clock);
    source.engage('killswitch.global');
    await settle(clock);
    gate.resolve();
    await settle(clock);
    source.release('killswitch.global');
    await settle(clock);
    await outcome;
    expect(spans.map((span) => [span.name, span.ended])).toEqual([
      ['invoke_agent alpha', true],
      ['chat gpt-test', true],
      ['execute_tool send', true],
    ]);
    expect(spans[0]!.attributes).toMatchObject({
      'gen_ai.workflow.name': 'alpha',
      'gen_ai.conversation.id': 'c-1',
      'user.id': 'u-1',
    });
    expect(spans[1]!.attributes).toMatchObject({ 'gen_ai.usage.input_tokens': 7, 'gen_ai.usage.output_tokens': 3 });
    expect(spans[0]!.events).toEqual(['gen_ai.agent.paused', 'feature_flag.evaluation', 'gen_ai.agent.resumed']);
  });

  test('that throws changes no decision, no result and no stop (I13)', async () => {
    record(true);
    const { runtime, source, clock } = await world();
    const outcome = runtime
      .agent('alpha', (session) => session.turn((turn) => turn.tool('send', {}, async () => 'sent')))
      .run(undefined);
    await settle(clock);
    expect(await outcome).toMatchObject({ status: 'completed', result: 'sent' });
    source.engage('killswitch.global');
    await settle(clock);
    const second = runtime.run('beta', (session) => session.turn(async () => 'never before the release'));
    await settle(clock);
    expect(runtime.sessions()).toMatchObject([{ state: 'paused' }]);
    source.release('killswitch.global');
    await settle(clock);
    expect((await second).status).toBe('completed');
  });
});
