// grant-request.ts: what may be asked of a broker, and which brokers may be asked at all.

import { RuntimeError } from '../error.ts';
import type { CredentialBroker } from './broker.ts';
import type { GrantRequest } from './lent.ts';
import type { Wanted } from './mint.ts';

/** Short, so that what cannot be revoked is over soon. Milliseconds. */
const defaultTtlMs = 600_000;
const longestTtlMs = 3_600_000;

/** Throws `invalid_option` for a broker that would stop more than it is asked to. */
export function checkBroker(name: string, { caps }: CredentialBroker): void {
  if (caps.cascade === 'siblings-too') {
    const why = 'revoking one of its grants takes those of other sessions with it, which nobody stopped';
    throw new RuntimeError('invalid_option', `the broker ${JSON.stringify(name)} cannot be used: ${why}`);
  }
}

export function wantedOf(brokers: ReadonlyMap<string, CredentialBroker>, name: string, request: GrantRequest): Wanted {
  const broker = brokers.get(name);
  if (!broker) {
    const known = [...brokers.keys()].map((one) => JSON.stringify(one)).join(', ') || 'none';
    throw new RuntimeError(
      'invalid_option',
      `no broker is named ${JSON.stringify(name)} (known: ${known}); pass it to createRuntime({ brokers })`,
    );
  }
  const { maxTtlMs = longestTtlMs } = broker.caps;
  const { audience = '', scope = [], ttlMs = Math.min(defaultTtlMs, maxTtlMs) } = request;
  if (!(Number.isFinite(ttlMs) && ttlMs > 0 && ttlMs <= maxTtlMs))
    throw new RuntimeError('invalid_option', `ttlMs must be above 0 and at most ${maxTtlMs} for ${name}, got ${String(ttlMs)}`);
  if (typeof audience !== 'string' || !(Array.isArray(scope) && scope.every((one) => typeof one === 'string' && one !== '')))
    throw new RuntimeError('invalid_option', `${name}: audience must be a text and scope a list of texts`);
  const sorted = [...new Set(scope)].sort();
  return { name, broker, audience, scope: sorted, ttlMs, key: JSON.stringify([name, audience, sorted]) };
}
