// authorization-server.ts: the real oidc-provider on the loopback, with the token exchange that it leaves to whoever runs it.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Configuration, Provider } from 'oidc-provider';

export interface AuthorizationServer {
  readonly issuer: string;
  /** As a resource server asks: does this token work? */
  introspect(token: string): Promise<{ readonly active: boolean; readonly scope?: string; readonly act?: unknown }>;
  /** Answers with this instead of the server for requests to that path, until it is set back. */
  fault:
    | {
        readonly path: string;
        readonly status: number;
        readonly headers?: Readonly<Record<string, string>>;
        readonly body?: string;
      }
    | undefined;
  /** Tokens that were given in exchange, in order. */
  readonly given: string[];
  /** Paths asked for, in order. */
  readonly requests: string[];
  close(): Promise<void>;
}

export interface AuthorizationServerOptions {
  /** Every exchange stays in the grant of its subject, as in a server that thinks of a chain as one. */
  readonly isOneGrant?: boolean;
  /** Self-contained access tokens. */
  readonly isJwt?: boolean;
  /** The exchange does not say how long its token lives: introspection does. */
  readonly isSilent?: boolean;
}

export const exchangeType = 'urn:ietf:params:oauth:grant-type:token-exchange';
const resource = 'urn:mail';
/** Who acts, by request: the server asks for it when it writes the token. */
const acting = new WeakMap<object, { readonly act: object }>();

export async function authorizationServer(options: AuthorizationServerOptions = {}): Promise<AuthorizationServer> {
  const http = createServer();
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, configuration(options));
  const handle = provider.callback();
  const server: AuthorizationServer = {
    issuer,
    fault: undefined,
    given: [],
    requests: [],
    async introspect(token) {
      const body = new URLSearchParams({ token, client_id: 'mail-server', client_secret: 'mail-server-secret' });
      const answer = await fetch(`${issuer}/token/introspection`, { method: 'POST', body });
      return answer.json() as Promise<{ active: boolean }>;
    },
    close: () => closed(http),
  };
  registerExchange(provider, options, server.given);
  http.on('request', (request, response) => {
    const path = request.url ?? '';
    server.requests.push(path);
    if (server.fault?.path !== path) return void handle(request, response);
    response.writeHead(server.fault.status, server.fault.headers);
    response.end(server.fault.body);
  });
  return server;
}

function configuration({ isJwt }: AuthorizationServerOptions): Configuration {
  const client = (id: string, grant_types: string[]) => ({
    client_id: id,
    client_secret: `${id}-secret`,
    grant_types,
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post' as const,
  });
  return {
    clients: [client('agents', ['client_credentials', exchangeType]), client('mail-server', [])],
    scopes: ['send', 'read'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'send read',
          accessTokenFormat: isJwt ? 'jwt' : 'opaque',
          audience: resource,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    extraTokenClaims: (ctx) => acting.get(ctx),
    ttl: { AccessToken: 900, ClientCredentials: 900, Grant: 1800 },
  };
}

/** RFC 8693 with `act` nested per hop (section 4.1). */
function registerExchange(
  provider: Provider,
  { isOneGrant, isJwt, isSilent }: AuthorizationServerOptions,
  given: string[],
): void {
  const handler = async (ctx: Parameters<Parameters<Provider['registerGrantType']>[1]>[0]): Promise<void> => {
    const { client, params } = ctx.oidc;
    const subjectToken = String(params?.subject_token);
    const before = await provider.AccessToken.find(subjectToken);
    const subject = before ?? (await provider.ClientCredentials.find(subjectToken));
    if (!client || !subject) {
      ctx.status = 400;
      ctx.body = { error: 'invalid_grant', error_description: 'the subject token is unknown' };
      return;
    }
    const wanted = String(params?.scope ?? '');
    if (wanted.split(' ').includes('forbidden')) {
      ctx.status = 400;
      ctx.body = { error: 'invalid_scope', error_description: 'that is not yours to ask for' };
      return;
    }
    const accountId = 'u-1';
    const own = async (): Promise<string> => {
      const grant = new provider.Grant({ clientId: client.clientId, accountId });
      grant.addResourceScope(resource, 'send read');
      return grant.save();
    };
    const grantId = isOneGrant && before?.grantId ? before.grantId : await own();
    acting.set(ctx, { act: { sub: client.clientId, ...(before?.extra?.act ? { act: before.extra.act } : {}) } });
    const token = new provider.AccessToken({
      accountId,
      client,
      grantId,
      gty: exchangeType,
      scope: wanted || 'send',
      ...(isJwt
        ? {
            resourceServer: new provider.ResourceServer(resource, {
              scope: 'send read',
              accessTokenFormat: 'jwt',
              audience: resource,
              jwt: { sign: { alg: 'RS256' } },
            }),
          }
        : {}),
    } as unknown as ConstructorParameters<Provider['AccessToken']>[0]);
    const value = await token.save();
    given.push(value);
    ctx.body = {
      access_token: value,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      ...(isSilent ? {} : { expires_in: token.expiration }),
      scope: token.scope,
    };
  };
  provider.registerGrantType(exchangeType, handler, [
    'subject_token',
    'subject_token_type',
    'requested_token_type',
    'audience',
    'scope',
  ]);
}

function closed(http: Server): Promise<void> {
  http.closeAllConnections();
  return new Promise((resolve) => http.close(() => resolve()));
}
