// subject.ts: whom a switch is read for, and who a stop is against.
//
// Ids come from outside (a login, a thread id), so they are checked once, here, at the edge. An id that no dashboard
// could hold as a target is an error and not a session that can never be stopped.

import { OffswitchError } from './error.ts';
import type { Tier } from './tier.ts';

/** What is known of one session. Which fields a tier's switch sees is fixed by `subjectFor`. */
export interface Subject {
  readonly workflow?: string;
  readonly userId?: string;
  readonly sessionId?: string;
  /** What a person would call the session: a thread that many runs may continue. In telemetry `gen_ai.conversation.id`. */
  readonly conversationId?: string;
}

/** Longest id, in UTF-8 bytes. 256: twice the longest id the three vendors' own interfaces produce, and it fits a file name when hashed. */
export const maxIdBytes = 256;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is refused here
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * Returns `id` unchanged, or throws `invalid_id` naming the field and the reason. Any printable Unicode is fine;
 * `__proto__` and `constructor` are ordinary ids.
 */
export function checkId(field: 'workflow' | 'userId' | 'sessionId' | 'parentId' | 'conversationId', id: unknown): string {
  if (typeof id !== 'string')
    throw new OffswitchError('invalid_id', `${field} must be a string, got ${id === null ? 'null' : typeof id}`);
  if (id === '') throw new OffswitchError('invalid_id', `${field} is empty; leave it out when there is none`);
  // A length in UTF-16 units bounds the bytes from below, so a 10 MB id is refused without being encoded.
  if (id.length > maxIdBytes || utf8Length(id) > maxIdBytes) {
    throw new OffswitchError(
      'invalid_id',
      `${field} is longer than ${maxIdBytes} bytes (it starts with ${JSON.stringify(id.slice(0, 24))})`,
    );
  }
  if (control.test(id))
    throw new OffswitchError('invalid_id', `${field} ${JSON.stringify(id.slice(0, 64))} holds a control character or line break`);
  return id;
}

function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/**
 * The part of a subject that a tier's switch is read for. A user switch sees the user alone, so that its answer is
 * one per user; an instance switch sees the session, its conversation and where they belong.
 * `undefined` when the tier has no subject here (no user: nothing to read).
 */
export function subjectFor(tier: Tier, subject: Subject): Subject | undefined {
  switch (tier) {
    case 'global':
      return {};
    case 'feature':
      return subject.workflow === undefined ? undefined : { workflow: subject.workflow };
    case 'user':
      return subject.userId === undefined ? undefined : { userId: subject.userId };
    case 'instance':
      return subject.sessionId === undefined ? undefined : subject;
  }
}

/** The id a tier's stop is filed under: '' for global, else the workflow, the user or the session. */
export function subjectId(tier: Tier, subject: Subject): string | undefined {
  switch (tier) {
    case 'global':
      return '';
    case 'feature':
      return subject.workflow;
    case 'user':
      return subject.userId;
    case 'instance':
      return subject.sessionId;
  }
}
