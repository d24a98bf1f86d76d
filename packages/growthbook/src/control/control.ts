// control.ts: flips in GrowthBook through its management API, read back before they are confirmed.
//
// Never turn an environment off as a stop: an environment that is off looks like a feature that is not there, and reads unknown.

import { checkId, type Flip, type Order, type SwitchControl } from '@offswitch/core';
import { GrowthBookError } from '../error.ts';
import { api } from './api.ts';
import type { Asked } from './confirm.ts';
import { flip } from './flip.ts';
import { history } from './history.ts';
import { inspect } from './inspect.ts';
import { controlSettings, type GrowthBookControlOptions } from './options.ts';
import { provision } from './provision.ts';

/**
 * Flips, provisions and inspects switches in one environment of GrowthBook. Nothing is asked until a method is called. Throws
 * `bad_configuration`. A flip has no position: GrowthBook's `dateUpdated` is known only from the payload.
 */
export function growthBookControl(options: GrowthBookControlOptions): SwitchControl {
  const settings = controlSettings(options);

  // One flip of ours at a time: two at once would only be each other's conflict.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work, work);
    last = next.catch(() => {});
    return next;
  };
  const make = async (action: Flip['action'], order: Order): Promise<Flip> => {
    const target = checkOrder(order);
    const { flag, reason, by } = order;
    const asked = { action, flag, target, words: { action, reason, by } };
    const changed = await inTurn(() => flip(api(settings), settings, asked));
    return {
      key: flag.key,
      action,
      ...(order.target === undefined ? {} : { target: order.target }),
      reason,
      by,
      at: settings.now(),
      changed,
    };
  };

  return {
    name: 'growthbook',
    engage: (order) => make('engage', order),
    release: (order) => make('release', order),
    provision: (switches, { apply = false } = {}) => provision(api(settings), settings, switches, apply),
    inspect: (switches) => inspect(api(settings), settings, switches),
    history: (query = {}) => history(api(settings), settings, query),
  };
}

function checkOrder(order: Order): Asked['target'] {
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
      return { field: 'userId', id: checkId('userId', target) };
    case 'instance': {
      if (target === undefined) throw bad('an instance switch needs a target: a session or conversation id');
      const field = targetKind === 'conversation' ? 'conversationId' : 'sessionId';
      return { field, id: checkId(field, target) };
    }
  }
}

function bad(message: string): GrowthBookError {
  return new GrowthBookError('bad_order', message);
}
