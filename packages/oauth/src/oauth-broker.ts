// oauth-broker.ts: access tokens lent one by one: each session gets an exchanged token of its own, which can be revoked alone.

import {
  type CredentialBroker,
  type GrantHandle,
  type Issued,
  type IssueRequest,
  type Revocation,
  RuntimeError,
} from '@offswitch/runtime';
import type { ClientAuth } from 'openid-client';
import { answerOf } from './answer.ts';
import { seal, unseal } from './seal.ts';
import { checkSeparate } from './self-check.ts';
import { isSelfContained, selfContained } from './self-contained.ts';
import { Server } from './server.ts';
import { Unwanted } from './unwanted.ts';

export interface OAuthBrokerOptions {
  /** The authorization server; its metadata must name a token and a revocation endpoint (RFC 8414 or OpenID Connect Discovery). */
  readonly issuer: string;
  /** A client that may exchange, revoke and introspect tokens. */
  readonly clientId: string;
  /** Sent in the body (`client_secret_post`). For anything else pass `clientAuthentication`. */
  readonly clientSecret?: string;
  /** Of `openid-client`, as `PrivateKeyJwt(key)`. */
  readonly clientAuthentication?: ClientAuth;
  /**
   * The token in whose name a graph acts: the user's, most often. Asked for at each exchange that has no parent's token to begin with.
   * Default: a client credentials token of this client, which stays in here.
   */
  readonly subjectToken?: (request: Pick<IssueRequest, 'path' | 'audience' | 'scope'>) => Promise<string> | string;
  /**
   * What a sub-agent's token is exchanged from: its parent's, so that the server sees the chain (`act`, RFC 8693 section 4.1) and can only narrow
   * it, or, for servers that exchange no exchanged token, the `subject` again. Default `parent`.
   */
  readonly exchangeFrom?: 'parent' | 'subject';
  /** More parameters of the exchange, for servers that take a lifetime or a session's id; they stand above ours. */
  readonly parameters?: (request: IssueRequest) => Readonly<Record<string, string>>;
  /**
   * Tokens are written to the store sealed with it, so that another process can revoke them after a crash. At least 16 characters, the
   * same in every process, and not kept beside the store. Default: none; tokens of a process that died then live until they run out.
   */
  readonly sealingSecret?: string;
  /** How long resource servers may answer from a cached introspection. Milliseconds, default 0; stated as residual. */
  readonly resourceCacheMs?: number;
  /** The longest a credential is lent. Milliseconds, default 3,600,000. */
  readonly maxTtlMs?: number;
  /**
   * The longest lifetime that the server gives an access token. A token whose answer was lost is named as alive for so long; one that lives longer is
   * revoked and not lent. Milliseconds, default 86,400,000: servers give from minutes to a day unless they were told otherwise.
   */
  readonly maxLifetimeMs?: number;
  /** See `CredentialBroker.whilePaused`. */
  readonly whilePaused?: 'revoke' | 'keep';
  /** Lets `issuer` be plain http. For tests on the loopback only: tokens travel in clear. Default false. */
  readonly allowHttp?: boolean;
  /** Time source, epoch milliseconds. Default: the machine's. */
  readonly now?: () => number;
}

/** How long the server gets for one answer: less than the runtime waits for the broker, which asks it a few times. Milliseconds. */
const timeoutMs = 4_000;

/** The server's clock may be ahead of ours, where it says when a token ends. Milliseconds. */
const clockSkewMs = 60_000;

/** Throws `invalid_option`. Asks the server nothing yet: the first credential does. */
export function oauthBroker(options: OAuthBrokerOptions): CredentialBroker {
  const { sealingSecret, resourceCacheMs = 0, maxLifetimeMs = 86_400_000, now = Date.now } = options;
  check(options);
  const nests = options.exchangeFrom !== 'subject';
  const server = new Server({ ...options, timeoutMs });
  const unwanted = new Unwanted(server);
  let separate: Promise<string | undefined> | undefined;

  const tokenOf = ({ id, ref, secret }: GrantHandle): string | undefined =>
    secret ?? (ref !== undefined && sealingSecret !== undefined ? unseal(sealingSecret, id, ref) : undefined);

  const subjectOf = async (request: IssueRequest): Promise<string> => {
    const parent = request.parent && nests && tokenOf(request.parent);
    return parent || ((await options.subjectToken?.(request)) ?? (await server.ownToken(now())));
  };

  const parametersOf = (request: IssueRequest): Readonly<Record<string, string>> => ({
    ...(request.audience === '' ? {} : { audience: request.audience }),
    ...(request.scope.length === 0 ? {} : { scope: request.scope.join(' ') }),
    ...options.parameters?.(request),
  });

  /** Once per process; asked again where it could not be found out. */
  const separateness = (subject: string, request: IssueRequest): Promise<string | undefined> => {
    separate ??= checkSeparate(server, unwanted, subject, parametersOf(request), nests).catch((error) => {
      separate = undefined;
      throw error;
    });
    return separate;
  };

  const refusedOrUnknown = (error: unknown, isExchange: boolean): Issued => {
    const answer = answerOf(error, now());
    // Until the exchange nothing was asked for that could be lent.
    if (answer.isRefusal || answer.isUnsent || !isExchange) return { status: 'refused', why: answer.why };
    throw new Error(answer.why, { cause: error });
  };

  /** What cannot be lent is revoked. Where the server does not take that now it goes to who asked, with no end that is one, to be taken back from there. */
  const takenBack = async (id: string, token: string, why: string): Promise<Issued> => {
    try {
      await server.revoke(token);
      return { status: 'refused', why };
    } catch (error) {
      if (answerOf(error, now()).isRefusal) return { status: 'refused', why };
      return { status: 'issued', secret: token, expiresAt: Number.NaN, ...refOf(id, token) };
    }
  };

  const refOf = (id: string, token: string): { readonly ref?: string } =>
    sealingSecret === undefined ? {} : { ref: seal(sealingSecret, id, token) };

  const broker: CredentialBroker = {
    caps: {
      cascade: 'none',
      effect: 'immediate',
      maxResidualMs: resourceCacheMs,
      canVerify: true,
      revokesById: false,
      maxLifetimeMs,
      ...(options.maxTtlMs === undefined ? {} : { maxTtlMs: options.maxTtlMs }),
    },
    ...(options.whilePaused === undefined ? {} : { whilePaused: options.whilePaused }),

    async issue(request) {
      let subject: string;
      try {
        if (!(await unwanted.retry()))
          return {
            status: 'refused',
            why: 'the server has not revoked yet what it was tried with, so it would not revoke this either',
          };
        subject = await subjectOf(request);
        const why = await separateness(subject, request);
        if (why !== undefined) return { status: 'refused', why };
      } catch (error) {
        return refusedOrUnknown(error, false);
      }
      let exchanged: Awaited<ReturnType<Server['exchange']>>;
      const askedAt = now();
      try {
        exchanged = await server.exchange(subject, parametersOf(request));
      } catch (error) {
        return refusedOrUnknown(error, true);
      }
      const { token, lifetimeMs } = exchanged;
      if (isSelfContained(token)) return takenBack(request.id, token, `${selfContained}. This one was thrown away unused`);
      let expiresAt: number | undefined;
      try {
        expiresAt = lifetimeMs === undefined ? (await server.introspect(token)).expiresAt : askedAt + lifetimeMs;
      } catch (error) {
        return takenBack(request.id, token, `the server did not tell how long its token lives: ${answerOf(error, now()).why}`);
      }
      if (expiresAt === undefined) {
        const why = 'the server says of its tokens neither expires_in nor exp, so nothing bounds their life';
        return takenBack(request.id, token, why);
      }
      if (expiresAt > askedAt + maxLifetimeMs + clockSkewMs) {
        const why = `its token would live for ${expiresAt - askedAt} ms, and maxLifetimeMs is ${maxLifetimeMs}: say how long this server's tokens live`;
        return takenBack(request.id, token, why);
      }
      return { status: 'issued', secret: token, expiresAt, ...refOf(request.id, token) };
    },

    async revoke(grant): Promise<Revocation> {
      const token = tokenOf(grant);
      if (token === undefined) return { state: 'irrevocable', why: lost(grant, sealingSecret) };
      try {
        // RFC 7009 section 2.2: 200 also for a token that is unknown or gone, so asking twice is safe.
        await server.revoke(token);
        return { state: 'revoked', residualMs: resourceCacheMs, evidence: 'the revocation endpoint answered 200' };
      } catch (error) {
        const answer = answerOf(error, now());
        if (answer.error === 'unsupported_token_type') return { state: 'irrevocable', why: answer.why };
        const wait = answer.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs };
        return { state: 'pending', why: answer.why, ...wait };
      }
    },

    async verify(grant) {
      const token = tokenOf(grant);
      if (token === undefined) return 'unknown';
      try {
        return (await server.introspect(token)).isActive ? 'active' : 'inactive';
      } catch {
        return 'unknown';
      }
    },

    close: () => unwanted.close(),
  };
  return broker;
}

function lost({ ref }: GrantHandle, sealingSecret: string | undefined): string {
  if (sealingSecret === undefined)
    return 'its token was lost with the process that held it; with a sealingSecret it would not have been';
  return ref === undefined
    ? 'its token never arrived, and RFC 7009 revokes nothing without it'
    : 'its token was sealed with another secret';
}

function check({ issuer, allowHttp, clientId, sealingSecret, maxLifetimeMs = 1 }: OAuthBrokerOptions): void {
  let url: URL;
  try {
    url = new URL(issuer);
  } catch {
    throw new RuntimeError('invalid_option', `issuer must be a URL, got ${JSON.stringify(issuer)}`);
  }
  if (url.protocol !== 'https:' && !(allowHttp && url.protocol === 'http:'))
    throw new RuntimeError('invalid_option', `issuer must be https, got ${issuer}; for a test on the loopback set allowHttp`);
  if (typeof clientId !== 'string' || clientId === '') throw new RuntimeError('invalid_option', 'clientId is empty');
  if (sealingSecret !== undefined && sealingSecret.length < 16)
    throw new RuntimeError('invalid_option', 'sealingSecret is shorter than 16 characters');
  if (!(maxLifetimeMs > 0 && maxLifetimeMs < Number.POSITIVE_INFINITY))
    throw new RuntimeError('invalid_option', `maxLifetimeMs must be above 0, got ${String(maxLifetimeMs)}`);
}
