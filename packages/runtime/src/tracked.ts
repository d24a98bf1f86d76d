// tracked.ts: the subjects that switches are read for.

import type { Reading, Subject, SwitchFlag } from '@offswitch/core';
import type { Node } from './node.ts';

/** A subject that is read. Of global, feature and user there is one for all sessions that share it. */
export interface Tracked {
  readonly flag: SwitchFlag;
  readonly id: string;
  readonly subject: Subject;
  count: number;
  last: Reading | undefined;
  readonly node: Node | undefined;
}

/** What a switch said of one subject. */
export interface SubjectReading {
  readonly flag: SwitchFlag;
  readonly subject: string;
  readonly reading: Reading;
}

/** One session as a subject, made for the moment of a reading: what lasts is kept in its node, since there may be very many. */
export class TrackedSession implements Tracked {
  readonly flag: SwitchFlag;
  readonly node: Node;
  readonly count = 1;

  constructor(flag: SwitchFlag, node: Node) {
    this.flag = flag;
    this.node = node;
  }

  get id(): string {
    return this.node.id;
  }
  get subject(): Subject {
    const { id, workflow, userId, conversationId } = this.node;
    return {
      sessionId: id,
      ...(workflow === undefined ? {} : { workflow }),
      ...(userId === undefined ? {} : { userId }),
      ...(conversationId === undefined ? {} : { conversationId }),
    };
  }
  get last(): Reading | undefined {
    return this.node.reading;
  }
  set last(reading: Reading | undefined) {
    this.node.reading = reading;
  }
}

/** Whose user switches reach it: its own, and those of the sessions it was detached from, which may have ended (S2). */
export function usersOf(node: Node): readonly string[] {
  // A parent's users are read for the parent, which lives at least as long.
  if (!node.detachedFrom) return node.userId === undefined ? [] : [node.userId];
  const users = new Set<string>();
  for (let at: Node | undefined = node; at; at = at.parent ?? at.detachedFrom) if (at.userId !== undefined) users.add(at.userId);
  return [...users];
}
