// segment.ts: one session of a path as text: what it is called, and what of it differs from its parent.
//
// The text is the same in a header, in JSON and in the environment. The escape is therefore `~` and not `%`, which every
// carrier of baggage would escape once more. One path has one text: what decodes and would be written otherwise is refused,
// so that two texts can never mean one session.

import { checkId } from '@offswitch/core';
import { RuntimeError } from '../error.ts';

/** One session of a path. The last three may be left out where they are the parent's; decoded, they are always filled in. */
export interface PathSegment {
  readonly session: string;
  readonly workflow?: string;
  readonly user?: string;
  readonly conversation?: string;
}

const plain = /^[A-Za-z0-9_@:/-]*$/;
/** Half of a surrogate pair by itself: no UTF-8 for it, so it would arrive as something else. */
const loneSurrogate = /\p{Surrogate}/u;
const escapes = /(?:~[0-9A-F]{2})+/g;
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Any text in the letters of a token. Throws `path_malformed` where it is no well-formed Unicode. */
export function escapeText(text: string): string {
  if (plain.test(text)) return text;
  if (loneSurrogate.test(text))
    throw new RuntimeError(
      'path_malformed',
      `${JSON.stringify(text.slice(0, 64))} holds half a character; ids are well-formed Unicode`,
    );
  let escaped = '';
  for (const byte of Buffer.from(text)) {
    const letter = String.fromCharCode(byte);
    escaped += byte < 0x80 && plain.test(letter) ? letter : `~${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return escaped;
}

/** The text behind `escapeText`. Throws `path_malformed`. */
export function unescapeText(text: string): string {
  if (plain.test(text)) return text;
  try {
    const decoded = text.replace(escapes, (run) => strictUtf8.decode(Buffer.from(run.replaceAll('~', ''), 'hex')));
    if (escapeText(decoded) === text) return decoded;
  } catch (error) {
    throw new RuntimeError('path_malformed', 'the path holds an escape that is no UTF-8', { cause: error });
  }
  throw new RuntimeError('path_malformed', 'the path holds text that is not written the one way it can be');
}

/** `segment` with what it has of its parent. */
export function fillIn(segment: PathSegment, parent: PathSegment | undefined): PathSegment {
  const workflow = segment.workflow ?? parent?.workflow;
  const user = segment.user ?? parent?.user;
  const conversation = segment.conversation ?? parent?.conversation;
  return {
    session: segment.session,
    ...(workflow === undefined ? {} : { workflow }),
    ...(user === undefined ? {} : { user }),
    ...(conversation === undefined ? {} : { conversation }),
  };
}

/** `s-1!wresume-rewrite!uu-7!cthread-9`. Throws `invalid_id` (OffswitchError) for an id that core's `checkId` refuses. */
export function encodeSegment(segment: PathSegment, parent: PathSegment | undefined): string {
  let text = escapeText(checkId('sessionId', segment.session));
  const { workflow, user, conversation } = segment;
  if (workflow !== undefined && workflow !== parent?.workflow) text += `!w${escapeText(checkId('workflow', workflow))}`;
  if (user !== undefined && user !== parent?.user) text += `!u${escapeText(checkId('userId', user))}`;
  if (conversation !== undefined && conversation !== parent?.conversation)
    text += `!c${escapeText(checkId('conversationId', conversation))}`;
  return text;
}

const written = /^([^!]+)(?:!w([^!]+))?(?:!u([^!]+))?(?:!c([^!]+))?$/;

/** The segment behind `encodeSegment`, filled in from its parent. Throws `path_malformed`. */
export function decodeSegment(text: string, parent: PathSegment | undefined): PathSegment {
  const [, session, workflow, user, conversation] = written.exec(text) ?? [];
  if (session === undefined) throw new RuntimeError('path_malformed', 'the path holds a segment that is none');
  const own: PathSegment = {
    session: unescapeText(session),
    ...(workflow === undefined ? {} : { workflow: unescapeText(workflow) }),
    ...(user === undefined ? {} : { user: unescapeText(user) }),
    ...(conversation === undefined ? {} : { conversation: unescapeText(conversation) }),
  };
  let again: string;
  try {
    again = encodeSegment(own, parent);
  } catch (error) {
    throw new RuntimeError(
      'path_malformed',
      `the path holds an id that is none: ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  }
  if (again !== text) throw new RuntimeError('path_malformed', 'the path repeats what a segment has of its parent');
  return fillIn(own, parent);
}
