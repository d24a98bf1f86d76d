// bundle.process.test.ts: what is left of a terminated session, each part of it, over a folder and over a real Redis, and in the receipt as a page.

import { createRuntime, type ForensicBundle, flagFile, type Runtime } from 'offswitch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { switches } from './bench.ts';
import { StateBench, stateKinds } from './state-bench.ts';

describe.each(stateKinds)('the bundle of a terminated session in a %s', (kind) => {
  let bench: StateBench;
  let runtime: Runtime<'resume-rewrite' | 'batch-scoring'> | undefined;
  beforeEach(async (context) => {
    bench = await StateBench.open(kind, context);
  });
  afterEach(async () => {
    if (!bench) return;
    await runtime?.close();
    await bench.close();
  });

  test('holds path, checkpoint, journal, readings, versions and grants, nothing of the data but what the hook lets through, and its digest is in the receipt and on its page', async () => {
    runtime = await createRuntime({
      switches,
      source: flagFile(bench.file),
      store: bench.openStore(),
      brokers: {
        printer: {
          caps: { cascade: 'none', effect: 'immediate', maxResidualMs: 0, canVerify: true, revokesById: true },
          issue: async ({ id, ttlMs }) => ({ status: 'issued', secret: 'the-password', ref: id, expiresAt: Date.now() + ttlMs }),
          revoke: async () => ({ state: 'revoked', residualMs: 0, evidence: 'the account was removed' }),
          verify: async () => 'inactive',
        },
      },
      forensics: {
        redact: (value, { field }) => (field === 'state' ? { page: (value as { page: number }).page } : undefined),
      },
    });
    let isPrinting = (): void => undefined;
    const printing = new Promise<void>((resolve) => {
      isPrinting = resolve;
    });
    const child = runtime.agent('batch-scoring', (session) =>
      session.turn((turn) =>
        turn.tool(
          'print',
          { secret: 'of the application' },
          async (_, context) => {
            await context.grant('printer', { scope: ['page'] });
            isPrinting();
            await new Promise(() => undefined);
          },
          { effect: false },
        ),
      ),
    );
    const agent = runtime.agent(
      'resume-rewrite',
      async (session, input: { readonly name: string }) => {
        await session.turn(async () => ({ page: 1, text: `of ${input.name}` }));
        await session.turn((turn) => turn.spawn(child, undefined));
      },
      { version: '4.2' },
    );
    const { id, outcome } = agent.start({ name: 'Ada Lovelace' }, { userId: 'u-1' });
    await printing;
    const { id: stop } = await runtime.stop({ session: id, reason: 'it prints everything', by: 'ann' });
    await outcome;
    const cli = (...args: string[]) => bench.cli(['--state', bench.state, ...args]);
    const bundleOf = async (session: string): Promise<ForensicBundle> => {
      const ran = await cli('forensics', session, '--json');
      return ran.code === 0 && ran.json.verified === 'yes'
        ? (ran.json.bundle as unknown as ForensicBundle)
        : ({} as ForensicBundle);
    };
    await expect.poll(async () => (await bundleOf(id)).session, { timeout: 20_000 }).toBe(id);

    const root = await bundleOf(id);
    expect(root).toMatchObject({
      path: [id],
      user: 'u-1',
      stop: { id: stop, position: { n: 0 } },
      decision: { action: 'terminate', cause: 'operator', reason: 'it prints everything', by: 'ann' },
      checkpoint: { turn: 1, digest: expect.stringMatching(/^[0-9a-f]{64}$/), state: { page: 1 } },
      journal: {
        epoch: 1,
        turns: [{ number: 1 }, { number: 2, calls: [{ kind: 'spawn', name: 'batch-scoring', outcome: 'aborted' }] }],
      },
      versions: { node: process.version, agent: { name: 'resume-rewrite', version: '4.2' } },
    });
    expect(root.readings.switches.map(({ key, state }) => `${key} ${state}`)).toContain('killswitch.global released');
    const [call] = root.journal.turns[1]!.calls;
    const below = await bundleOf(call!.child!);
    expect(below).toMatchObject({
      path: [id, call!.child],
      journal: { turns: [{ number: 1, calls: [{ kind: 'tool', name: 'print', class: 'read', outcome: 'aborted' }] }] },
      grants: [{ broker: 'printer', scope: ['page'] }],
    });
    for (const bundle of [root, below]) expect(JSON.stringify(bundle)).not.toMatch(/Lovelace|of the application|the-password/);

    const page = await cli('receipts', stop, '--html');
    const { json } = await cli('receipts', stop, '--json');
    const [receipt] = json.receipts as { sessions: { session: string; forensics: { digest: string } }[] }[];
    for (const one of receipt!.sessions) {
      expect(one.forensics.digest).toMatch(/^[0-9a-f]{64}$/);
      expect(page.out).toContain(one.forensics.digest);
    }
    expect(receipt!.sessions.map((one) => one.session).sort()).toEqual([id, call!.child].sort());
    expect(page.out).toContain('the account was removed');
  }, 60_000);
});
