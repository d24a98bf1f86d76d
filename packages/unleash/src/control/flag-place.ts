// flag-place.ts: one flag in one environment, as the admin API holds it, and the few changes a control makes there.

import { UnleashSwitchError } from '../error.ts';
import type { Strategy } from '../shape.ts';
import type { AdminApi, Answer } from './admin-api.ts';

export interface StoredStrategy extends Strategy {
  readonly id: string;
  readonly title?: string | null;
}

export interface FlagPlace {
  readonly enabled: boolean;
  readonly strategies: readonly StoredStrategy[];
}

export interface Place {
  readonly api: AdminApi;
  readonly base: string;
  readonly project: string;
  readonly environment: string;
  readonly strategyLimit: number;
}

const part = encodeURIComponent;
export const featuresPath = ({ project }: Place): string => `/api/admin/projects/${part(project)}/features`;
const environmentPath = (place: Place, key: string): string =>
  `${featuresPath(place)}/${part(key)}/environments/${part(place.environment)}`;

/**
 * Throws `flag_missing`. The flag as a whole is asked for: of an archived one, the environment alone still answers that it is on.
 */
export async function readPlace(place: Place, key: string): Promise<FlagPlace> {
  const answer = await place.api.request('GET', `${featuresPath(place)}/${part(key)}`);
  if (answer.status !== 200) throw missing(place, key, answer.message);
  const { environments } = answer.body as { environments?: unknown };
  if (!Array.isArray(environments))
    throw new UnleashSwitchError('unreachable', `${place.base} answered something that is no flag; check url`);
  const here = (environments as { name?: unknown; enabled?: unknown; strategies?: unknown }[]).find(
    (one) => one.name === place.environment,
  );
  if (!here) throw missing(place, key, `it has no environment ${place.environment}`);
  const { enabled, strategies } = here;
  if (typeof enabled !== 'boolean' || !Array.isArray(strategies))
    throw new UnleashSwitchError('unreachable', `${place.base} answered something that is no environment of a flag; check url`);
  return { enabled, strategies: strategies as readonly StoredStrategy[] };
}

function missing(place: Place, key: string, why: string): UnleashSwitchError {
  return new UnleashSwitchError(
    'flag_missing',
    `there is no flag ${JSON.stringify(key)} in project ${place.project}, environment ${place.environment} of ${place.base} (${why}); provision it, or revive it if it was archived`,
  );
}

export async function turn(place: Place, key: string, to: 'on' | 'off'): Promise<void> {
  const answer = await place.api.request('POST', `${environmentPath(place, key)}/${to}`);
  if (answer.status >= 300) throw refused(place, key, answer);
}

export interface NewStrategy {
  readonly title: string;
  readonly rollout: '0' | '100';
  readonly constraints?: readonly { readonly contextName: string; readonly operator: 'IN'; readonly values: readonly string[] }[];
  readonly parameters?: Readonly<Record<string, string>>;
}

/** Throws `limit_reached`. */
export async function addStrategy(place: Place, key: string, added: NewStrategy): Promise<StoredStrategy> {
  const answer = await place.api.request('POST', `${environmentPath(place, key)}/strategies`, {
    name: 'flexibleRollout',
    title: added.title,
    disabled: false,
    parameters: { rollout: added.rollout, stickiness: 'default', groupId: key, ...added.parameters },
    constraints: added.constraints ?? [],
    segments: [],
    variants: [],
  });
  if (answer.status < 300) return answer.body as StoredStrategy;
  if ((answer.body as { name?: unknown }).name === 'ExceedsLimitError')
    throw new UnleashSwitchError(
      'limit_reached',
      `${JSON.stringify(key)} holds as many strategies as Unleash allows (${place.strategyLimit} by default), and each stop is one. Release the stops of sessions that have ended (inspect lists them), raise UNLEASH_FEATURE_ENVIRONMENT_STRATEGIES_LIMIT, or stop the whole workflow; the runtime's own stop needs no vendor. Unleash said: ${answer.message}`,
    );
  throw refused(place, key, answer);
}

/** False when somebody took it away meanwhile. */
export async function removeStrategy(place: Place, key: string, id: string): Promise<boolean> {
  const answer = await place.api.request('DELETE', `${environmentPath(place, key)}/strategies/${part(id)}`);
  if (answer.status < 300) return true;
  if (answer.status === 404) return false;
  throw refused(place, key, answer);
}

/** A JSON patch of one strategy; false when a `test` of it failed or the strategy is gone. */
export async function patchStrategy(place: Place, key: string, id: string, patch: readonly unknown[]): Promise<boolean> {
  const answer = await place.api.request('PATCH', `${environmentPath(place, key)}/strategies/${part(id)}`, patch);
  if (answer.status < 300) return true;
  if (answer.status === 404 || answer.status === 500) return false;
  throw refused(place, key, answer);
}

function refused(place: Place, key: string, answer: Answer): UnleashSwitchError {
  const { name } = answer.body as { name?: unknown };
  if (answer.status === 404 || name === 'ArchivedFeatureError') return missing(place, key, answer.message);
  return new UnleashSwitchError('flag_invalid', `${place.base} refuses the change of ${JSON.stringify(key)}: ${answer.message}`);
}
