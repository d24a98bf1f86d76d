// plan.ts: which piece of work was started, under which session, and what it came to; so that a restart starts nothing twice.
//
// The runtime resumes what it left by itself. What it cannot tell is whether a job without a session was never started or
// has ended, so each job keeps a note: written before its agent's first turn (nothing can have happened in the world
// before it), and once more as the agent's last act.

import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ResumeDocument } from './documents.ts';
import { StudioError, writeFailed } from './documents-error.ts';
import type { Workflow } from './planner-roles.ts';

export interface Job {
  /** `<workflow>/<document>`; also the conversation id of its session. */
  readonly key: string;
  readonly workflow: Workflow;
  readonly document: ResumeDocument;
}

export type JobStatus = 'started' | 'completed' | 'terminated' | 'failed';

export interface JobNote {
  readonly session: string;
  readonly status: JobStatus;
  /** ISO 8601. */
  readonly at: string;
  /** The agent's last words, or why it ended. */
  readonly text?: string;
}

/** What is to be done with a job at start. */
export type Verdict =
  /** It never had a session that did anything. */
  | 'start'
  /** It has a session, which goes on by itself when nothing holds it. */
  | 'resume'
  /** It ended before. */
  | 'ended'
  /** It was terminated, and its process died before it could say so. */
  | 'terminated'
  /** It was started, and its session is gone with the state folder. Not started again: its letters may be out. */
  | 'lost';

/** Every document of a workflow in turn, so that all workflows run side by side. */
export function jobsOf(documents: readonly ResumeDocument[], chosen: readonly Workflow[]): readonly Job[] {
  return documents.flatMap((document) => chosen.map((workflow) => ({ key: `${workflow}/${document.id}`, workflow, document })));
}

/** `listed`: conversations that have a session which has not ended. `stopped`: sessions that some receipt names as stopped. */
export function verdictOn(
  key: string,
  note: JobNote | undefined,
  listed: ReadonlySet<string>,
  stopped: ReadonlySet<string>,
): Verdict {
  // First the runtime's word: a note may say `completed` when the process died between the last act and the end.
  if (listed.has(key)) return 'resume';
  if (note === undefined) return 'start';
  if (note.status !== 'started') return 'ended';
  return stopped.has(note.session) ? 'terminated' : 'lost';
}

export interface Plan {
  note(key: string): JobNote | undefined;
  /** Durable when it resolves. Rejects with `write_failed`. */
  write(key: string, note: JobNote): Promise<void>;
}

/** Reads the notes of these jobs. One that cannot be read is an error: to guess would be to send a letter twice. */
export async function openPlan(folder: string, keys: readonly string[]): Promise<Plan> {
  const notes = new Map<string, JobNote>();
  for (const key of keys) {
    const note = await read(join(folder, `${key}.json`));
    if (note) notes.set(key, note);
  }
  return {
    note: (key) => notes.get(key),
    async write(key, note) {
      await replace(join(folder, `${key}.json`), `${JSON.stringify(note)}\n`);
      notes.set(key, note);
    },
  };
}

const statuses: readonly string[] = ['started', 'completed', 'terminated', 'failed'] satisfies JobStatus[];

async function read(path: string): Promise<JobNote | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new StudioError('invalid_document', `the note ${path} cannot be read`, { cause: error });
  }
  try {
    const note = JSON.parse(text) as JobNote;
    if (typeof note.session === 'string' && statuses.includes(note.status)) return note;
  } catch {
    // Told below.
  }
  throw new StudioError('invalid_document', `${path} is no note of a job; see what became of its letter, then remove it`);
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const folder = await open(dirname(path), 'r');
    await folder.sync().finally(() => folder.close());
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeFailed(path, cause);
  }
}
