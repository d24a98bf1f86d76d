// redis-user-broker.ts: lends a Redis user of its own to each session, and deletes it with its connections when the session is stopped.
//
// ACL DELUSER ends the connections of the user it deletes, which few backends do: a connection that was open before the stop is no way
// around it. Users live in the memory of one server, so where there are several, each needs a broker of its own.

import { randomBytes } from 'node:crypto';
import type { CredentialBroker, GrantHandle, IssueRequest, Revocation } from '@offswitch/runtime';
import { linksTo, type RedisClientLike, type Reply, ServerRefusal } from '../connection/link.ts';
import { invalid } from '../options.ts';
import { OneLink } from './one-link.ts';

export interface RedisUserBrokerOptions {
  /** Of a user that may `ACL SETUSER`, `GETUSER` and `DELUSER` (`+acl`). This or `client`. Never logged. */
  readonly url?: string;
  /** A node-redis client of the application with those rights. It is only copied. */
  readonly client?: RedisClientLike;
  /**
   * What a lent user may do, in Redis's own rules (`~letters:*`, `+get`): a fixed list, or made from what the tool asks for. What is
   * not in it is not allowed.
   */
  readonly rules: readonly string[] | ((request: Pick<IssueRequest, 'path' | 'audience' | 'scope'>) => readonly string[]);
  /** What the lent users' names begin with: so they are told from others, and found by a person. Default `offswitch-`. */
  readonly prefix?: string;
  /**
   * The server keeps its users in an ACL file: it is saved after each deletion, since a restart would otherwise bring back a user that
   * somebody saved meanwhile. Default false.
   */
  readonly savesAclFile?: boolean;
  /** See `CredentialBroker.whilePaused`. */
  readonly whilePaused?: 'revoke' | 'keep';
  /** The longest a user is lent. Milliseconds, default 3,600,000. */
  readonly maxTtlMs?: number;
  /** How long an answer of the server may take. Milliseconds, default 2,000. */
  readonly timeoutMs?: number;
}

/** Throws `invalid_option`. Connects when the first user is asked for. */
export function redisUserBroker(options: RedisUserBrokerOptions): CredentialBroker {
  const { rules, prefix = 'offswitch-', savesAclFile = false, timeoutMs = 2_000 } = options;
  if ((options.url === undefined) === (options.client === undefined)) throw invalid('give either url or client');
  // ACL names hold no blanks; the rest keeps a name from being taken for a rule or a pattern.
  if (!/^[a-zA-Z0-9_.:-]{1,40}$/.test(prefix)) throw invalid('prefix is 1 to 40 letters, digits, and _ . : -');
  if (!(timeoutMs > 0 && timeoutMs <= 5_000)) throw invalid('timeoutMs is above 0 and at most 5000');
  const link = new OneLink(linksTo(options), timeoutMs);
  const nameOf = ({ id }: Pick<GrantHandle, 'id'>): string => `${prefix}${id}`;

  const broker: CredentialBroker = {
    caps: {
      cascade: 'none',
      effect: 'immediate',
      maxResidualMs: 0,
      canVerify: true,
      revokesById: true,
      ...(options.maxTtlMs === undefined ? {} : { maxTtlMs: options.maxTtlMs }),
    },
    ...(options.whilePaused === undefined ? {} : { whilePaused: options.whilePaused }),

    async issue(request) {
      const username = nameOf(request);
      const secret = randomBytes(24).toString('base64url');
      const allowed = typeof rules === 'function' ? rules(request) : rules;
      try {
        // The password last, so that no rule can leave the user without one or give it another.
        await link.call(['ACL', 'SETUSER', username, 'reset', ...allowed, 'resetpass', 'on', `>${secret}`]);
      } catch (error) {
        if (error instanceof ServerRefusal) return { status: 'refused', why: error.message };
        throw error;
      }
      // Redis has no users that run out: whoever lends one deletes it.
      return { status: 'issued', username, secret, ref: username, expiresAt: Number.POSITIVE_INFINITY };
    },

    async revoke(grant): Promise<Revocation> {
      let deleted: Reply;
      try {
        deleted = await link.call(['ACL', 'DELUSER', nameOf(grant)]);
        if (savesAclFile) await link.call(['ACL', 'SAVE']);
      } catch (error) {
        return { state: 'pending', why: error instanceof Error ? error.message : String(error) };
      }
      const evidence = deleted === 0 ? 'the server has no such user' : 'the server deleted the user and ended its connections';
      return { state: 'revoked', residualMs: 0, evidence };
    },

    async verify(grant) {
      try {
        return (await link.call(['ACL', 'GETUSER', nameOf(grant)])) === null ? 'inactive' : 'active';
      } catch {
        return 'unknown';
      }
    },

    close: () => link.close(),
  };
  return broker;
}
