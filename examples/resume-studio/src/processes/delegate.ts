// delegate.ts: how a tool of an agent here has a sub-agent of another process work for it, and finds it again when that process dies.

import { carryingFetch, currentSession, RuntimeError } from 'offswitch';
import { StudioError } from '../documents-error.ts';
import type { Role, SubTask } from '../planner-roles.ts';
import { sleep } from '../tools-time.ts';
import type { Doors } from './doors.ts';

/** Resolves with the sub-agent's report. Call it inside of the tool that delegates. */
export type Delegate = (role: Role, task: SubTask, signal: AbortSignal | undefined) => Promise<string>;

/** What a door answers (door.ts). */
export interface DoorAnswer {
  readonly status: 'completed' | 'terminated' | 'failed';
  readonly text: string;
}

/** After every door was tried in vain, that long; twice as long each time, up to the latter. Milliseconds. */
const pauseMs = 100;
const longestPauseMs = 2_000;
/** So many times in a row before the call fails: about a minute, in which a process that died has long been replaced. */
const rounds = 35;
/** An answer that took longer was no refusal: its process was at work, and is gone since. Milliseconds. */
const atWorkMs = 5_000;

/**
 * `doors`: of other processes. `own`: this process's, which is asked last: what a caller that was taken over had started here is
 * here, and nobody else will ever take it in.
 */
export function delegateTo(doors: Doors, own: readonly string[] = []): Delegate {
  let turn = 0;
  return async (role, task, signal) => {
    const session = currentSession();
    if (!session) throw new StudioError('delegation_failed', `${role} was asked for outside of every session`);
    // A carrier anew for each attempt: they expire. The call in it stays the same, and so does the child it means.
    const post = carryingFetch(() => session.carry(), { to: ({ hostname }) => hostname === '127.0.0.1' });
    let at = turn++;
    let why = 'no other process is open';
    for (let round = 0; round < rounds; round++) {
      // At least once, so that a moment without any worker is waited for like any other.
      for (const door of [...doorsFrom(doors.now, at++), ...own]) {
        const began = performance.now();
        const until = [...(signal ? [signal] : []), ...(own.includes(door) ? [] : [doors.gone(door)])];
        try {
          const response = await post(new URL(role, door), {
            method: 'POST',
            body: JSON.stringify(task),
            signal: AbortSignal.any(until),
          });
          const text = await response.text();
          if (response.ok) return reportOf(role, JSON.parse(text) as DoorAnswer);
          why = text;
          if (!mayBeAskedAgain(response.status)) throw new StudioError('delegation_failed', `${role} was refused: ${text}`);
        } catch (error) {
          signal?.throwIfAborted();
          if (StudioError.is(error) || (RuntimeError.is(error) && error.code !== 'store_failed')) throw error;
          why = error instanceof Error && error.cause !== undefined ? String(error.cause) : String(error);
        }
        if (performance.now() - began > atWorkMs) round = 0;
      }
      await sleep(Math.min(longestPauseMs, pauseMs * 2 ** round), signal);
    }
    throw new StudioError('delegation_failed', `no process could take ${role} in: ${why}`);
  };
}

/** All of them, from one on. */
function doorsFrom(doors: readonly string[], first: number): readonly string[] {
  const at = doors.length === 0 ? 0 : first % doors.length;
  return [...doors.slice(at), ...doors.slice(0, at)];
}

/** 409: another process has it, or will in a moment; 503: this one is closing, or the store is away. */
function mayBeAskedAgain(status: number): boolean {
  return status === 409 || status === 503;
}

function reportOf(role: Role, { status, text }: DoorAnswer): string {
  if (status === 'completed') return text;
  throw new StudioError('delegation_failed', `the ${role} ${status === 'failed' ? 'failed' : 'was stopped'}: ${text}`);
}
