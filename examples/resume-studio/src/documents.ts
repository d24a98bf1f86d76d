// documents.ts: reads a folder of JSON Resume files, and the adverts, once, at the edge. Behind it everything is typed.
//
// A file that is a resume with a wrong field is an error, because somebody wants that resume worked on; a file that is no
// resume at all is named and skipped, because people keep other things in their folders.

import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { StudioError } from './documents-error.ts';
import { type Advert, advertSchema, type Resume, resumeSchema, type Section, sections } from './documents-schema.ts';

/** One resume with the two ids everything else goes by. */
export interface ResumeDocument {
  /** `meta.id`, else the file's name. Also the name of its output folder. */
  readonly id: string;
  /** The user it belongs to: `meta.owner`, else `u-<file>`. */
  readonly owner: string;
  readonly file: string;
  readonly resume: Resume;
}

export interface LoadedDocuments {
  /** Sorted by id, so that every run starts them in the same order. */
  readonly documents: readonly ResumeDocument[];
  /** One sentence per skipped file. */
  readonly warnings: readonly string[];
}

/** The resumes written for this example. */
export const exampleResumes: string = fileURLToPath(new URL('../data/resumes', import.meta.url));
/** The adverts written for this example. */
export const exampleAdverts: string = fileURLToPath(new URL('../data/adverts', import.meta.url));

/** Bytes. A resume with an embedded photograph fits; a database dump does not. */
export const maxFileBytes = 1_048_576;
/** Files looked at in one folder. Each becomes up to three trees of agents. */
export const maxFiles = 1_000;

const marks = ['basics', 'work', 'volunteer', 'education', 'skills', 'projects', 'publications'] as const;

/**
 * Every resume in the folder (files ending in `.json`, not in folders below it).
 * Rejects with `no_documents`, `invalid_document` or `duplicate_id`.
 */
export async function loadDocuments(folder: string): Promise<LoadedDocuments> {
  const documents: ResumeDocument[] = [];
  const warnings: string[] = [];
  for (const file of await listJson(folder)) {
    const read = await readJson(folder, file);
    if (!read.ok) {
      warnings.push(`skipped ${file}: ${read.why}`);
    } else if (!looksLikeResume(read.value)) {
      warnings.push(`skipped ${file}: not a JSON Resume (it has none of ${marks.join(', ')})`);
    } else {
      documents.push(toDocument(file, parse(resumeSchema, read.value, file)));
    }
  }
  if (documents.length === 0) {
    const why = warnings.length === 0 ? 'it holds no .json file' : warnings.join('; ');
    throw new StudioError('no_documents', `no resume in ${folder}: ${why}. Name a folder with JSON Resume files.`);
  }
  refuseDuplicates(documents);
  return { documents: sortById(documents), warnings };
}

/** Every advert in the folder. All of them must be adverts: the folder is ours. */
export async function loadAdverts(folder: string = exampleAdverts): Promise<readonly Advert[]> {
  const adverts: (Advert & { file: string })[] = [];
  for (const file of await listJson(folder)) {
    const read = await readJson(folder, file);
    if (!read.ok) throw new StudioError('invalid_document', `${file}: ${read.why}`);
    adverts.push({ ...parse(advertSchema, read.value, file), file });
  }
  if (adverts.length === 0) throw new StudioError('no_documents', `no advert in ${folder}`);
  refuseDuplicates(adverts);
  return sortById(adverts).map(({ file: _, ...advert }) => advert);
}

/** The sections that have something in them, in the schema's order. */
export function sectionsOf(resume: Resume): Section[] {
  return sections.filter((section) => {
    const value = resume[section];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && Object.keys(value).length > 0;
  });
}

function toDocument(file: string, resume: Resume): ResumeDocument {
  const stem =
    basename(file, '.json')
      .normalize('NFC')
      .replace(/[^\p{L}\p{N}\p{M}._@-]+/gu, '-')
      .replace(/^[^\p{L}\p{N}]+/u, '')
      .slice(0, 90) || 'unnamed';
  return { id: resume.meta?.id ?? stem, owner: resume.meta?.owner ?? `u-${stem}`, file, resume };
}

function looksLikeResume(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && marks.some((mark) => Object.hasOwn(value, mark));
}

async function listJson(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new StudioError('no_documents', `cannot read the folder ${folder}`, { cause });
  });
  const files = names.filter((name) => name.endsWith('.json') && !name.startsWith('.')).sort();
  if (files.length > maxFiles)
    throw new StudioError('no_documents', `${folder} holds ${files.length} files; at most ${maxFiles}`);
  return files;
}

type Read = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly why: string };

async function readJson(folder: string, file: string): Promise<Read> {
  const path = join(folder, file);
  try {
    const info = await stat(path);
    if (!info.isFile()) return { ok: false, why: 'not a file' };
    if (info.size > maxFileBytes) return { ok: false, why: `larger than ${maxFileBytes} bytes` };
    // Editors on Windows put a byte order mark first, which JSON.parse refuses.
    return { ok: true, value: JSON.parse((await readFile(path, 'utf8')).replace(/^\uFEFF/, '')) };
  } catch (error) {
    return { ok: false, why: `unreadable: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || '(whole file)'}: ${issue.message}`);
  throw new StudioError('invalid_document', `${file}: ${faults.join('; ')}`, { cause: result.error });
}

function refuseDuplicates(items: readonly { readonly id: string; readonly file: string }[]): void {
  const seen = new Map<string, string>();
  for (const { id, file } of items) {
    const key = id.normalize('NFC').toLowerCase();
    const other = seen.get(key);
    if (other !== undefined) throw new StudioError('duplicate_id', `${other} and ${file} have the same id "${id}"`);
    seen.set(key, file);
  }
}

function sortById<T extends { readonly id: string }>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}
