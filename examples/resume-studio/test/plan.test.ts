// plan.test.ts: what a restart makes of what an earlier process left.

import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exampleResumes, loadDocuments } from '../src/documents.ts';
import { type JobNote, jobsOf, openPlan, verdictOn } from '../src/plan.ts';

const key = 'cover-letter-draft/r-ann';
const note = (status: JobNote['status']): JobNote => ({ session: 's-1', status, at: '2025-03-01T12:00:00Z' });
const verdict = (kept: JobNote | undefined, listed: string[] = [], stopped: string[] = []) =>
  verdictOn(key, kept, new Set(listed), new Set(stopped));

describe('a job', () => {
  test('is started when there is neither a session nor a note of it', () => {
    expect(verdict(undefined)).toBe('start');
    expect(verdict(undefined, ['cover-letter-draft/r-anne'], ['s-1'])).toBe('start');
  });

  test('is left to the runtime while it has a session, whatever its note says (S7)', () => {
    for (const kept of [undefined, note('started'), note('completed')]) expect(verdict(kept, [key])).toBe('resume');
  });

  test('is never started again once it has ended', () => {
    for (const status of ['completed', 'terminated', 'failed'] as const) expect(verdict(note(status))).toBe('ended');
  });

  test('that was terminated when its process died is known from the receipt (S6)', () => {
    expect(verdict(note('started'), [], ['s-1'])).toBe('terminated');
  });

  test('that was started and is nowhere to be found is lost, not started again: its letter may be out (I9)', () => {
    expect(verdict(note('started'), [], ['s-2'])).toBe('lost');
  });
});

describe('the notes', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'studio-plan-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test('are read back by the next process, and leave no other file', async () => {
    const first = await openPlan(folder, [key]);
    await first.write(key, note('started'));
    await first.write(key, { ...note('completed'), text: 'Report: done' });
    expect(first.note(key)).toMatchObject({ status: 'completed' });
    expect((await openPlan(folder, [key, 'batch-scoring/r-ann'])).note(key)).toEqual({
      ...note('completed'),
      text: 'Report: done',
    });
    expect(await readdir(join(folder, 'cover-letter-draft'))).toEqual(['r-ann.json']);
  });

  test.each(['', '{', '[]', '{"session":"s-1","status":"perhaps"}', '{"status":"started"}'])(
    'are not guessed at when one reads %j: to guess would be to send a letter twice',
    async (text) => {
      await mkdir(join(folder, 'cover-letter-draft'));
      await writeFile(join(folder, `${key}.json`), text);
      await expect(openPlan(folder, [key])).rejects.toMatchObject({ code: 'invalid_document' });
    },
  );
});

test('jobs run every workflow of a document before the next document', async () => {
  const { documents } = await loadDocuments(exampleResumes);
  const keys = jobsOf(documents, ['resume-rewrite', 'batch-scoring']).map((job) => job.key);
  expect(keys.slice(0, 3)).toEqual(['resume-rewrite/r-ada-data', 'batch-scoring/r-ada-data', 'resume-rewrite/r-ada-teach']);
  expect(new Set(keys).size).toBe(documents.length * 2);
});
