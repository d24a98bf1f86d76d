// control.ts: flips in Unleash, as people ask for them: through its admin API, with the operator's own token, read back before
// they are confirmed.

import type { Flip, Inspection, KillSwitches, Order, SwitchControl, SwitchFlag } from '@offswitch/core';
import { UnleashSwitchError } from '../error.ts';
import { baseOf, wrongWithToken } from '../place.ts';
import { adminApi } from './admin-api.ts';
import type { Place } from './flag-place.ts';
import { flipNamed } from './flip-named.ts';
import { flipWide } from './flip-wide.ts';
import { readHistory } from './history.ts';
import { inspectFlag } from './inspect.ts';
import type { UnleashControlOptions } from './options.ts';
import { targetOf } from './order.ts';
import { provisionFlags } from './provision.ts';

const atOnce = 8;

export interface UnleashControl extends SwitchControl {
  readonly location: string;
}

/** Flips, provisions and inspects switches in Unleash. Nothing is asked until then. Throws `bad_configuration`. */
export function unleashControl(options: UnleashControlOptions): UnleashControl {
  const base = baseOf(options.url);
  const {
    token,
    project = 'default',
    environment,
    timeoutMs = 5000,
    rateLimitWaitMs = 10_000,
    strategyLimit = 30,
    now = Date.now,
  } = options;
  const wrong = wrongWithToken(token);
  if (wrong !== undefined)
    throw new UnleashSwitchError('bad_configuration', `${wrong}; give the operator's personal access token`);
  for (const [name, value] of Object.entries({ project, environment })) {
    if (typeof value !== 'string' || value.trim() === '')
      throw new UnleashSwitchError('bad_configuration', `${name} is empty; say which ${name}`);
  }
  const api = adminApi({ base, token, timeoutMs, rateLimitWaitMs, fetch: options.fetch ?? globalThis.fetch });
  const place: Place = { api, base, project, environment, strategyLimit };
  const known = new Map<string, SwitchFlag>();
  const meet = (switches: KillSwitches): void => {
    for (const flag of switches.flags) known.set(flag.key, flag);
  };
  const flip = async (action: Flip['action'], order: Order): Promise<Flip> => {
    const target = targetOf(order);
    const { flag, reason, by } = order;
    known.set(flag.key, flag);
    const changed = target ? await flipNamed(place, action, order, target) : await flipWide(place, action, order);
    return { key: flag.key, action, ...(target ? { target: target.id } : {}), reason, by, at: now(), changed };
  };

  return {
    name: 'unleash',
    location: `${base}, project ${project}, environment ${environment}`,
    engage: (order) => flip('engage', order),
    release: (order) => flip('release', order),
    provision(switches, { apply = false } = {}) {
      meet(switches);
      return provisionFlags(place, switches, apply);
    },
    async inspect(switches) {
      meet(switches);
      const inspections: Inspection[] = [];
      // A few at once: each is three requests, and a declaration may have hundreds of workflows.
      for (let at = 0; at < switches.flags.length; at += atOnce) {
        const some = switches.flags.slice(at, at + atOnce);
        inspections.push(...(await Promise.all(some.map((flag) => inspectFlag(place, flag, options.isEnded)))));
      }
      return inspections;
    },
    history: (query = {}) => readHistory(place, query, known),
  };
}
