// order.ts: an order, checked before anything is asked of Unleash, and whom it names in Unleash's words.

import { checkId, type Order } from '@offswitch/core';
import { UnleashSwitchError } from '../error.ts';

export interface Target {
  /** Unleash's context field. */
  readonly field: 'userId' | 'sessionId' | 'conversationId';
  readonly id: string;
}

/** Longest value of a constraint, in UTF-16 units (unleash-server 7.5.1 answers 400 to a longer one). */
const longestValue = 100;

/** The target of a user or instance switch; `undefined` for the others. Throws `bad_order`, `flag_invalid`, and core's `invalid_id`. */
export function targetOf(order: Order): Target | undefined {
  const { flag, target, targetKind, reason, by } = order;
  if (typeof reason !== 'string' || reason.trim() === '')
    throw new UnleashSwitchError('bad_order', 'the reason is empty; say why');
  if (typeof by !== 'string' || by.trim() === '') throw new UnleashSwitchError('bad_order', '`by` is empty; say who asks');
  switch (flag.tier) {
    case 'global':
    case 'feature':
      if (target === undefined) return undefined;
      throw new UnleashSwitchError('bad_order', `a ${flag.tier} switch has no targets; leave the target out`);
    case 'user':
      if (target === undefined) throw new UnleashSwitchError('bad_order', 'a user switch needs a target: the user id');
      return named(order, { field: 'userId', id: checkId('userId', target) });
    case 'instance': {
      if (target === undefined)
        throw new UnleashSwitchError('bad_order', 'an instance switch needs a target: a session or conversation id');
      const field = targetKind === 'conversation' ? 'conversationId' : 'sessionId';
      return named(order, { field, id: checkId(field, target) });
    }
  }
}

function named({ flag }: Order, target: Target): Target {
  const { field, id } = target;
  if (!flag.engagedWhen)
    throw new UnleashSwitchError(
      'flag_invalid',
      `${JSON.stringify(flag.key)} is declared with engagedWhen: false, and Unleash names people by turning a flag on for them; declare it with engagedWhen: true`,
    );
  if (id.length > longestValue)
    throw new UnleashSwitchError(
      'bad_order',
      `${field} ${JSON.stringify(id.slice(0, 24))}... is longer than ${longestValue} characters, which Unleash does not hold; mint shorter ids`,
    );
  // Unleash's clients trim what a strategy lists and not what they compare it with, so such an id would never match.
  if (id.trim() !== id)
    throw new UnleashSwitchError(
      'bad_order',
      `${field} ${JSON.stringify(id)} begins or ends with a space, which Unleash's clients cannot match`,
    );
  return target;
}
