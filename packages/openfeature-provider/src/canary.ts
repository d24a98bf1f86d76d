// canary.ts: subjects nobody is. A scoped switch that is engaged for one of them was turned on for everybody (S11).

import { randomUUID } from 'node:crypto';
import type { Subject, SwitchFlag } from '@offswitch/core';

/** One id for this process: fixed, so that a vendor sees few of them, and random, so that no rule names it. Three, since a percentage rollout can miss one. */
const canaryIds: readonly string[] = Array.from({ length: 3 }, () => `offswitch-canary-${randomUUID()}`);

/** The subject with the tier's own ids replaced and the others kept, once for each canary; empty for global and feature. */
export function canariesOf(flag: SwitchFlag, subject: Subject): readonly Subject[] {
  switch (flag.tier) {
    case 'global':
    case 'feature':
      return [];
    case 'user':
      return canaryIds.map((userId) => ({ ...subject, userId }));
    case 'instance':
      return canaryIds.map((id) => ({
        ...subject,
        sessionId: id,
        ...(subject.conversationId === undefined ? {} : { conversationId: id }),
      }));
  }
}

/** What to tell a person whose scoped switch is on for everybody. */
export function untargetedMessage(flag: SwitchFlag): string {
  return `untargeted: ${flag.key} is engaged for everybody, and a ${flag.tier} switch must name its targets; turn it off, or target it`;
}
