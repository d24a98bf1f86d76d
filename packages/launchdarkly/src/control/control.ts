// control.ts: flips in LaunchDarkly, as people ask for them: through its REST API, with the reason, and read back.

import type { Flip, Order, SwitchControl } from '@offswitch/core';
import { LaunchDarklyError } from '../error.ts';
import { wrongInHeader } from '../header.ts';
import { createApi } from './api.ts';
import { everybodyFails, forEverybody, forTarget, type Instruction, targetFails, untargeted, wouldStopOthers } from './flip.ts';
import { readHistory } from './history.ts';
import { inspectFlags } from './inspect.ts';
import { checkOrder, type Target } from './order.ts';
import { type Place, provisionFlags } from './provision.ts';
import { membersOf, type RestFlag, type RestSegment, type SwitchView, segmentOf, viewOf } from './rest-flag.ts';
import { commentOf } from './words.ts';

export interface LaunchDarklyControlOptions {
  /** An access token of whoever flips, so that LaunchDarkly's roles decide what they may. Never shown. */
  readonly token: string;
  readonly project: string;
  readonly environment: string;
  /** Default `https://app.launchdarkly.com`. */
  readonly baseUrl?: string;
  /**
   * Key of the segment that provisioning makes for the targets of the instance switch. Default `killswitch-sessions`; `false`: individual
   * targets, which LaunchDarkly advises to keep under 10,000 and which 9.x searches one by one. Flips follow the flag as it is.
   */
  readonly segment?: string | false;
  /** Key of the instance switch, for `history`. Default `killswitch.instance`. */
  readonly instanceKey?: string;
  /** Tells `inspect` which sessions have ended, so that it finds targets that stop nobody any more. */
  readonly isEnded?: (session: string) => boolean;
  /** The end of each single call. Milliseconds, default 5000. */
  readonly timeoutMs?: number;
  /** Longest that rate limits and conflicts are waited out, for each call. Milliseconds, default 10000. */
  readonly patienceMs?: number;
  /** Epoch milliseconds. Default `Date.now`. */
  readonly now?: () => number;
  /** Hears of what does not undo a flip. Default `process.emitWarning`. */
  readonly warn?: (message: string) => void;
}

/** Flips, provisions and inspects switches in LaunchDarkly. Nothing is sent until asked. Throws `bad_configuration`. */
export function launchDarklyControl(options: LaunchDarklyControlOptions): SwitchControl {
  for (const field of ['token', 'project', 'environment'] as const) {
    if (typeof options[field] !== 'string' || options[field].trim() === '')
      throw new LaunchDarklyError('bad_configuration', `${field} is empty; give the ${field} of your LaunchDarkly account`);
  }
  const wrong = wrongInHeader(options.token);
  if (wrong !== undefined) throw new LaunchDarklyError('bad_configuration', `the token ${wrong}`);
  const now = options.now ?? Date.now;
  const warn = options.warn ?? ((message: string) => process.emitWarning(message, 'OffswitchWarning'));
  const api = createApi({
    token: options.token,
    baseUrl: (options.baseUrl ?? 'https://app.launchdarkly.com').replace(/\/+$/, ''),
    timeoutMs: options.timeoutMs ?? 5000,
    patienceMs: options.patienceMs ?? 10_000,
    now,
  });
  const segment = options.segment === false ? undefined : (options.segment ?? 'killswitch-sessions');
  const place: Place = {
    project: encodeURIComponent(options.project),
    environment: encodeURIComponent(options.environment),
    segment,
  };
  const flagPath = (key: string): string => `flags/${place.project}/${encodeURIComponent(key)}`;
  // A stop goes before a scheduled change or a request for approval that is pending; a release does not.
  const patchPath = (key: string, action: Flip['action']): string =>
    action === 'engage' ? `${flagPath(key)}?ignoreConflicts=true` : flagPath(key);
  const segmentPath = (key: string): string => `segments/${place.project}/${place.environment}/${encodeURIComponent(key)}`;

  const load = async ({ flag }: Order): Promise<SwitchView> => {
    const rest = await api.find<RestFlag>(`${flagPath(flag.key)}?env=${place.environment}`);
    if (!rest)
      throw new LaunchDarklyError('flag_missing', `project ${options.project} has no flag ${flag.key}; provision it first`);
    return viewOf(flag, rest, options.environment);
  };
  const loadSegment = async (view: SwitchView): Promise<RestSegment | undefined> => {
    const key = segmentOf(view);
    return key === undefined ? undefined : await api.find<RestSegment>(segmentPath(key));
  };
  const patch = async (path: string, comment: string, instructions: readonly Instruction[]): Promise<boolean> => {
    if (instructions.length === 0) return false;
    await api.patch(path, { environmentKey: options.environment, comment, instructions });
    return true;
  };

  const flipEverybody = async (action: Flip['action'], order: Order): Promise<boolean> => {
    const comment = commentOf({ action, by: order.by, reason: order.reason });
    const changed = await patch(patchPath(order.flag.key, action), comment, forEverybody(await load(order), action));
    const fails = everybodyFails(await load(order), action);
    if (fails !== undefined)
      throw new LaunchDarklyError('not_confirmed', `${order.flag.key} does not ${action} everybody: ${fails}`);
    return changed;
  };
  const flipTarget = async (action: Flip['action'], order: Order, target: Target): Promise<boolean> => {
    const { flag } = order;
    const comment = commentOf({ action, target, by: order.by, reason: order.reason });
    const before = await load(order);
    const why = untargeted(before);
    if (why !== undefined) throw new LaunchDarklyError('flag_invalid', `${flag.key}: ${why}`);
    const listed = await loadSegment(before);
    const others = action === 'engage' ? wouldStopOthers(before, target, listed) : undefined;
    if (others !== undefined) throw new LaunchDarklyError('flag_invalid', `${flag.key}: ${others}`);
    const isMember = listed !== undefined && membersOf(listed, target.kind).includes(target.id);
    let changed = false;
    if (listed && isMember !== (action === 'engage')) {
      const kind = action === 'engage' ? 'addIncludedTargets' : 'removeIncludedTargets';
      changed = await patch(segmentPath(listed.key), comment, [{ kind, contextKind: target.kind, values: [target.id] }]);
    }
    // With a segment the flag itself is touched only where it is off, or lists the id as well.
    const own = forTarget(before, action, target).filter((one) => !listed || one.kind !== 'addTargets');
    changed = (await patch(patchPath(flag.key, action), comment, own)) || changed;
    const after = await load(order);
    const fails = targetFails(after, action, target, await loadSegment(after));
    if (fails !== undefined)
      throw new LaunchDarklyError('not_confirmed', `${flag.key} does not ${action} ${target.kind} ${target.id}: ${fails}`);
    if (action === 'release' && (after.config.rules ?? []).length > (listed ? 1 : 0))
      warn(`${flag.key} has rules of its own besides its targets; whether they engage ${target.id} too is not looked at`);
    return changed;
  };
  const flip = async (action: Flip['action'], order: Order): Promise<Flip> => {
    const target = checkOrder(order);
    const changed = target ? await flipTarget(action, order, target) : await flipEverybody(action, order);
    const { reason, by } = order;
    return { key: order.flag.key, action, ...(target ? { target: target.id } : {}), reason, by, at: now(), changed };
  };

  return {
    name: 'launchdarkly',
    engage: (order) => flip('engage', order),
    release: (order) => flip('release', order),
    provision: (switches, { apply = false } = {}) => provisionFlags(api, place, switches, apply),
    inspect: (switches) => inspectFlags(api, place, switches, options.isEnded),
    history: (query = {}) => readHistory(api, place, options.instanceKey ?? 'killswitch.instance', query),
  };
}
