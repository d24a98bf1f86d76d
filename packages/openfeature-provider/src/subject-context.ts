// subject-context.ts: from a switch and its subject to the evaluation context a vendor targets by.

import { checkId, type Subject, type SwitchFlag } from '@offswitch/core';
import type { EvaluationContext } from '@openfeature/server-sdk';

/** The targeting key of switches that are about nobody in particular; some vendors refuse to evaluate without one. */
const nobody = 'offswitch';

/**
 * Every field is present, the absent ones as an explicit `undefined`: contexts merge shallowly and later wins, so that a
 * `userId` in the application's global context cannot leak into a switch that is not about a user. Throws `invalid_id`.
 */
export function contextOf(flag: SwitchFlag, subject: Subject): EvaluationContext {
  const userId = optional('userId', subject.userId);
  const sessionId = optional('sessionId', subject.sessionId);
  const workflow = optional('workflow', subject.workflow);
  const conversationId = optional('conversationId', subject.conversationId);
  const context = (
    targetingKey: string | undefined,
    fields: {
      workflow?: string | undefined;
      userId?: string | undefined;
      sessionId?: string | undefined;
      conversationId?: string | undefined;
    },
  ): EvaluationContext =>
    ({
      targetingKey,
      workflow: fields.workflow,
      userId: fields.userId,
      sessionId: fields.sessionId,
      conversationId: fields.conversationId,
      // The SDK's type has no undefined in it; its merge gives it the meaning used here.
    }) as EvaluationContext;
  switch (flag.tier) {
    case 'global':
      return context(nobody, {});
    case 'feature':
      return context(nobody, { workflow: flag.workflow });
    case 'user':
      return context(userId, { userId });
    case 'instance':
      return context(sessionId, { workflow, userId, sessionId, conversationId });
  }
}

function optional(field: 'workflow' | 'userId' | 'sessionId' | 'conversationId', value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : checkId(field, value);
}
