// grants.property.test.ts: lending, stopping and taking back in every order that chance finds (I1, I4).

import type { Receipt, RuntimeEvent } from '@offswitch/runtime';
import { manualClock, memoryBroker } from '@offswitch/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { world } from './world.ts';

const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a broker or a store does when it is asked for the nth time, in the order in which it is asked. */
const behaviour = fc.record({
  /** Of each issue: does it answer, is its answer lost, does it say no? */
  issues: fc.array(fc.constantFrom('answers', 'answers', 'lost', 'refused'), { maxLength: 6 }),
  /** Of each revocation. */
  revocations: fc.array(fc.constantFrom('revoked', 'revoked', 'pending', 'throws', 'lies'), { maxLength: 8 }),
  /** Of each write of a grant. */
  writes: fc.array(fc.constantFrom('written', 'written', 'written', 'failed'), { maxLength: 12 }),
});

describe('lending and stopping, however they fall', () => {
  test('hands out nothing after the fence, and calls nothing revoked that works', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), behaviour, fc.integer({ min: 0, max: 12 }), async (scheduler, does, stopAt) => {
        const clock = manualClock();
        const broker = memoryBroker({ now: clock.now });
        const { runtime, store } = await world({ clock, brokers: { mail: broker }, effectDeadlineMs: 1_000 });
        const left = { issues: [...does.issues], revocations: [...does.revocations], writes: [...does.writes] };
        const step = (label: string): Promise<void> => scheduler.schedule(Promise.resolve(), label);
        const { put } = store.grants!;
        store.grants!.put = async (record) => {
          await step('write');
          if (left.writes.shift() === 'failed') throw new Error('disk full');
          await put(record);
        };
        broker.beforeIssue = async ({ id }) => {
          if (fenced) late.push(id);
          await step('ask');
          if (left.issues[0] !== 'refused') return undefined;
          left.issues.shift();
          return { status: 'refused', why: 'no' };
        };
        broker.afterIssue = async () => {
          await step('answer');
          if (left.issues.shift() === 'lost') throw new Error('the answer was lost');
        };
        broker.beforeRevoke = async () => {
          await step('revoke');
          switch (left.revocations.shift()) {
            case 'pending':
              return { state: 'pending', why: '503' };
            case 'throws':
              throw new Error('reset');
            case 'lies':
              return { state: 'revoked', residualMs: 0 };
            case 'revoked':
            case undefined:
              return undefined;
          }
        };

        let fenced = false;
        const late: string[] = [];
        runtime.subscribe((event: RuntimeEvent) => {
          if (event.type === 'stage' && event.stage === 'fenced') fenced = true;
        });
        const child = runtime.agent('child', (session, n: number) =>
          session.turn((turn) =>
            turn.tool('send', n, async (_, context) => {
              const grant = await context.grant('mail', { scope: [String(n)] }).catch(() => undefined);
              if (grant && fenced) late.push(grant.id);
              await new Promise(() => {});
            }),
          ),
        );
        const { id } = runtime
          .agent('alpha', (session) =>
            session.turn((turn) =>
              turn.tool(
                'start',
                {},
                async (_, context) => {
                  const grant = await context.grant('mail').catch(() => undefined);
                  if (grant && fenced) late.push(grant.id);
                  await Promise.all([turn.spawn(child, 1), turn.spawn(child, 2)]);
                },
                { delegates: true },
              ),
            ),
          )
          .start(undefined);

        const look = async (): Promise<Receipt | undefined> => {
          const [receipt] = await runtime.receipts();
          // Nobody else lends anything, so whatever works is of a covered session.
          const isStated = receipt?.grants.some(({ state }) => state === 'irrevocable');
          if (receipt?.stages.revoked !== undefined && !isStated) expect(broker.live).toEqual([]);
          return receipt;
        };
        for (let at = 0; at < 200; at++) {
          if (at === stopAt) void runtime.stop({ session: id, reason: 'r', by: 'ann' });
          if (scheduler.count() > 0) await scheduler.waitOne();
          else await clock.advance(500);
          await turnOfLoop();
          const receipt = at > stopAt ? await look() : undefined;
          if (receipt?.stages.done !== undefined && scheduler.count() === 0) break;
        }
        for (let at = 0; at < 60 && (await look())?.stages.done === undefined; at++) {
          await clock.advance(5_000);
          while (scheduler.count() > 0) await scheduler.waitOne();
          await turnOfLoop();
        }
        const receipt = (await look())!;
        expect(late).toEqual([]);
        expect(receipt.stages.done).toBeDefined();
        expect(broker.live).toEqual([]);
        for (const { state } of receipt.grants) expect(['revoked', 'not-issued', 'expired']).toContain(state);
        const closed = runtime.close();
        for (let at = 0; at < 20; at++) {
          while (scheduler.count() > 0) await scheduler.waitOne();
          await turnOfLoop();
        }
        await closed;
      }),
      { numRuns: Number(process.env.OFFSWITCH_RUNS ?? 150) },
    );
  }, 60_000);
});
