// A detached session is one session, whatever becomes of the process that runs the turn which detaches it.

import type { JournalRecord, Session, ToolContext } from '@offswitch/runtime';
import { RuntimeError } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { settle, type TestWorld, world } from './world.ts';

const never = () => new Promise<never>(() => {});

/** A turn that detaches a mailer and then has more to do; each mail with its key. */
function define({ runtime }: TestWorld, mails: string[], mailing: () => Promise<void> = never) {
  const mailer = runtime.agent('mailer', (session: Session) =>
    session.turn(async (turn) => {
      await turn.tool('mail', {}, (_, context: ToolContext) => void mails.push(context.idempotencyKey));
      await mailing();
    }),
  );
  return runtime.agent('beta', (session: Session) =>
    session.turn(async (turn) => {
      const id = turn.detach(mailer, 'x', { reason: 'a letter', owner: 'ann' });
      await turn.tool('look', {}, never, { effect: false });
      return id;
    }),
  );
}

/** What the store is given of what `isMeant` says, which it does not keep; and nothing after it: as if the process had died before. */
function diesBefore({ store }: TestWorld, isMeant: (record: JournalRecord) => boolean): JournalRecord[] {
  const { append } = store;
  const kept: JournalRecord[] = [];
  let isDead = false;
  store.append = (root, record) => {
    isDead ||= isMeant(record);
    if (isDead) return;
    kept.push(record);
    append(root, record);
  };
  return kept;
}

const isBirth = (record: JournalRecord): boolean => record.t === 'session' && record.agent === 'mailer';
const isEnd = (record: JournalRecord): boolean => record.t === 'end' && record.value !== undefined;
const mailers = ({ runtime }: TestWorld): string[] =>
  runtime.sessions().flatMap(({ id, agent }) => (agent === 'mailer' ? [id] : []));

describe('a session that a turn detached', () => {
  test('is not detached again when its process dies in the same turn (S7, I9)', async () => {
    const first = await world();
    const mails: string[] = [];
    define(first, mails).start(undefined);
    await settle(first.clock);
    const born = mailers(first);
    const second = await first.restart();
    define(second, mails);
    await settle(second.clock, 3_000);
    expect(mailers(second)).toEqual(born);
    expect(mails).toHaveLength(1);
  });

  test('is born by the turn that is run again, under the id that was written, when its process died before its birth (S7, I9)', async () => {
    const first = await world();
    const kept = diesBefore(first, isBirth);
    define(first, []).start(undefined);
    await settle(first.clock);
    const intent = kept.find((one) => one.t === 'call');
    const second = await first.restart();
    const mails: string[] = [];
    define(second, mails);
    await settle(second.clock, 3_000);
    expect(mailers(second)).toEqual([intent?.t === 'call' && intent.child]);
    expect(mails).toHaveLength(1);
    const third = await second.restart();
    define(third, mails);
    await settle(third.clock, 3_000);
    expect(mailers(third)).toEqual(mailers(second));
    expect(mails).toHaveLength(1);
  });

  test.each(['goes on', 'has ended'])(
    'is found where its process died before the turn had its id, and it %s in another process (S7, I9)',
    async (how) => {
      const first = await world();
      diesBefore(first, isEnd);
      define(first, []).start(undefined);
      await settle(first.clock);
      const [born] = mailers(first);
      // That one does not know the agent of the turn.
      const other = await first.restart();
      const mails: string[] = [];
      other.runtime.agent('mailer', (session: Session) =>
        session.turn(async (turn) => {
          await turn.tool('mail', {}, (_, context: ToolContext) => void mails.push(context.idempotencyKey));
          if (how === 'goes on') await never();
        }),
      );
      await settle(other.clock, 3_000);
      expect(mails).toHaveLength(1);
      const second = await world({ store: other.store.share(), clock: first.clock, source: first.source as never });
      define(second, mails);
      await settle(second.clock, 3_000);
      const turn = second.runtime.sessions().find(({ agent }) => agent === 'beta');
      expect(turn).toMatchObject({ state: 'running', calls: [{ name: 'look' }] });
      expect(mails).toHaveLength(1);
      expect(second.runtime.sessions().filter(({ agent }) => agent === 'mailer')).toMatchObject(
        how === 'goes on' ? [{ id: born, state: 'elsewhere' }] : [],
      );
    },
  );

  test('is not detached again by a restart of the work of its turn: the stop did not reach it (S2, S6)', async () => {
    const { runtime, clock, ...rest } = await world();
    const mails: string[] = [];
    const agent = define({ runtime, clock, ...rest }, mails);
    const { id } = agent.start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(clock);
    agent.start(undefined, { restartOf: id });
    await settle(clock);
    expect(mails).toHaveLength(1);
    const second = await rest.restart();
    define(second, mails);
    await settle(clock, 3_000);
    expect(mails).toHaveLength(1);
  });

  test.each(['the intent', 'the birth'])(
    'does nothing while the store refuses %s of it, its turn does not end before, and no crash makes it again (I9, S7)',
    async (what) => {
      const first = await world();
      const { append } = first.store;
      first.store.append = (root, record) => {
        if (what === 'the birth' ? isBirth(record) : record.t === 'call' && record.kind === 'spawn')
          throw new RuntimeError('store_failed', 'ENOSPC');
        append(root, record);
      };
      const mails: string[] = [];
      define(first, mails).start(undefined);
      await settle(first.clock, 3_000);
      expect(mails).toEqual([]);
      expect(first.runtime.sessions().find(({ agent }) => agent === 'beta')?.calls).toContainEqual(
        expect.objectContaining({ name: 'mailer', kind: 'spawn' }),
      );
      first.store.append = append;
      await settle(first.clock, 3_000);
      expect(mails).toHaveLength(1);
      const second = await first.restart();
      define(second, mails);
      await settle(second.clock, 3_000);
      expect(mails).toHaveLength(1);
      expect(mailers(second)).toEqual(mailers(first));
    },
  );
});
