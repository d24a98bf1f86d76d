// authorization-server.ts: who lends the right to send letters: the real oidc-provider on loopback, with the token exchange (RFC 8693) that it
// leaves to whoever runs it. Each exchanged token has a grant of its own, so that it can be revoked alone.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Adapter, type AdapterPayload, Provider } from 'oidc-provider';
import { sendScope } from './letter.ts';

export interface AuthorizationServer {
  readonly issuer: string;
  close(): Promise<void>;
}

export interface AuthorizationServerOptions {
  /** Who may exchange tokens and revoke them. */
  readonly agents: Client;
  /** Who may ask whether a token works. */
  readonly mailServer: Client;
  /** Told of each token as it is lent, with the session it is for. */
  readonly onLent: (session: string, token: string) => void;
}

export interface Client {
  readonly id: string;
  readonly secret: string;
}

const exchangeType = 'urn:ietf:params:oauth:grant-type:token-exchange';
/** Seconds; the broker's own default is ten minutes. */
const tokenTtl = 900;

export async function openAuthorizationServer(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
  const { agents, mailServer, onLent } = options;
  const http = createServer();
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    adapter: inMemory(),
    clients: [clientOf(agents, ['client_credentials', exchangeType]), clientOf(mailServer, [])],
    scopes: [sendScope],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
    },
    ttl: { AccessToken: tokenTtl, ClientCredentials: tokenTtl, Grant: 2 * tokenTtl },
  });
  provider.registerGrantType(
    exchangeType,
    async (ctx) => {
      const { client, params } = ctx.oidc;
      const subjectToken = String(params?.subject_token);
      const subject = (await provider.AccessToken.find(subjectToken)) ?? (await provider.ClientCredentials.find(subjectToken));
      if (!client || !subject) {
        ctx.status = 400;
        ctx.body = { error: 'invalid_grant', error_description: 'the subject token is unknown' };
        return;
      }
      const accountId = client.clientId;
      const grant = new provider.Grant({ clientId: client.clientId, accountId });
      grant.addOIDCScope(sendScope);
      const own = { accountId, client, grantId: await grant.save(), gty: exchangeType, scope: sendScope };
      // Its type asks for what only a sign-in has.
      const token = new provider.AccessToken(own as unknown as ConstructorParameters<Provider['AccessToken']>[0]);
      const value = await token.save();
      onLent(String(params?.session ?? ''), value);
      ctx.body = {
        access_token: value,
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        expires_in: token.expiration,
        scope: token.scope,
      };
    },
    ['subject_token', 'subject_token_type', 'requested_token_type', 'scope', 'session'],
  );
  http.on('request', provider.callback());
  return {
    issuer,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
}

function clientOf({ id, secret }: Client, grants: readonly string[]) {
  return {
    client_id: id,
    client_secret: secret,
    grant_types: [...grants],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post' as const,
  };
}

/** The provider's own forgets the oldest of a thousand, and with it tokens that work. */
function inMemory(): (name: string) => Adapter {
  const all = new Map<string, { readonly payload: AdapterPayload; readonly until: number }>();
  return (name) => {
    const keyOf = (id: string): string => `${name} ${id}`;
    return {
      async upsert(id, payload, expiresIn) {
        const now = Date.now();
        for (const [key, { until }] of all) {
          // In the order in which they were put in, nearly that of their ends.
          if (until > now) break;
          all.delete(key);
        }
        all.set(keyOf(id), { payload, until: now + (expiresIn ?? tokenTtl) * 1_000 });
      },
      async find(id) {
        const found = all.get(keyOf(id));
        return found && found.until > Date.now() ? found.payload : undefined;
      },
      async destroy(id) {
        all.delete(keyOf(id));
      },
      async revokeByGrantId(grantId) {
        for (const [key, { payload }] of all) if (payload.grantId === grantId) all.delete(key);
      },
      // Of sign-ins by people, of which there are none here.
      findByUserCode: async () => undefined,
      findByUid: async () => undefined,
      consume: async () => undefined,
    };
  };
}
