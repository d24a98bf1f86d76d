// mail.process.test.ts: the mail server takes a letter from whoever was lent the right to send, for as long as it is not taken back.

import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memorySource } from '@offswitch/testing';
import { createRuntime, memoryStore } from 'offswitch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FromMail, type LocalMail, startLocalMail } from '../dist/mail/local-mail.js';
import { mailAccount, sendToken } from '../src/mail/mail-account.ts';
import { switches } from '../src/switches.ts';
import { readOutbox } from '../src/tools-files.ts';

let folder: string;
let mail: LocalMail;
const told: FromMail[] = [];
const outbox = (): string => join(folder, 'outbox.jsonl');
const line = (letter: string) => ({ letter, to: 'people@airestreet.example', subject: 'Hello', at: '2025-03-01', key: null });

beforeEach(async () => {
  told.length = 0;
  folder = await mkdtemp(join(tmpdir(), 'studio-mail-'));
  const onMessage = (message: FromMail): void => void told.push(message);
  mail = await startLocalMail({ outbox: outbox(), secretFile: join(folder, 'mail.secret'), onMessage });
});
afterEach(async () => {
  await mail.close();
  await rm(folder, { recursive: true, force: true });
});

describe('the mail server', () => {
  test('refuses a letter without a token, and with one that it does not know', async () => {
    const { post } = mailAccount(mail.env);
    await expect(post(line('a/b'), 'made-up', undefined)).rejects.toMatchObject({
      code: 'mail_refused',
      message: expect.stringContaining('401 invalid_token'),
    });
    const bare = await fetch(mail.env.STUDIO_MAIL_URL, { method: 'POST', body: JSON.stringify(line('a/b')) });
    expect(bare.status).toBe(401);
    expect(existsSync(outbox())).toBe(false);
  });

  test('takes letters of a session, and none any more once it was terminated; those of another it still takes (I4, I7)', async () => {
    const account = mailAccount(mail.env);
    const runtime = await createRuntime({
      switches,
      source: memorySource(switches),
      store: memoryStore(),
      brokers: account.brokers,
    });
    let end = (): void => undefined;
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    const tokens = new Map<string, string>();
    const agent = runtime.agent('cover-letter-draft', (session, letter: string) =>
      session.turn((turn) =>
        turn.tool('send_letter', { letter }, async () => {
          tokens.set(session.id, await sendToken());
          await account.post(line(letter), tokens.get(session.id)!, undefined);
          await over;
        }),
      ),
    );
    const [one, other] = [agent.start('one/letter'), agent.start('other/letter')];
    await expect.poll(() => readOutbox(outbox()).length, { timeout: 20_000 }).toBe(2);
    await runtime.stop({ session: one.id, reason: 'it writes to everybody', by: 'ada' });
    await expect
      .poll(async () => (await runtime.receipts())[0]?.grants, { timeout: 20_000 })
      .toMatchObject([
        { session: one.id, broker: 'mail', state: 'revoked', evidence: expect.stringContaining('verified: inactive') },
      ]);
    await expect(account.post(line('one/again'), tokens.get(one.id)!, undefined)).rejects.toMatchObject({ code: 'mail_refused' });
    await account.post(line('other/again'), tokens.get(other.id)!, undefined);
    expect(
      readOutbox(outbox())
        .map(({ letter }) => letter)
        .sort(),
    ).toEqual(['one/letter', 'other/again', 'other/letter']);
    end();
    await runtime.close();
  });

  test('keeps its secret to the person who runs it, and the same one for the next start', async () => {
    const path = join(folder, 'mail.secret');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await mail.close();
    mail = await startLocalMail({ outbox: outbox(), secretFile: path });
    expect(mail.env.STUDIO_MAIL_SEALING).toBe((await readFile(path, 'utf8')).trim());
  });
});
