// documents.test.ts: what a folder of resumes may look like, and what is said when it does not.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exampleResumes, loadAdverts, loadDocuments, maxFileBytes, sectionsOf } from '../src/documents.ts';
import { resumeText } from '../src/documents-text.ts';

describe('the resumes shipped with the example', () => {
  test('are at least a dozen, all valid, of several users, two of whom own more than one', async () => {
    const { documents, warnings } = await loadDocuments(exampleResumes);
    expect(warnings).toEqual([]);
    expect(documents.length).toBeGreaterThanOrEqual(12);
    const owned = new Map<string, number>();
    for (const { owner } of documents) owned.set(owner, (owned.get(owner) ?? 0) + 1);
    expect([...owned].filter(([, count]) => count > 1).map(([owner]) => owner)).toEqual(['u-ada', 'u-bo']);
  });

  test('hold neighbours whose ids differ in one character, a sparse one and a long one', async () => {
    const { documents } = await loadDocuments(exampleResumes);
    const owners = documents.map(({ owner }) => owner);
    expect(owners).toEqual(expect.arrayContaining(['u-ann', 'u-anne']));
    expect(documents.map(({ id }) => id)).toEqual(expect.arrayContaining(['r-ann', 'r-anne']));
    const lengths = documents.map(({ resume }) => resumeText(resume).length);
    expect(Math.min(...lengths)).toBeLessThan(200);
    expect(Math.max(...lengths)).toBeGreaterThan(6_000);
    for (const { resume } of documents) expect(sectionsOf(resume).length).toBeGreaterThanOrEqual(2);
  });

  test('come with six adverts', async () => {
    expect((await loadAdverts()).map(({ id }) => id)).toEqual([
      'a-clinic-nurse',
      'a-data-engineer',
      'a-pastry-chef',
      'a-route-planner',
      'a-science-writer',
      'a-welding-lead',
    ]);
  });
});

describe("a folder of one's own", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'studio-documents-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const put = (file: string, value: unknown): Promise<void> =>
    writeFile(join(folder, file), typeof value === 'string' ? value : JSON.stringify(value));

  test('gives documents without ids an id from the file name, and takes unknown fields', async () => {
    await put('Jane Doe.json', { basics: { name: 'Jane', shoeSize: 43 }, hobbies: ['x'] });
    const { documents } = await loadDocuments(folder);
    expect(documents).toMatchObject([{ id: 'Jane-Doe', owner: 'u-Jane-Doe', resume: { basics: { name: 'Jane' } } }]);
  });

  test('names the file and the field that is wrong', async () => {
    await put('bad.json', { basics: { name: 7 }, work: [{ startDate: 'last summer' }] });
    await expect(loadDocuments(folder)).rejects.toMatchObject({
      code: 'invalid_document',
      message: expect.stringMatching(/bad\.json: basics\.name: .*work\.0\.startDate: must be YYYY/),
    });
  });

  test('skips and names what is no resume: other JSON, no JSON, too large', async () => {
    await put('good.json', { basics: { name: 'G' } });
    await put('package.json', { name: 'x', version: '1.0.0' });
    await put('broken.json', '{ "basics": ');
    await put('list.json', [1, 2]);
    await put('huge.json', `{"basics":{"summary":"${'x'.repeat(maxFileBytes)}"}}`);
    await put('notes.txt', 'not looked at');
    const { documents, warnings } = await loadDocuments(folder);
    expect(documents.map(({ id }) => id)).toEqual(['good']);
    expect(warnings.map((warning) => warning.split(':')[0])).toEqual(
      ['broken', 'huge', 'list', 'package'].map((name) => `skipped ${name}.json`),
    );
  });

  test('is an error when nothing in it is a resume, and when it is not there', async () => {
    await expect(loadDocuments(folder)).rejects.toMatchObject({ code: 'no_documents' });
    await put('tsconfig.json', {});
    await expect(loadDocuments(folder)).rejects.toMatchObject({
      code: 'no_documents',
      message: expect.stringContaining('tsconfig.json'),
    });
    await expect(loadDocuments(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'no_documents' });
  });

  test('is an error when two files share an id, in whatever case, or an id is no folder name', async () => {
    await put('one.json', { basics: {}, meta: { id: 'r-x' } });
    await put('two.json', { basics: {}, meta: { id: 'R-X' } });
    await expect(loadDocuments(folder)).rejects.toMatchObject({
      code: 'duplicate_id',
      message: expect.stringContaining('one.json and two.json'),
    });
    await put('two.json', { basics: {}, meta: { id: '../r-x' } });
    await expect(loadDocuments(folder)).rejects.toMatchObject({
      code: 'invalid_document',
      message: expect.stringContaining('meta.id'),
    });
  });
});
