// tools.test.ts: what the tools leave on the disk, and what they leave when stopped half way.

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exampleResumes, loadAdverts, loadDocuments } from '../src/documents.ts';
import { createTools, type StudioTools } from '../src/tools.ts';
import { readOutbox } from '../src/tools-files.ts';
import type { Delay } from '../src/tools-time.ts';

let folder: string;
let waits: number[];
const noTime: Delay = async (ms, signal) => {
  waits.push(ms);
  signal?.throwIfAborted();
};
beforeEach(async () => {
  waits = [];
  folder = await mkdtemp(join(tmpdir(), 'studio-tools-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const outbox = (): string => join(folder, 'mail', 'outbox.jsonl');
async function tools(delay: Delay = noTime): Promise<StudioTools> {
  const [{ documents }, adverts] = await Promise.all([loadDocuments(exampleResumes), loadAdverts()]);
  const now = (): Date => new Date('2025-03-01T12:00:00Z');
  return createTools({ documents, adverts, outputDir: join(folder, 'out'), outboxPath: outbox(), delay, now });
}
const letter = {
  documentId: 'r-ann',
  advertId: 'a-clinic-nurse',
  to: 'people@airestreet.example',
  subject: 'Hello',
  draft: 'letter-x',
};

describe('sending a letter', () => {
  test('appends one line per call, with the key of the call and without looking at it', async () => {
    const { write_draft, send_letter } = await tools();
    await write_draft.execute({ documentId: 'r-ann', name: 'letter-x', text: 'Dear all' });
    await send_letter.execute(letter, { idempotencyKey: 'k-1' });
    await send_letter.execute(letter, { idempotencyKey: 'k-1' });
    const line = { letter: 'r-ann/a-clinic-nurse', to: letter.to, subject: 'Hello', at: '2025-03-01T12:00:00.000Z', key: 'k-1' };
    expect(readOutbox(outbox())).toEqual([line, line]);
  });

  test('takes 50 to 150 ms before it is out, as long again until that is confirmed, and is never unsent', async () => {
    let finish = (): void => undefined;
    const abort = new AbortController();
    const { write_draft, send_letter } = await tools((ms, signal, occasion) => {
      waits.push(ms);
      if (waits.length > 1)
        expect(occasion).toMatchObject({ name: 'send_letter', about: expect.stringMatching(/(before|after)$/) });
      expect(signal === undefined).toBe(waits.length !== 2);
      return waits.length === 1 ? Promise.resolve() : new Promise((resolve) => (finish = resolve));
    });
    await write_draft.execute({ documentId: 'r-ann', name: 'letter-x', text: 'Dear all' });
    const sent = send_letter.execute(letter, { signal: abort.signal });
    await expect.poll(() => waits.length).toBe(2);
    expect(readOutbox(outbox())).toEqual([]);
    finish();
    await expect.poll(() => waits.length).toBe(3);
    for (const ms of waits.slice(1)) {
      expect(ms).toBeGreaterThanOrEqual(50);
      expect(ms).toBeLessThanOrEqual(150);
    }
    abort.abort();
    expect(readOutbox(outbox())).toHaveLength(1);
    finish();
    await expect(sent).resolves.toMatchObject({ ok: true });
  });

  test('sends nothing when aborted before the line is written', async () => {
    const abort = new AbortController();
    const { write_draft, send_letter } = await tools(async () => undefined);
    await write_draft.execute({ documentId: 'r-ann', name: 'letter-x', text: 'Dear all' });
    const sent = send_letter.execute(letter, { signal: abort.signal });
    abort.abort(new Error('stopped'));
    await expect(sent).rejects.toThrow('stopped');
    expect(readOutbox(outbox())).toEqual([]);
  });

  test('refuses a draft, a document or an advert that does not exist', async () => {
    const { send_letter } = await tools();
    await expect(send_letter.execute(letter)).rejects.toMatchObject({ code: 'not_found' });
    await expect(send_letter.execute({ ...letter, documentId: 'r-annn' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(send_letter.execute({ ...letter, advertId: 'a-x' })).rejects.toMatchObject({ code: 'not_found' });
    expect(readOutbox(outbox())).toEqual([]);
  });
});

describe('writing drafts and scores', () => {
  test('replaces the file of the same name and leaves no other', async () => {
    const { write_draft, write_score } = await tools();
    await write_draft.execute({ documentId: 'r-ann', name: 'resume', text: 'one' });
    await write_draft.execute({ documentId: 'r-ann', name: 'resume', text: 'two' });
    await write_score.execute({ documentId: 'r-ann', advertId: 'a-clinic-nurse', score: 80, reasons: ['fits'] });
    await write_score.execute({ documentId: 'r-ann', score: 80, reasons: [] });
    const made = join(folder, 'out', 'r-ann');
    expect((await readdir(made)).sort()).toEqual(['resume.md', 'score-a-clinic-nurse.json', 'scores.json']);
    expect(await readFile(join(made, 'resume.md'), 'utf8')).toBe('two\n');
    expect(JSON.parse(await readFile(join(made, 'scores.json'), 'utf8'))).toEqual({
      documentId: 'r-ann',
      score: 80,
      reasons: [],
    });
  });

  test('leaves nothing when aborted', async () => {
    const { write_draft } = await tools(async () => undefined);
    const abort = new AbortController();
    const written = write_draft.execute({ documentId: 'r-ann', name: 'resume', text: 'one' }, { signal: abort.signal });
    abort.abort(new Error('stopped'));
    await expect(written).rejects.toThrow('stopped');
    expect(await readdir(join(folder, 'out', 'r-ann')).catch(() => [])).toEqual([]);
  });

  test.each(['../escape', 'a/b', '.hidden', '', 'x\u0000y', 'a\\b'])(
    'refuses the name %j, by schema and by itself',
    async (name) => {
      const { write_draft } = await tools();
      const input = { documentId: 'r-ann', name, text: 'x' };
      expect(write_draft.inputSchema.safeParse(input).success).toBe(false);
      // An empty name is only `.md`, which starts with a dot.
      await expect(write_draft.execute(input)).rejects.toMatchObject({ code: 'invalid_input' });
    },
  );

  test('says so when the folder cannot be written', async () => {
    await writeFile(join(folder, 'out'), 'a file where the folder should be');
    const { write_draft } = await tools();
    await expect(write_draft.execute({ documentId: 'r-ann', name: 'resume', text: 'x' })).rejects.toMatchObject({
      code: 'write_failed',
    });
  });
});

describe('reading', () => {
  test('returns a section or the whole, one entry a line', async () => {
    const { read_document, read_advert } = await tools();
    const skills = await read_document.execute({ documentId: 'r-mei', section: 'skills' });
    expect(skills).toMatchObject({ ok: true, text: expect.stringMatching(/^## skills\n- Pastry, Expert: lamination/) });
    const whole = await read_document.execute({ documentId: 'r-mei' });
    expect(whole.text).toContain('## basics\n- 林美玲');
    expect(await read_advert.execute({ advertId: 'a-pastry-chef' })).toMatchObject({
      ok: true,
      contact: 'kitchen@wufeng.example',
    });
  });
});
