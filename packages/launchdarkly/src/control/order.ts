// order.ts: what a person asks for, checked before anything is sent.

import { checkId, type Order } from '@offswitch/core';
import { LaunchDarklyError } from '../error.ts';

export interface Target {
  /** The context kind it is targeted by. */
  readonly kind: 'user' | 'session' | 'conversation';
  readonly id: string;
}

/** The target of a user or instance order; undefined for global and feature. Throws `bad_order`. */
export function checkOrder(order: Order): Target | undefined {
  const { flag, target, targetKind, reason, by } = order;
  if (typeof reason !== 'string' || reason.trim() === '') throw bad('the reason is empty; say why');
  if (typeof by !== 'string' || by.trim() === '') throw bad('`by` is empty; say who asks');
  switch (flag.tier) {
    case 'global':
    case 'feature':
      if (target === undefined) return undefined;
      throw bad(`a ${flag.tier} switch has no targets; leave the target out`);
    case 'user':
      if (target === undefined) throw bad('a user switch needs a target: the user id');
      return { kind: 'user', id: checked('userId', target) };
    case 'instance': {
      if (target === undefined) throw bad('an instance switch needs a target: a session or conversation id');
      const kind = targetKind ?? 'session';
      return { kind, id: checked(kind === 'session' ? 'sessionId' : 'conversationId', target) };
    }
  }
}

function checked(field: 'userId' | 'sessionId' | 'conversationId', id: string): string {
  try {
    return checkId(field, id);
  } catch (cause) {
    throw new LaunchDarklyError('bad_order', cause instanceof Error ? cause.message : `${field} cannot be read`, { cause });
  }
}

function bad(message: string): LaunchDarklyError {
  return new LaunchDarklyError('bad_order', message);
}
