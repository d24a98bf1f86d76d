// server.ts: one authorization server: found by its issuer, asked for exchanges (RFC 8693), revocations (RFC 7009) and
// introspections (RFC 7662).

import { withoutSecrets } from '@offswitch/runtime';
import {
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretPost,
  type Configuration,
  clientCredentialsGrant,
  discovery,
  genericGrantRequest,
  ResponseBodyError,
  tokenIntrospection,
  tokenRevocation,
} from 'openid-client';

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const accessToken = 'urn:ietf:params:oauth:token-type:access_token';

export interface ServerOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret?: string;
  readonly clientAuthentication?: ClientAuth;
  readonly allowHttp?: boolean;
  readonly timeoutMs: number;
}

export interface Exchanged {
  readonly token: string;
  /** Milliseconds; absent where the server does not say. */
  readonly lifetimeMs?: number;
}

export class Server {
  private readonly options: ServerOptions;
  private found: Promise<Configuration> | undefined;
  private own: { readonly token: string; readonly until: number } | undefined;
  /** What this client proved itself with last. */
  private proof: readonly string[] = [];

  constructor(options: ServerOptions) {
    this.options = options;
  }

  /** Kept once it has answered; a failure is asked about again next time. */
  open(): Promise<Configuration> {
    this.found ??= this.discover().catch((error) => {
      this.found = undefined;
      throw error;
    });
    return this.found;
  }

  /** Throws what openid-client throws. */
  async exchange(subjectToken: string, parameters: Readonly<Record<string, string>>): Promise<Exchanged> {
    const answer = await this.ask([subjectToken, ...secretsIn(parameters)], (server) =>
      genericGrantRequest(server, exchangeGrant, {
        subject_token: subjectToken,
        subject_token_type: accessToken,
        requested_token_type: accessToken,
        ...parameters,
      }),
    );
    return {
      token: answer.access_token,
      ...(answer.expires_in === undefined ? {} : { lifetimeMs: answer.expires_in * 1000 }),
    };
  }

  async revoke(token: string): Promise<void> {
    await this.ask([token], (server) => tokenRevocation(server, token, { token_type_hint: 'access_token' }));
  }

  /** `expiresAt`: epoch milliseconds, where the server says so. */
  async introspect(token: string): Promise<{ readonly isActive: boolean; readonly expiresAt?: number }> {
    const { active, exp } = await this.ask([token], (server) =>
      tokenIntrospection(server, token, { token_type_hint: 'access_token' }),
    );
    return { isActive: active, ...(exp === undefined ? {} : { expiresAt: exp * 1000 }) };
  }

  async canIntrospect(): Promise<boolean> {
    return (await this.open()).serverMetadata().introspection_endpoint !== undefined;
  }

  /** This client's own token, where the exchanges begin when nobody else's is given. Never handed to a session. */
  async ownToken(now: number): Promise<string> {
    if (this.own && this.own.until > now) return this.own.token;
    const { access_token: token, expires_in = 60 } = await this.ask([], (server) => clientCredentialsGrant(server));
    // A little early, so that it is good for the request it is used in.
    this.own = { token, until: now + expires_in * 800 };
    return token;
  }

  /** A server may repeat in its error what it was sent, and its errors are shown and written down. */
  private async ask<T>(sent: readonly string[], request: (server: Configuration) => Promise<T>): Promise<T> {
    const server = await this.open();
    try {
      return await request(server);
    } catch (error) {
      if (!(error instanceof ResponseBodyError)) throw error;
      const secrets = [...sent, this.options.clientSecret, ...this.proof];
      const told = Object.entries(error.cause).map(([name, value]) => [
        name,
        typeof value === 'string' ? withoutSecrets(value, secrets) : value,
      ]);
      throw new ResponseBodyError(error.message, { cause: Object.fromEntries(told), response: error.response });
    }
  }

  private async discover(): Promise<Configuration> {
    const { issuer, clientId, clientSecret, clientAuthentication, allowHttp, timeoutMs } = this.options;
    const prove = clientAuthentication ?? (clientSecret === undefined ? undefined : ClientSecretPost(clientSecret));
    const authentication: ClientAuth | undefined =
      prove &&
      (async (server, client, body, headers) => {
        await prove(server, client, body, headers);
        this.proof = proofIn(body, headers);
      });
    return discovery(new URL(issuer), clientId, undefined, authentication, {
      timeout: timeoutMs / 1000,
      ...(allowHttp ? { execute: [allowInsecureRequests] } : {}),
    });
  }
}

/** Of the parameters that an application adds: an actor's token, say. */
function secretsIn(parameters: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(parameters).flatMap(([name, value]) => (/token|secret|assertion|password/i.test(name) ? [value] : []));
}

/** Of what is sent to prove who asks, each form that a server may repeat: an application may have given nothing but the function that sends it. */
function proofIn(body: URLSearchParams, headers: Headers): readonly string[] {
  const inBody = ['client_secret', 'client_assertion'].flatMap((name) => body.get(name) ?? []);
  const inHeader = /^\S+ +(.+)$/.exec(headers.get('authorization') ?? '')?.[1];
  if (inHeader === undefined) return inBody;
  // Of Basic: `id:secret`, each encoded as in a form (RFC 6749, section 2.3.1).
  const encoded = Buffer.from(inHeader, 'base64')
    .toString()
    .replace(/^[^:]*:/, '');
  return [...inBody, inHeader, encoded, ...new URLSearchParams(`=${encoded}`).values()];
}
