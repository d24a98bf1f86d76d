// context-subject.ts: from an OpenFeature evaluation context to the subject a switch is read for.
//
// `targetingKey` stands in for the tier's own id only. By OpenFeature's own convention it usually names the end user, so for
// an instance switch it counts as the session only where the context does not say that it is the user.

import { checkId, OffswitchError, type Subject, type SwitchFlag } from '@offswitch/core';
import { type EvaluationContext, InvalidContextError, TargetingKeyMissingError } from '@openfeature/server-sdk';

/**
 * The subject of one switch. Read from `workflow`, `userId`, `sessionId` and `conversationId`; a user switch falls back to
 * `targetingKey` as the user's id, an instance switch to `targetingKey` as the session's, unless it equals `userId`.
 *
 * Throws TARGETING_KEY_MISSING when the tier's own id is absent (null counts as absent) and INVALID_CONTEXT for an id that
 * no dashboard could hold (core's `checkId`).
 */
export function subjectOfContext(flag: SwitchFlag, context: EvaluationContext): Subject {
  switch (flag.tier) {
    case 'global':
      return {};
    case 'feature':
      return flag.workflow === undefined ? {} : { workflow: flag.workflow };
    case 'user': {
      const userId = id('userId', context.userId) ?? id('userId', context.targetingKey);
      if (userId === undefined) throw missing(flag, 'userId, or targetingKey as the id of the user');
      return { userId };
    }
    case 'instance': {
      const userId = id('userId', context.userId);
      const workflow = id('workflow', context.workflow);
      const conversationId = id('conversationId', context.conversationId);
      const targetingKey = context.targetingKey === userId ? undefined : context.targetingKey;
      const sessionId = id('sessionId', context.sessionId) ?? id('sessionId', targetingKey);
      if (sessionId === undefined) throw missing(flag, 'sessionId, or targetingKey as the id of the session (not of the user)');
      return {
        ...(workflow === undefined ? {} : { workflow }),
        ...(userId === undefined ? {} : { userId }),
        sessionId,
        ...(conversationId === undefined ? {} : { conversationId }),
      };
    }
  }
}

function id(field: 'workflow' | 'userId' | 'sessionId' | 'conversationId', value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  try {
    return checkId(field, value);
  } catch (error) {
    throw new InvalidContextError(OffswitchError.is(error) ? error.message : `${field} cannot be read`);
  }
}

function missing(flag: SwitchFlag, wanted: string): TargetingKeyMissingError {
  return new TargetingKeyMissingError(`${flag.key} is a ${flag.tier} switch; the context must hold ${wanted}`);
}
